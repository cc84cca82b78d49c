"""Looks for deadlocks: V301, and V303 for locks that nobody is left to give back.

Two occasions:

- the loop is idle and nothing is left that could wake it: no timer, no descriptor, no call in a
  thread, no other thread at all, no signal handler. Then whoever waits, waits for ever, and one
  look is enough;
- every five seconds, in slices of a millisecond: tasks that have waited for longer than five
  seconds in a circle of locks, semaphores, and tasks. The same circle must be there in a second
  look at least a second later, with no task of it having run in between.

Nothing is ever raised into the program.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import (
    _acquisitions,
    _authors,
    _findings,
    _frames,
    _graph,
    _owners,
    _reach,
    _sites,
    _tasks,
    _waits,
)
from ._graph import Graph, Node

#: A look takes no longer than this at a time, in seconds.
SLICE = 0.001

#: Two looks at the same circle are so far apart at least, in seconds: a little less than what is
#: between two ticks, which are not exact.
APART = 0.9

#: Reports show no more tasks than this.
_SHOWN = 8


def _patience() -> float:
    """How long tasks have waited that are looked at, and how often, in seconds."""
    try:
        return max(0.0, float(os.environ.get("VIVACE_DIAG_DEADLOCK", "5")))
    except ValueError:
        return 5.0


PATIENCE = _patience()

#: What tells a circle from another: its tasks and their stamps.
_Key = frozenset[tuple[int, int]]


@dataclass(slots=True)
class _Looking:
    """What is remembered of a loop between looks."""

    #: `time.monotonic` of the next one.
    next: float = 0.0
    work: Iterator[None] | None = None
    #: By task: its stamp, and since when it has had it.
    resting: dict[int, tuple[int, float]] = field(default_factory=dict)
    #: What the tasks waited for at the last look; they hold no references.
    nodes: dict[int, Node] = field(default_factory=dict)
    #: Circles, and when they were seen first.
    seen: dict[_Key, float] = field(default_factory=dict)
    reported: set[_Key] = field(default_factory=set)
    #: The tasks of the last look at an idle loop: the same ones need none.
    idle: _Key = frozenset()


_loops: weakref.WeakKeyDictionary[Any, _Looking] = weakref.WeakKeyDictionary()


def count(loop: Any) -> int:
    """How many tasks of a loop are in circles that were reported and still are there."""
    looking = _loops.get(loop)
    if looking is None or not looking.reported:
        return 0
    known = set().union(*looking.reported)
    now = {(id(task), _graph.stamp_of(task)) for task in _tasks.of_loop(loop)}
    return len(known & now)


def watch(loop: Any) -> None:
    """Look, or go on looking."""
    looking = _loops.get(loop)
    if looking is None:
        looking = _loops[loop] = _Looking()
    now = time.monotonic()
    if is_idle(loop):
        _look_at_idle(loop, looking, _tasks.of_loop(loop), now)
        return
    if looking.work is None:
        if now < looking.next:
            return
        looking.work = _look(loop, looking, now)
    _slice(looking)


def _slice(looking: _Looking) -> None:
    end = time.perf_counter() + SLICE
    assert looking.work is not None
    for _ in looking.work:
        if time.perf_counter() >= end:
            return
    looking.work = None


def _look(loop: Any, looking: _Looking, now: float) -> Iterator[None]:
    """One look at all tasks, with pauses."""
    references = [weakref.ref(task) for task in _tasks.of_loop(loop)]
    yield
    resting: dict[int, tuple[int, float]] = {}
    nodes: dict[int, Node] = {}
    moving = []
    for reference in references:
        task = reference()
        if task is not None and not task.done():
            stamp = _graph.stamp_of(task)
            known = looking.resting.get(id(task))
            since = known[1] if known is not None and known[0] == stamp else now
            resting[id(task)] = (stamp, since)
            if now - since < PATIENCE:
                moving.append(reference)
            else:
                before = looking.nodes.get(id(task))
                # What waits for a socket goes on doing so; anything else may have changed.
                same = before is not None and before.stamp == stamp and before.outside
                nodes[id(task)] = before if same and before else _graph.look(task)
        del task
        yield
    looking.resting = resting
    looking.nodes = nodes
    looking.next = now + max(APART, PATIENCE)
    if not nodes:
        looking.seen.clear()
        return
    if any(node.kind in _graph.SEMAPHORES for node in nodes.values()):
        # Others may be inside, and leave.
        for reference in moving:
            task = reference()
            if task is not None and not task.done():
                nodes[id(task)] = _graph.look(task)
            del task
            yield
    alive = {id(task): task for task in _tasks.of_loop(loop)}
    nodes = {
        task: node
        for task, node in nodes.items()
        if task in alive and node.stamp == _graph.stamp_of(alive[task])
    }
    graph = Graph(nodes, idle=False, tasks=alive)
    seen = {}
    for cycle in graph.cycles():
        if any(now - resting[task][1] < PATIENCE for task in cycle):
            continue
        key = frozenset((task, nodes[task].stamp) for task in cycle)
        first = looking.seen.get(key)
        seen[key] = now if first is None else first
        if first is None or now - first < APART:
            looking.next = now + APART
        elif key not in looking.reported and not _others_release(loop, graph, cycle, alive):
            looking.reported.add(key)
            _report(loop, graph, cycle, alive, min(resting[task][1] for task in cycle))
    looking.seen = seen
    _report_abandoned(loop, graph, alive, looking, resting, idle=False)


def _look_at_idle(loop: Any, looking: _Looking, tasks: list[Any], now: float) -> None:
    """Nothing will wake this loop."""
    state = frozenset((id(task), _graph.stamp_of(task)) for task in tasks)
    if not tasks or state == looking.idle:
        return
    looking.idle = state
    looking.work = None
    alive = {id(task): task for task in tasks}
    nodes = {id(task): _graph.look(task) for task in tasks}
    if any(node.awake or node.outside or node.until is not None for node in nodes.values()):
        return
    since = {task: looking.resting.get(task, (node.stamp, now))[1] for task, node in nodes.items()}
    graph = Graph(nodes, idle=True, tasks=alive)
    for cycle in graph.cycles():
        key = frozenset((task, nodes[task].stamp) for task in cycle)
        if key not in looking.reported:
            looking.reported.add(key)
            _report(loop, graph, cycle, alive, min(since[task] for task in cycle))
    resting = {task: (nodes[task].stamp, since[task]) for task in nodes}
    _report_abandoned(loop, graph, alive, looking, resting, idle=True)


# Whether anything could still happen.


def is_idle(loop: Any) -> bool:
    """Whether nothing is left that could wake a task of the loop, seen from inside of it."""
    return (
        loop._ready_length() == 0
        and loop._descriptor_count() <= _own_descriptors(loop)
        and all(handle.cancelled() for handle in loop._timer_handles())
        and not loop._signal_handlers
        and not _handles_signals()
        and not _other_threads(loop)
    )


def _own_descriptors(loop: Any) -> int:
    """How many of the loop's descriptors are its own."""
    own = getattr(loop, "_ssock", None)
    return int(own is not None and loop._watched(own.fileno()) is not None)


