"""V230: what is left when a loop ends.

- Tasks that are pending when the loop is closed, or when the process ends without closing it: what
  they were doing is lost. asyncio says so of some of them, when they are destroyed.
- Threads of the default executor that keep the loop from ending.

`asyncio.run()` cancels what `main()` has left running and waits for it: that is how it is meant to
be used, and what ends so is no finding (with `VIVACE_DIAG=dev` it is listed). A task that does not
end so is told of as V220, while the program hangs.
"""

from __future__ import annotations

import sys
import time
import weakref
from typing import Any

from vivace import _native

from ._findings import report
from ._settings import settings
from ._sites import canceller, describe, duration, waiting
from ._sites import data as task_data
from ._threads import is_thread_pool, jobs

#: Seconds for which threads may keep a loop from ending.
LIMIT = 1.0 if settings().dev else 3.0

_LISTED = 10

#: When a loop was first seen to wait for its threads.
_ending: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
#: Tasks that asyncio.run() has cancelled, as text and data; only with the dear detectors.
_cancelled: weakref.WeakKeyDictionary[Any, list[tuple[str, dict[str, Any]]]]
_cancelled = weakref.WeakKeyDictionary()


def closing(loop: Any) -> None:
    """A loop is about to be closed."""
    cancelled = _cancelled.pop(loop, None)
    if cancelled:
        _report_cancelled(cancelled)
    if not sys.is_finalizing():
        _report_pending(loop, "the loop was closed")


def at_exit() -> None:
    """The process ends."""
    from vivace import _loop

    for loop in list(_loop._loops):
        # One that runs does so in another thread, which is meant to end with the process.
        if not loop.is_closed() and not loop.is_running():
            _report_pending(loop, "the process ended")


def cancelled_by_run(task: Any) -> None:
    """`asyncio.run()` cancels a task that was left running; with the dear detectors only."""
    waits = waiting(task)
    line = f"{describe(task)}, {waits}" if waits.site else describe(task)
    found = task_data(task) | ({"waits": waits.site.data()} if waits.site else {})
    by = canceller(task)
    if by is not None and by.thrown is not None:
        # It was cancelled before that, and has gone on.
        line += f", cancelled by {by}"
        found["cancelled_by"] = by.data()
    _cancelled.setdefault(task.get_loop(), []).append((line, found))


def _report_cancelled(tasks: list[tuple[str, dict[str, Any]]]) -> None:
    lines = [("task" if not n else "", line) for n, (line, _) in enumerate(tasks[:_LISTED])]
    lines.append(("do", "nothing, if they are meant to end with the program; else await them"))
    title = f"{_count(len(tasks), 'task')} still running were cancelled by asyncio.run()"
    found = {"cancelled": [each for _, each in tasks], "tasks": [], "threads": []}
    report("V230", title, lines=lines, data=found)


def _report_pending(loop: Any, when: str) -> None:
    tasks = [task for task in _native.see_pending(loop) if task._log_destroy_pending]
    if not tasks:
        return
    lines: list[tuple[str, str]] = []
    found: list[dict[str, Any]] = []
    for task in reversed(tasks):
        waits = waiting(task)
        each = task_data(task) | ({"waits": waits.data()} if waits.site else {})
        by = canceller(task)
        text = f"{describe(task)}, {waits}" if waits.site else describe(task)
        if by is not None:
            text += f", cancelled by {by}"
            each["cancelled_by"] = by.data()
        found.append(each)
        if len(lines) < _LISTED:
            lines.append(("task" if not lines else "", text))
    if len(tasks) > _LISTED:
        lines.append(("", f"and {len(tasks) - _LISTED} more"))
    lines.append(("do", "await them, or cancel and await them, before the loop ends"))
    title = f"{_count(len(tasks), 'task')} still pending when {when}"
    first = found[0].get("waits") or found[0].get("created") or {}
    data = {key: first[key] for key in ("file", "line", "function") if key in first}
    report("V230", title, lines=lines, data=data | {"tasks": found, "threads": []})


def watch(loop: Any) -> None:
    """Once a second: whether a loop that is to end waits for its threads."""
    executor: Any = getattr(loop, "_default_executor", None)
    if not getattr(loop, "_executor_shutdown_called", False):
        return
    if not is_thread_pool(executor):
        return
    now = time.monotonic()
    since = _ending.setdefault(loop, now)
    if since < 0:
        return
    if now - since < LIMIT:
        # A loop that only waits would be looked at when its thread has long ended.
        _native.see_again(loop, since + LIMIT - now)
        return
    busy = jobs([thread for thread in tuple(executor._threads) if thread.is_alive()])
    if not busy:
        return
    _ending[loop] = -1.0
    waiting_for = duration(now - since)
    title = f"{_count(len(busy), 'executor thread')} kept the loop from ending for {waiting_for}"
    lines: list[tuple[str, str]] = []
    for job in busy[:_LISTED]:
        lines.append(("thread", f"{job.thread} at {job.site}   {job.site.source}"))
        lines += job.lines()
    lines.append(("do", "give what blocks a timeout; a thread cannot be ended from outside"))
    threads = [{"name": job.thread, "stack": [site.data() for site in job.stack]} for job in busy]
    data = busy[0].site.data() | {"threads": threads, "tasks": []}
    report("V230", title, lines=lines, data=data)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
