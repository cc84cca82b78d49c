"""V202: a task failed, and nobody looked at it.

asyncio says so when the task is destroyed, which for a task in a list or a global variable may be
never. Here it is said after some seconds, and at the latest when the task is destroyed or the
process ends; once in any case. Whether somebody has looked is what asyncio itself goes by:
`result()` or `exception()` was called, or another task has awaited it.

Nothing is done for a task that does not fail. One that fails while no task waits for it is noted
by a weak reference in `_lost.failures`, by the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from types import TracebackType
from typing import Any

from vivace import _native

from ._authors import is_library
from ._findings import report
from ._lost import failures as _failures
from ._settings import settings
from ._sites import Site, duration
from ._sites import data as task_data
from ._sites import lines as task_lines

#: Seconds after which a failure should have been looked at.
LIMIT = 1.0 if settings().dev else 5.0

#: A bit of `_native.see_tell`.
_TOLD = 1

#: How often it was found; and how often somebody looked later.
counters = {"unobserved": 0, "retracted": 0}

_Weak = weakref.ReferenceType[Any]
#: When it was seen here first, and the task.
_waiting: list[tuple[float, _Weak]] = []
#: Tasks that were reported.
_reported: list[_Weak] = []
_REPORTED = 1000


def watch(loop: Any) -> None:
    """Once a second: whoever has failed some time ago and was not asked."""
    now = time.monotonic()
    if _failures:
        _waiting.extend((now, weak) for weak in _taken())
    if _waiting:
        _waiting[:] = [each for each in _waiting if _is_to_wait(*each, now, loop)]
    if _reported:
        _reported[:] = [weak for weak in _reported[-_REPORTED:] if not _is_settled(weak)]


def _taken() -> list[_Weak]:
    """What was noted, taken out one by one: loops in other threads note and take, too."""
    found = []
    with contextlib.suppress(IndexError):
        while True:
            found.append(_failures.pop())
    return found[::-1]


def _is_to_wait(since: float, weak: _Weak, now: float, loop: Any) -> bool:
    task = weak()
    if task is None or not task._log_traceback:
        return False
    if now - since < LIMIT or task.get_loop() is not loop:
        return True
    _report(task, f"{duration(now - since)} ago, and nobody has asked for the result")
    _reported.append(weak)
    return False


def _is_settled(weak: _Weak) -> bool:
    task = weak()
    if task is None:
        return True
    if not task._log_traceback:
        counters["retracted"] += 1
        return True
    return False


def destroyed(task: Any) -> None:
    """A task goes while nobody has looked at its failure: asyncio is about to log it."""
    _report(task, "and is gone: nobody can ask for the result any more")


def at_exit() -> None:
    """The process ends: whoever is to look at a failure should have done so."""
    for weak in (*_taken(), *(weak for _, weak in _waiting)):
        task = weak()
        if task is not None and task._log_traceback:
            _report(task, "and nobody has asked for the result until the process ended")


def _report(task: Any, since: str) -> None:
    error = task._exception
    if error is None or isinstance(error, KeyboardInterrupt | SystemExit):
        return
    if _native.see_tell(task, _TOLD):
        return
    counters["unobserved"] += 1
    site = _raised_at(error.__traceback__)
    title = f"{task.get_name()} {type(error).__name__}: {error}"
    lines = [*task_lines(task), ("failed", since)]
    found: dict[str, Any] = {
        "task": task_data(task),
        "error": {"type": type(error).__qualname__, "message": str(error)},
    }
    place = f"{type(error).__qualname__} {found['task'].get('created')}"
    if site is not None:
        found |= site.data()
        place += f" {site.file}:{site.line}"
        lines.append(("raised", f"at {site}"))
        if site.source:
            lines.append(("", site.source))
    lines.append(("do", "await the task, or look at it in add_done_callback(); see TaskGroup"))
    report("V202", title, place=place, lines=lines, data=found)


def _raised_at(trace: TracebackType | None) -> Site | None:
    """The innermost line of the program in a traceback, or else the innermost line."""
    found = None
    while trace is not None:
        code = trace.tb_frame.f_code
        if found is None or not is_library(code.co_filename) or is_library(found.file):
            found = Site(code.co_filename, trace.tb_lineno, code.co_qualname)
        trace = trace.tb_next
    return found


def pending() -> list[asyncio.Task[Any]]:
    """Tasks that have failed and that nobody has asked yet."""
    tasks = [weak() for weak in (*_failures, *(weak for _, weak in _waiting), *_reported)]
    return [task for task in tasks if task is not None and task._log_traceback]