def _handles_signals() -> bool:
    """Whether a function of the program runs when a signal comes."""
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if callable(handler) and handler not in (signal.default_int_handler,):
            owner = getattr(getattr(handler, "func", handler), "__self__", None)
            # asyncio.run's own: it cancels the main task.
            if not isinstance(owner, asyncio.Runner):
                return True
    return False


def _other_threads(loop: Any) -> bool:
    """Whether another thread runs Python code, those apart that wait for work of the loop."""
    others = set(sys._current_frames()) - {threading.get_ident()}
    if not others:
        return False
    executor: Any = getattr(loop, "_default_executor", None)
    threads = getattr(executor, "_threads", ())
    resting = getattr(executor, "_idle_semaphore", None)
    if resting is not None and executor._work_queue.empty() and resting._value >= len(threads):
        others -= {thread.ident for thread in threads}
    return bool(others)


# Reports.


def _report(loop: Any, graph: Graph, cycle: list[int], tasks: dict[int, Any], since: float) -> None:
    verdict = graph.verdict(cycle)
    waited = time.monotonic() - since
    described = [_describe(graph, tasks, task) for task in cycle]
    lines = [("", _sentence(entry)) for entry in described[:_SHOWN]]
    lines[0] = ("task", lines[0][1])
    if len(described) > _SHOWN:
        lines.append(("", f"and {len(described) - _SHOWN} more in the circle"))
    lines += _wakers(graph, cycle, tasks)
    behind = graph.behind(cycle)
    if behind:
        lines.append(("effect", f"{behind} more {_tasks_wait(behind)} for them"))
    lines.append(("do", _advice(graph, cycle)))
    count = f"{len(cycle)} task{'s' if len(cycle) > 1 else ''}"
    first = described[0]["waits"]
    _findings.report(
        "V301",
        f"({verdict}) {count}, {waited:.0f} s" if waited >= 1 else f"({verdict}) {count}",
        loop=_number(loop),
        place=" ".join(sorted(f"{e['waits']['file']}:{e['waits']['line']}" for e in described)),
        lines=lines,
        data={
            "verdict": verdict,
            "file": first["file"],
            "line": first["line"],
            "function": first["function"],
            "waited": round(waited, 3),
            "behind": behind,
            "tasks": described,
        },
    )


