"""Starts what looks for lost coroutines, failures and tasks, when the first loop is made.

The engine and the interpreter call the functions here, which import what has to be done then: most
programs lose nothing.
"""

from __future__ import annotations

import asyncio.base_events
import asyncio.runners
import asyncio.taskgroups
import asyncio.tasks
import asyncio.timeouts
import atexit
import gc
import sys
import warnings
import weakref
from typing import Any

from vivace import _native

from . import _tick
from ._settings import settings

#: Modules whose frames do not count as the place where a task is made or cancelled.
_PASSED_OVER = (
    asyncio.tasks,
    asyncio.taskgroups,
    asyncio.runners,
    asyncio.base_events,
    asyncio.timeouts,
)
#: The same, of modules that may be imported later.
_LATER = {"anyio._backends._asyncio", "anyio._core._tasks"}

#: Tasks that have failed while no task waited for them: noted by the engine.
failures: list[weakref.ReferenceType[Any]] = []

#: Fewer pending tasks than these are no leak.
_FEW = 20
#: Seconds after which a cancelled task may be told of, at the earliest.
_SOON = 1.0


def begin() -> None:
    """Look from now on."""
    for module in _PASSED_OVER:
        _native.see_pass_over(module.__dict__)
    from vivace import _loop, _run

    for own in (_loop, _run):
        _native.see_pass_over(own.__dict__)
    original = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]
    hook = _native.see_unawaited(original, _coroutine_lost)
    warnings._warn_unawaited_coroutine = hook  # type: ignore[attr-defined]
    _native.see_listen(failures, _failure_lost, _task_cancelled)
    atexit.register(_at_exit)
    later = _tick.Detector
    _tick.watches += [
        _pass_over_more,
        later("_unawaited", wanted=lambda loop: False),
        later("_unobserved", wanted=lambda loop: failures),
        later("_orphans"),
        later("_leaks", wanted=_has_many_tasks),
        later("_cancels", wanted=_is_cancellation_ignored),
        later("_executors", wanted=_has_threads),
        later("_exit", wanted=lambda loop: getattr(loop, "_executor_shutdown_called", False)),
    ]


def started(loop: Any) -> None:
    """A loop begins to run."""
    if settings().dev:
        from . import _unawaited

        _unawaited.started(loop)


def stopped(loop: Any) -> None:
    """A loop has stopped."""
    # Before the first coroutine was lost there is nothing to be set back.
    unawaited = sys.modules.get(f"{__package__}._unawaited")
    if unawaited is not None:
        unawaited.stopped(loop)


def closing(loop: Any) -> None:
    """A loop is about to be closed."""
    if f"{__package__}._exit" in sys.modules or _native.see_pending(loop):
        from . import _exit

        _exit.closing(loop)


def _coroutine_lost(coro: Any, by_collector: bool) -> None:
    """A coroutine goes that nobody has awaited."""
    if sys.is_finalizing():
        return
    # An exception that is on its way is looked for among the youngest objects: what is imported
    # must not make it older.
    collecting = f"{__package__}._unawaited" not in sys.modules and gc.isenabled()
    if collecting:
        gc.disable()
    try:
        from . import _unawaited

        _unawaited.lost(coro, by_collector)
    finally:
        if collecting:
            gc.enable()


def _failure_lost(task: Any) -> None:
    """A task goes while nobody has looked at its failure: asyncio is about to log it."""
    if not sys.is_finalizing():
        from . import _unobserved

        _unobserved.destroyed(task)


def _task_cancelled(task: Any) -> None:
    """Somebody cancels a task; with the dear detectors only."""
    if sys._getframe(1).f_code.co_name == "_cancel_all_tasks":
        from . import _exit

        _exit.cancelled_by_run(task)


def _at_exit() -> None:
    """The process ends."""
    from vivace import _loop

    if failures or f"{__package__}._unobserved" in sys.modules:
        from . import _unobserved

        _unobserved.at_exit()
    if any(_native.see_pending(loop) for loop in list(_loop._loops) if not loop.is_closed()):
        from . import _exit

        _exit.at_exit()


def _is_cancellation_ignored(loop: Any) -> bool:
    return isinstance(loop, _native.Loop) and bool(_native.see_ignoring(loop, _SOON))


def _has_many_tasks(loop: Any) -> bool:
    counters = getattr(loop, "_see_counters", {})
    ended = sum(counters.get(f"ended_{how}", 0) for how in ("ok", "error", "cancelled"))
    return bool(counters.get("created", 0) - ended >= _FEW)


def _has_threads(loop: Any) -> bool:
    default = getattr(loop, "_default_executor", None)
    return default is not None or "anyio.lowlevel" in sys.modules


def _pass_over_more(loop: Any) -> None:
    for name in tuple(_LATER):
        module = sys.modules.get(name)
        if module is not None:
            _LATER.discard(name)
            _native.see_pass_over(module.__dict__)
    if not _LATER:
        _tick.watches.remove(_pass_over_more)
