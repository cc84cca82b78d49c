"""Looks for deadlocks: V301, and V303 for locks that nobody is left to give back.

What is said of them is in `_deadlock_reports`. Of an idle loop, V203 is told as well: tasks that
wait for an event, a queue or a future for which nobody is left.

Two occasions:

- the loop is idle and nothing is left that could wake it: no timer, no descriptor, no call in a
  thread, no other thread at all, no signal handler. Then whoever waits, waits for ever, and one
  look is enough;
- every five seconds, in slices of a millisecond: tasks that have waited for longer than five
  seconds in a circle of locks, semaphores, and tasks. The same circle must be there in a second
  look at least a second later, with no task of it having run in between. Of very many tasks those
  are looked at that may be in a circle (`_many`).

Nothing is ever raised into the program.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from vivace import _native

from . import _acquisitions, _deadlock_reports, _graph, _idle, _many, _reach, _tasks, _waits
from ._graph import Graph, Node
from ._settings import settings

#: A look takes no longer than this at a time, in seconds.
SLICE = 0.001

#: Two looks at the same circle are so far apart at least, in seconds: a little less than what is
#: between two ticks, which are not exact.
APART = 0.9


#: How long tasks have waited that are looked at, and how often, in seconds.
PATIENCE = settings().deadlock

#: Of more tasks than these only some are looked at: see `_many`.
MOST = 2_000

#: What tells a circle from another: its tasks and their stamps.
_Key = frozenset[tuple[int, int]]


@dataclass(slots=True)
class _Looking:
    """What is remembered of a loop between looks."""

    #: `time.monotonic` of the next one.
    next: float = 0.0
    work: Iterator[None] | None = None
    #: Of tasks of another make: the stamp, and since when it has been the same.
    resting: dict[int, tuple[int, float]] = field(default_factory=dict)
    #: What tasks waited for at the last look: those that wait for something outside of the loop,
    #: or, of very many, all that were looked at. They hold no references.
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
    if _idle.is_idle(loop):
        _look_at_idle(loop, looking, _tasks.of_loop(loop), now)
        return
    if looking.work is None:
        if now < looking.next:
            _ask_for_second_look(loop, looking)
            return
        looking.work = _look(weakref.ref(loop), looking, now)
    _slice(looking)
    # A loop that sleeps would be looked at more and more seldom.
    if looking.work is not None:
        _native.see_again(loop, 1.0)
    else:
        _ask_for_second_look(loop, looking)


def _ask_for_second_look(loop: Any, looking: _Looking) -> None:
    """If there is something to be seen twice: in time, also if the last tick was a bit early."""
    if looking.seen.keys() - looking.reported:
        _native.see_again(loop, max(0.001, looking.next - time.monotonic()))


def _slice(looking: _Looking) -> None:
    end = time.perf_counter() + SLICE
    assert looking.work is not None
    for _ in looking.work:
        if time.perf_counter() >= end:
            return
    looking.work = None


def _look(of: weakref.ref[Any], looking: _Looking, now: float) -> Iterator[None]:
    """One look at all tasks of a loop, with pauses; between them it keeps nothing alive."""
    many = _native.see_tasks(0)[1] > MOST
    references: list[weakref.ref[Any]] = []
    if many:
        for reference in _many.candidates(of, PATIENCE):
            if reference is None:
                yield
            else:
                references.append(reference)
    else:
        references += map(weakref.ref, _tasks.of_loop(of()))
    yield
    resting: dict[int, tuple[int, float]] = {}
    nodes: dict[int, Node] = {}
    moving = []
    for reference in references:
        task = reference()
        if task is not None and not task.done():
            stamp = _graph.stamp_of(task)
            since = _since(looking, task, stamp, now)
            resting[id(task)] = (stamp, since)
            if now - since < PATIENCE:
                moving.append(reference)
            else:
                before = looking.nodes.get(id(task))
                # What waits for a socket goes on doing so; anything else may have changed, and is
                # looked at once more if it matters.
                same = before is not None and before.stamp == stamp and (many or before.outside)
                nodes[id(task)] = before if same and before else _graph.look(task)
        del task
        yield
    looking.resting = {task: rest for task, rest in resting.items() if rest[0] < 0}
    looking.nodes = nodes if many else {task: node for task, node in nodes.items() if node.outside}
    looking.next = now + max(APART, PATIENCE)
    if many:
        nodes, references = yield from _choose(of, looking, now, nodes, references, resting)
    if not nodes:
        looking.seen.clear()
        return
    if not many and any(node.kind in _graph.SEMAPHORES for node in nodes.values()):
        # Others may be inside, and leave.
        for reference in moving:
            task = reference()
            if task is not None and not task.done():
                nodes[id(task)] = _graph.look(task)
            del task
            yield
    loop = of()
    if loop is None:
        return
    if many:
        alive = {id(task): task for each in references if (task := each()) and not task.done()}
    else:
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
        elif key not in looking.reported and not _others_release(loop, graph, cycle):
            looking.reported.add(key)
            _deadlock_reports.report_cycle(
                loop, graph, cycle, alive, min(resting[task][1] for task in cycle)
            )
    looking.seen = seen
    if not many:
        _report_abandoned(loop, graph, alive, looking, resting, idle=False)


#: What is to be judged: the nodes, and references to their tasks.
_Chosen = tuple[dict[int, Node], list[weakref.ref[Any]]]


def _choose(
    of: weakref.ref[Any],
    looking: _Looking,
    now: float,
    nodes: dict[int, Node],
    references: list[weakref.ref[Any]],
    resting: dict[int, tuple[int, float]],
) -> Generator[None, None, _Chosen]:
    """Of very many tasks those that may be in a circle, as they are now."""
    tied = yield from _many.tied(nodes)
    chosen: dict[int, Node] = {}
    kept: list[weakref.ref[Any]] = []

    def keep(reference: weakref.ref[Any], task: Any, node: Node) -> None:
        if id(task) not in chosen:
            kept.append(reference)
        chosen[id(task)] = node
        resting.setdefault(id(task), (node.stamp, _since(looking, task, node.stamp, now)))

    if not tied:
        return chosen, kept
    for reference in references:
        task = reference()
        if task is not None and id(task) in tied and not task.done():
            keep(reference, task, _graph.look(task))
        del task
        yield
    wanted = {node.thing for node in chosen.values() if node.kind in _graph.SEMAPHORES}
    if not wanted:
        return chosen, kept
    # Others may be inside, and leave: also those that wait for nobody.
    for each in _many.candidates(of, 0.0, everyone=True):
        task = None if each is None else each()
        if each is not None and task is not None and not task.done() and id(task) not in chosen:
            node = _graph.look(task)
            if any(held.thing in wanted for held in node.held):
                keep(each, task, node)
        del task
        yield
    return chosen, kept


def _since(looking: _Looking, task: Any, stamp: int, now: float) -> float:
    """Since when a task has not run."""
    if stamp >= 0:
        rested: int = task._see_numbers[5]
        return now - rested / 1e9
    known = looking.resting.get(id(task))
    return known[1] if known is not None and known[0] == stamp else now


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
    since = {key: _since(looking, task, nodes[key].stamp, now) for key, task in alive.items()}
    graph = Graph(nodes, idle=True, tasks=alive)
    for cycle in graph.cycles():
        key = frozenset((task, nodes[task].stamp) for task in cycle)
        if key not in looking.reported:
            looking.reported.add(key)
            _deadlock_reports.report_cycle(
                loop, graph, cycle, alive, min(since[task] for task in cycle)
            )
    resting = {task: (nodes[task].stamp, since[task]) for task in nodes}
    _report_abandoned(loop, graph, alive, looking, resting, idle=True)
    _report_forsaken(graph, alive)


# V203: nobody is left to do what is waited for.


def _report_forsaken(graph: Graph, tasks: dict[int, Any]) -> None:
    """Where all waiting in an idle loop ends: tasks that wait for no task and for no lock."""
    groups: dict[tuple[str, int], list[Any]] = {}
    for node in graph.nodes.values():
        ends = node.kind in _graph.SIGNALLED or (node.kind in _graph.TASKS and node.others)
        if ends and node.task in graph.stuck and not graph.edges[node.task]:
            groups.setdefault((node.kind, node.thing), []).append(tasks[node.task])
    if not groups or _idle.has_foreign_threads():
        return
    from . import _orphans

    for group in groups.values():
        _orphans.report_forsaken(group)


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
        _deadlock_reports.report_abandoned(loop, tasks, waiters, wait, ended)


def _others_release(loop: Any, graph: Graph, cycle: list[int]) -> bool:
    """Whether somebody outside of a circle may give back what one inside of it took by hand."""
    tasks = {id(task): task for task in _tasks.of_loop(loop)}
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