def _wakers(graph: Graph, cycle: list[int], tasks: dict[int, Any]) -> list[tuple[str, str]]:
    """Of queues, events and the like: who could end the wait, as far as can be seen."""
    lines: list[tuple[str, str]] = []
    for task in cycle[:_SHOWN]:
        if graph.nodes[task].kind in _graph.SIGNALLED:
            names = sorted(_waits.task_name(tasks[edge.to]) for edge in graph.edges[task])
            wait = _waits.describe(tasks[task])
            can = f"{', '.join(names[:_SHOWN])} can reach {wait.text}"
            lines.append(("" if lines else "wakers", f"of {_waits.task_name(tasks[task])}: {can}"))
    return lines


def _tasks_wait(count: int) -> str:
    return "task waits" if count == 1 else "tasks wait"


def _number(loop: Any) -> int:
    return int(getattr(loop, "_see_number", 0))


def _describe(graph: Graph, tasks: dict[int, Any], identity: int) -> dict[str, Any]:
    """A task of a circle: what it holds that the one before wants, and what it waits for."""
    task, node = tasks[identity], graph.nodes[identity]
    wait = _waits.describe(task)
    wanted = {other.thing for other in graph.nodes.values() if other.thing != id(None)}
    holds = []
    things = {id(_graph._lock_in(h.thing)): h.thing for h in _owners.holdings(wait.frames)}
    for held in node.held:
        if held.thing not in wanted:
            continue
        thing = things.get(held.thing)
        kind = _kind(thing)
        name = _graph.held_name(thing, wait.frames) if thing is not None else ""
        holds.append(
            {
                "what": f'{kind} "{name}"' if name else kind,
                "file": held.file,
                "line": held.line,
                "function": held.function,
            }
        )
    return {
        "name": _waits.task_name(task),
        "coro": _function(task, wait.frames),
        "holds": holds,
        "waits": {
            "kind": node.kind,
            "text": wait.text,
            "file": wait.file,
            "line": wait.line,
            "function": wait.function,
        },
    }


def _kind(thing: Any) -> str:
    """``Lock``, ``anyio Lock``."""
    if thing is None:
        return "Lock"
    kind = type(thing)
    library = "anyio " if kind.__module__.partition(".")[0] == "anyio" else ""
    return f"{library}{kind.__name__.removesuffix('Adapter')}"


def _function(task: Any, frames: list[_frames.Frame]) -> str:
    """The function of a task: the program's, where a library has put one around it."""
    for frame in frames:
        if _authors.author(frame.code.co_filename) == _authors.USER:
            return frame.code.co_qualname
    return _sites.coro_name(task)


def _sentence(entry: dict[str, Any]) -> str:
    waits = entry["waits"]
    holds = ", ".join(
        f"{held['what']} ({_sites.shown(held['file'])}:{held['line']})" for held in entry["holds"]
    )
    middle = f"  holds {holds}" if holds else ""
    place = f"{_sites.shown(waits['file'])}:{waits['line']}"
    return f"{entry['name']} {entry['coro']}(){middle}  waits for {waits['text']} at {place}"


def _advice(graph: Graph, cycle: list[int]) -> str:
    kinds = {graph.nodes[task].kind for task in cycle}
    if len(cycle) == 1:
        return "do not take again what this task already holds: pass it on, or split the function"
    if kinds <= {"Lock", "anyio Lock"}:
        return "take the locks in one order everywhere"
    if any("Semaphore" in kind or "Limiter" in kind for kind in kinds):
        return "do not await, while inside, a task that needs to get inside, too"
    if any(kind.startswith("Queue") for kind in kinds):
        return "let one side take out before it puts in, or give one queue no limit"
    if kinds & {"Lock", "anyio Lock"}:
        return "do not await, while holding a lock, a task that needs the lock"
    return "let one of them end without the other"


