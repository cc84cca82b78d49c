"""V203: a task can never go on.

It waits for something that only the waiting tasks themselves still refer to: nobody is left who
could set the future, put into the queue or cancel the task. asyncio lets such a task be collected,
and nothing is ever heard of it; vivace's loops keep it, and here it is told.

The engine does the counting (`ffi/island.rs`): what it does not look at counts as somebody. It is
asked in slices of a millisecond, and only about tasks that nothing refers to but their loop and
what they wait for. Whoever is found has to be found twice, some seconds apart.
"""

from __future__ import annotations

import time
import weakref
from typing import Any

from vivace import _native

from ._findings import report
from ._settings import settings
from ._sites import coro_name, describe, waiting
from ._sites import data as task_data
from ._sites import lines as task_lines

#: Seconds between two rounds.
INTERVAL = 1.0 if settings().dev else 5.0
#: Nanoseconds that a slice may take.
SLICE = 1_000_000

_TOLD = 2

#: Cause and advice, if nobody reaches the tasks.
_UNREACHED = (
    "nobody else has what is waited for, or the task: it stays for ever",
    "keep what wakes it reachable, or end the task: a sentinel, cancel()",
)
#: The same, if nobody is left to do anything.
_FORSAKEN = (
    "nothing is left that could wake the loop but Ctrl-C: no timer, descriptor or thread",
    "end those who wait when nobody is left to wake them: a sentinel, cancel(), a timeout",
)


class _Round:
    """One look at all tasks of a loop, in slices."""

    def __init__(self) -> None:
        self.next_at = 0.0
        self.skip = 0
        #: Those of the last round, and of this one: a task and what it waits for, by id.
        self.before: set[tuple[int, int]] = set()
        self.now: set[tuple[int, int]] = set()


_rounds: weakref.WeakKeyDictionary[Any, _Round] = weakref.WeakKeyDictionary()


def watch(loop: Any) -> None:
    """Once a second: goes on with the round, or begins one."""
    if not isinstance(loop, _native.Loop):
        return
    state = _rounds.get(loop)
    if state is None:
        state = _rounds[loop] = _Round()
    if time.monotonic() < state.next_at:
        return
    islands, skip = _native.see_orphans(loop, state.skip, SLICE)
    groups: list[list[Any]] = []
    while islands:
        island = islands.pop()
        task = island[0]
        key = (id(task), id(task._fut_waiter))
        state.now.add(key)
        if key in state.before and not _has_weak_references(island):
            _join(groups, island)
    if skip >= 0:
        state.skip = skip
    else:
        state.skip = 0
        state.before, state.now = state.now, set()
        state.next_at = time.monotonic() + INTERVAL
    for group in groups:
        _report([each for each in group[::-1] if isinstance(each, _native.Task)], *_UNREACHED)


def report_forsaken(tasks: list[Any]) -> None:
    """Tell of tasks that wait for the same thing in a loop that nothing is left to wake.

    Who reaches them does not matter: he does not run any more, either.
    """
    _report(tasks, *_FORSAKEN)


def _has_weak_references(island: list[Any]) -> bool:
    """Whether somebody may yet reach one of the objects.

    A weak reference to a task is none: without the hold of our loops it would be dead by now.
    """
    passed_over = (type, _native.Task)
    return any(
        weakref.getweakrefcount(each) for each in island if not isinstance(each, passed_over)
    )


def _join(groups: list[list[Any]], island: list[Any]) -> None:
    """Islands that share something are one."""
    known = {id(each) for each in island}
    for group in groups:
        if any(id(each) in known for each in group):
            present = {id(each) for each in group}
            group += [each for each in island if id(each) not in present]
            return
    groups.append(island)


def _report(tasks: list[Any], cause: str, advice: str) -> None:
    tasks = [task for task in tasks if not task.done() and not _native.see_tell(task, _TOLD)]
    if not tasks:
        return
    first = tasks[0]
    waits = waiting(first)
    if len(tasks) == 1:
        title = f"{first.get_name()} {coro_name(first)}()"
    else:
        title = f"{len(tasks)} tasks: " + ", ".join(task.get_name() for task in tasks[:8])
    lines = task_lines(first)
    found: dict[str, Any] = {
        "task": task_data(first),
        "tasks": [task_data(task) for task in tasks],
    }
    place = str(found["task"].get("created"))
    if waits.site is not None:
        lines += waits.lines()
        found |= waits.site.data()
        place += f" {waits.site.file}:{waits.site.line}"
    found["waits"] = waits.what
    for task in tasks[1:8]:
        lines.append(("task", describe(task)))
        lines += waiting(task).lines()[:1]
    lines.append(("cause", cause))
    lines.append(("do", advice))
    report("V203", title, place=place, lines=lines, data=found)
