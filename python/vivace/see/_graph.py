"""The wait graph: who cannot go on until somebody else does, and where that runs in a circle.

A node is a task. It holds no reference to anything of the program, only identities and texts:
nothing may live longer because it was looked at. An identity stays valid as long as the task has
not moved, since its frames keep what they wait for and what they hold; that it has not is seen by
its stamp.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import _acquisitions, _owners, _reach, _waits

#: Waits that one of several tasks ends by calling something, none of which owns anything.
SIGNALLED = {
    "Event": {"set"},
    "Condition": {"notify", "notify_all"},
    "Queue.get": {"put", "put_nowait"},
    "Queue.put": {"get", "get_nowait"},
    "Queue.join": {"task_done"},
    "Barrier": {"wait", "abort", "reset"},
    "future": {"set_result", "set_exception"},
    "anyio Event": {"set"},
    "anyio stream.receive": {"send", "send_nowait", "clone"},
    "anyio stream.send": {"receive", "receive_nowait", "clone"},
}

LOCKS = {"Lock", "anyio Lock"}
SEMAPHORES = {"Semaphore", "anyio Semaphore", "anyio CapacityLimiter"}
TASKS = {"task", "gather", "TaskGroup", "wait", "as_completed", "shield", "wait_for"}

CERTAIN, LIKELY, SUSPECT = "certain", "likely", "suspect"


@dataclass(slots=True)
class Held:
    """Something that a task is inside of."""

    thing: int
    file: str
    line: int
    function: str
    #: It was taken by ``acquire()`` and is known by ``--dev``.
    by_hand: bool = False


@dataclass(slots=True)
class Node:
    """A task as it was when it was looked at."""

    task: int
    stamp: int
    kind: str
    #: What it waits for.
    thing: int
    until: float | None
    outside: bool
    any_of: bool
    cancels: bool
    #: The tasks behind what it waits for, and how many other futures.
    on: tuple[int, ...] = ()
    others: int = 0
    held: list[Held] = field(default_factory=list)
    #: Of a lock: whether it is taken; of a semaphore, whether nothing is free.
    taken: bool = False
    #: Of a semaphore: how many may be inside, if that is known.
    limit: int | None = None
    #: Owners that the primitive itself knows (anyio).
    owners: tuple[int, ...] = ()

    @property
    def awake(self) -> bool:
        return self.kind in _waits.AWAKE


@dataclass(slots=True)
class Edge:
    """That a task waits for another one."""

    to: int
    #: How sure it is that only the other one can help.
    verdict: str


def stamp_of(task: Any) -> int:
    """A number that no other task has had, and that changes whenever the task has run.

    Of tasks of another make it is -1: they are told apart by what they wait for only.
    """
    numbers = getattr(task, "_see_numbers", None)
    return (int(numbers[0]) << 64) + int(numbers[1]) if numbers else -1


def look(task: Any) -> Node:
    """The node of a task."""
    wait = _waits.describe(task, named=False)
    kind, thing = target(wait)
    on: list[int] = []
    others = 0
    for awaited in wait.on:
        if awaited is None or awaited.done():
            continue
        behind = [other for other in _waits.tasks_behind(awaited) if not other.done()]
        on.extend(map(id, behind))
        others += not behind
    node = Node(
        id(task),
        stamp_of(task),
        kind,
        id(thing),
        wait.until,
        wait.outside,
        wait.any_of,
        wait.cancels,
        tuple(on),
        others,
    )
    for holding in _owners.holdings(wait.frames):
        held = lock_in(holding.thing)
        node.held.append(Held(id(held), holding.file, holding.line, holding.function))
    for acquired in _acquisitions.of_task(task):
        if all(held.thing != acquired.thing for held in node.held):
            node.held.append(
                Held(acquired.thing, acquired.file, acquired.line, acquired.function, by_hand=True)
            )
    _read_primitive(node, thing)
    return node


def target(wait: _waits.Wait) -> tuple[str, Any]:
    """What a task waits for in truth: a condition that was notified waits for its lock."""
    if wait.kind == "Condition":
        for frame in wait.frames:
            if frame.code.co_qualname == "Lock.acquire":
                return "Lock", frame.get("self")
    return wait.kind, wait.object


def lock_in(thing: Any) -> Any:
    """The lock that is taken by entering a condition, else the thing itself."""
    return getattr(thing, "_lock", thing) if isinstance(thing, asyncio.Condition) else thing


def _read_primitive(node: Node, thing: Any) -> None:
    if node.kind == "Lock":
        node.taken = bool(thing.locked())
    elif node.kind == "Semaphore":
        node.taken = bool(thing.locked())
        node.limit = getattr(thing, "_bound_value", None)
    elif node.kind == "anyio Lock":
        node.taken = thing._owner_task is not None
        node.owners = (id(thing._owner_task),)
    elif node.kind == "anyio CapacityLimiter":
        node.taken = thing.available_tokens <= 0
        node.owners = tuple(id(borrower) for borrower in thing._borrowers)
        node.limit = len(node.owners)
    elif node.kind == "anyio Semaphore":
        node.taken = thing.value == 0


class Graph:
    """Who waits for whom.

    Args:
        nodes: By the identity of the task.
        idle: Nothing but the tasks themselves could wake one of them.
        tasks: The tasks themselves, for who can reach what; only while this is made.
    """

    def __init__(self, nodes: dict[int, Node], idle: bool, tasks: dict[int, Any]) -> None:
        self.nodes = nodes
        self.idle = idle
        self._tasks = tasks
        self._inside: dict[int, list[int]] = {}
        for node in nodes.values():
            for held in node.held:
                self._inside.setdefault(held.thing, []).append(node.task)
        self.timed = self._under_timeouts()
        #: By the identity of a task: what it waits for.
        self.edges = {node.task: self._edges(node) for node in nodes.values()}
        self.stuck = self._stuck()

    def _under_timeouts(self) -> set[int]:
        """The tasks that a timeout ends, their own or that of one that waits for them."""
        found: set[int] = set()
        new = [node.task for node in self.nodes.values() if node.until is not None]
        while new:
            task = new.pop()
            if task in found:
                continue
            found.add(task)
            node = self.nodes.get(task)
            if node is not None and node.cancels:
                new.extend(node.on)
        return found

    def owners(self, node: Node) -> list[int]:
        """The tasks that are inside of the lock that a task waits for."""
        return list(node.owners) or self._inside.get(node.thing, [])

    def _edges(self, node: Node) -> list[Edge]:
        if node.awake or node.outside:
            return []
        if node.kind in LOCKS:
            return [Edge(owner, CERTAIN) for owner in self.owners(node)] if node.taken else []
        if node.kind in SEMAPHORES:
            owners = self.owners(node)
            full = node.limit is not None and len(owners) >= node.limit
            verdict = CERTAIN if full or self.idle else LIKELY
            return [Edge(owner, verdict) for owner in owners] if node.taken else []
        if node.kind in TASKS:
            return [Edge(task, CERTAIN) for task in node.on]
        if node.kind in SIGNALLED:
            return [Edge(task, CERTAIN if self.idle else SUSPECT) for task in self._wakers(node)]
        return []

    def _wakers(self, node: Node) -> Iterable[int]:
        """The tasks that can reach what a task waits for, and call what would wake it."""
        thing = _waits.describe(self._tasks[node.task], named=False).object
        names = SIGNALLED[node.kind]
        for task in self._tasks.values():
            other = self.nodes.get(id(task))
            if task.done() or other is None or id(task) == node.task:
                continue
            if _reach.can_reach(task, thing, names):
                yield other.task

    def _stuck(self) -> set[int]:
        """The tasks none of which can go on without another one of them: the largest such set."""
        stuck = {
            node.task
            for node in self.nodes.values()
            if not node.awake and not node.outside and node.task not in self.timed
        }
        while True:
            moving = {task for task in stuck if not self._is_stuck(self.nodes[task], stuck)}
            if not moving:
                return stuck
            stuck -= moving

    def _is_stuck(self, node: Node, stuck: set[int]) -> bool:
        blockers = [edge.to in stuck for edge in self.edges[node.task]]
        if node.kind in LOCKS:
            return any(blockers) or (self.idle and node.taken)
        if node.kind in SEMAPHORES:
            # Each one who leaves lets one in.
            return (bool(blockers) and all(blockers)) or (self.idle and node.taken)
        if node.kind in TASKS:
            if node.any_of:
                return bool(blockers) and all(blockers) and (self.idle or not node.others)
            return any(blockers) or self.idle
        if node.kind in SIGNALLED:
            # Without the certainty that nothing else wakes it, it is waiting, not stuck.
            return self.idle and all(blockers)
        return False

    def cycles(self) -> list[list[int]]:
        """The circles among the stuck tasks, one for each group that is tied together."""
        inside = {
            task: [edge.to for edge in self.edges[task] if edge.to in self.stuck]
            for task in self.stuck
        }
        found = []
        for group in components(inside):
            if group is None:
                continue
            if len(group) > 1 or group[0] in inside[group[0]]:
                found.append(around(group, inside))
        return found

    def verdict(self, cycle: list[int]) -> str:
        """How sure it is that a circle is a deadlock: as sure as its weakest edge."""
        weakest = CERTAIN
        for task, following in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            for edge in self.edges[task]:
                if edge.to == following:
                    weakest = max(weakest, edge.verdict, key=(CERTAIN, LIKELY, SUSPECT).index)
        return weakest

    def behind(self, cycle: list[int]) -> int:
        """How many stuck tasks wait for those of a circle."""
        reached = set(cycle)
        grew = True
        while grew:
            new = {
                task
                for task in self.stuck - reached
                if any(edge.to in reached for edge in self.edges[task])
            }
            reached |= new
            grew = bool(new)
        return len(reached) - len(set(cycle))


def components(graph: dict[int, list[int]]) -> Iterator[list[int] | None]:
    """The strongly connected components (Tarjan's algorithm, without recursion).

    Between them comes None, for whoever wants to make a pause.
    """
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    on_stack: set[int] = set()
    stack: list[int] = []
    for root in graph:
        if root in index:
            continue
        work = [(root, iter(graph[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, following = work[-1]
            for other in following:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(graph[other])))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    group = []
                    while True:
                        other = stack.pop()
                        on_stack.discard(other)
                        group.append(other)
                        if other == node:
                            break
                    yield group
        yield None


def around(group: list[int], graph: dict[int, list[int]]) -> list[int]:
    """The shortest circle in a connected group, through the task that is least tied."""
    members = set(group)
    start = min(group)
    before: dict[int, int] = {}
    queue = [start]
    for task in queue:
        for other in graph[task]:
            if other == start:
                path = [task]
                while path[-1] != start:
                    path.append(before[path[-1]])
                return path[::-1]
            if other in members and other not in before:
                before[other] = task
                queue.append(other)
    return [start]
