"""V220: a task goes on although it was asked to cancel; and who asked.

A task may need time to tidy up: while it handles the `CancelledError` nothing is said. It is told
of when it has caught the error, has left the handler, nobody has taken the request back
(`uncancel()`, which `asyncio.timeout()` does), and it still waits for something some seconds later.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from vivace import _native

from ._findings import report
from ._settings import settings
from ._sites import canceller, coro_name, duration, waiting
from ._sites import data as task_data
from ._sites import lines as task_lines

#: Seconds after which a task should have ended.
LIMIT = 1.0 if settings().dev else 5.0

_TOLD = 4


def watch(loop: Any) -> None:
    """Once a second: whoever was asked some time ago."""
    if not isinstance(loop, _native.Loop):
        return
    for task in _native.see_ignoring(loop, LIMIT):
        if not is_tidying_up(task) and not _native.see_tell(task, _TOLD):
            _report(task)


def is_tidying_up(task: Any) -> bool:
    """Whether a task that waits handles a `CancelledError`, in an `except` or a `finally`."""
    coro = task.get_coro()
    for _ in range(100):
        if coro is None:
            return False
        # The exception that a coroutine handles is among what it refers to.
        if any(isinstance(each, asyncio.CancelledError) for each in gc.get_referents(coro)):
            return True
        coro = (
            getattr(coro, "cr_await", None)
            or getattr(coro, "gi_yieldfrom", None)
            or getattr(coro, "ag_await", None)
        )
    return False


def _report(task: Any) -> None:
    by = canceller(task)
    if by is None or by.thrown is None:
        return
    title = f"{task.get_name()} {coro_name(task)}() goes on for {duration(by.thrown)}"
    lines = [*task_lines(task), ("by", str(by))]
    found: dict[str, Any] = {"task": task_data(task), "cancelled_by": by.data()}
    waits = waiting(task)
    place = coro_name(task)
    if waits.site is not None:
        lines += waits.lines()
        found |= waits.site.data()
        place += f" {waits.site.file}:{waits.site.line}"
    lines.append(("do", "tidy up, and then raise CancelledError again"))
    report("V220", title, place=place, lines=lines, data=found)
