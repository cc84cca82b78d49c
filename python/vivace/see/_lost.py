"""Starts what looks for lost coroutines, failures and tasks, when the first loop is made."""

from __future__ import annotations

import asyncio.base_events
import asyncio.runners
import asyncio.taskgroups
import asyncio.tasks
import asyncio.timeouts
import sys
from typing import Any

from vivace import _native

from . import _cancels, _executors, _exit, _leaks, _orphans, _tick, _unawaited, _unobserved

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


def begin() -> None:
    """Look from now on."""
    for module in _PASSED_OVER:
        _native.see_pass_over(module.__dict__)
    from vivace import _loop, _run

    for own in (_loop, _run):
        _native.see_pass_over(own.__dict__)
    _unawaited.install()
    _unobserved.install()
    _exit.install()
    _tick.watches += [
        _pass_over_more,
        _unawaited.watch,
        _unobserved.watch,
        _orphans.watch,
        _leaks.watch,
        _cancels.watch,
        _executors.watch,
        _exit.watch,
    ]


def _pass_over_more(loop: Any) -> None:
    for name in tuple(_LATER):
        module = sys.modules.get(name)
        if module is not None:
            _LATER.discard(name)
            _native.see_pass_over(module.__dict__)
    if not _LATER:
        _tick.watches.remove(_pass_over_more)