# V303: nobody is left to give the lock back.


def _report_abandoned(
    loop: Any,
    graph: Graph,
    tasks: dict[int, Any],
    looking: _Looking,
    resting: dict[int, tuple[int, float]],
    *,
    idle: bool,
) -> None:
    now = time.monotonic()
    waiting: dict[int, list[int]] = {}
    for node in graph.nodes.values():
        wants = node.kind in ("Lock", "Semaphore") and node.taken and node.task in tasks
        if wants and node.task not in graph.timed and not graph.owners(node):
            waiting.setdefault(node.thing, []).append(node.task)
    for waiters in waiting.values():
        first = waiters[0]
        since = min(resting[task][1] for task in waiters)
        key = frozenset((task, graph.nodes[task].stamp) for task in waiters)
        if key in looking.reported or (not idle and now - since < PATIENCE):
            continue
        wait = _waits.describe(tasks[first])
        _, lock = _graph.target(wait)
        taken = _acquisitions.of_lock(lock)
        ended = [one for one in taken if (task := one.task()) is None or task.done()]
        if taken and len(ended) < len(taken):
            continue
        if not (ended or idle) or _may_be_released(loop, tasks, waiters, lock):
            continue
        looking.reported.add(key)
        _abandoned(loop, tasks, waiters, wait, ended)


def _others_release(loop: Any, graph: Graph, cycle: list[int], tasks: dict[int, Any]) -> bool:
    """Whether somebody outside of a circle may give back what one inside of it took by hand."""
    by_hand = {held.thing for task in cycle for held in graph.nodes[task].held if held.by_hand}
    for identity in cycle:
        if graph.nodes[identity].thing in by_hand:
            _, lock = _graph.target(_waits.describe(tasks[identity], named=False))
            if _may_be_released(loop, tasks, cycle, lock):
                return True
    return False


def _may_be_released(loop: Any, tasks: dict[int, Any], waiters: list[int], lock: Any) -> bool:
    """Whether a timer or a task, other than the waiters, has a `release` in its code and reaches
    the lock."""
    return any(_reach.calls(handle, lock, {"release"}) for handle in loop._timer_handles()) or any(
        _reach.can_reach(task, lock, {"release"})
        for identity, task in tasks.items()
        if identity not in waiters
    )


def _abandoned(
    loop: Any, tasks: dict[int, Any], waiters: list[int], wait: _waits.Wait, ended: list[Any]
) -> None:
    entries = [_waits.describe(tasks[waiter]) for waiter in waiters[:_SHOWN]]
    lines = []
    taken = None
    for one in ended:
        lines.append(
            (
                "holder",
                f"{one.task_name}, which has ended; taken at {_sites.shown(one.file)}:{one.line}",
            )
        )
        taken = {"task": one.task_name, "file": one.file, "line": one.line}
    if not ended:
        lines.append(
            (
                "holder",
                "no live `async with`: it was taken by acquire(), and no task is left that "
                "can be seen to release it",
            )
        )
    for waiter, entry in zip(waiters, entries, strict=False):
        place = f"{_sites.shown(entry.file)}:{entry.line}"
        task = tasks[waiter]
        function = _function(task, entry.frames)
        text = f"{_waits.task_name(task)} {function}()  waits for {entry.text} at {place}"
        lines.append(("task", text))
    lines.append(("do", "use `async with`, which gives back on every way out"))
    if not ended:
        lines.append(("", "`vivace run --dev` tells who took it, and where"))
    _findings.report(
        "V303",
        f"{wait.text}, {len(waiters)} {_tasks_wait(len(waiters))} for it",
        loop=_number(loop),
        place=f"{wait.file}:{wait.line}",
        lines=lines,
        data={
            "verdict": _graph.CERTAIN if ended else _graph.LIKELY,
            "file": wait.file,
            "line": wait.line,
            "function": wait.function,
            "taken": taken,
            "tasks": [
                {
                    "name": _waits.task_name(tasks[waiter]),
                    "coro": _function(tasks[waiter], entry.frames),
                }
                for waiter, entry in zip(waiters, entries, strict=False)
            ],
        },
    )


def begin(dev: bool) -> None:
    """Look from now on."""
    from . import _tick

    if dev:
        _acquisitions.install()
    _tick.watches.append(watch)
