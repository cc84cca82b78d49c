"""Circles among more tasks than can all be looked at: which of them are worth a look.

A look at a task takes a tenth of a millisecond. But a circle is made of tasks that wait for locks,
semaphores and tasks, and of many tasks most sleep, or wait for a socket, a queue or an event: those
are passed over natively, by the code that they are suspended in (`candidates`). What the others
wait for is kept as long as they have not run, so that both sides of a circle are known however far
they are apart. Then only those that are tied together are looked at again, and judged as ever
(`tied`).

Everything here is a generator that makes a pause after each step.
"""

from __future__ import annotations

import weakref
from collections.abc import Generator, Iterator
from types import CodeType
from typing import Any

from vivace import _native

from . import _graph, _waits
from ._graph import Node

#: Tasks of which the code is looked at in one step: a fraction of a millisecond.
PART = 200

#: Of a larger group that is tied together, one circle is looked at.
_TOGETHER = 1_000

#: More meanings are not kept.
_MEANINGS = 10_000

#: Who waits in one of these may wait for a task; in any other that is known, for nobody.
_TIED = {
    "locks.Lock.acquire",
    "locks.Semaphore.acquire",
    "locks.BoundedSemaphore.acquire",
    # To get its lock back.
    "locks.Condition.wait",
    "taskgroups.TaskGroup.__aexit__",
    "taskgroups.TaskGroup._aexit",
    "tasks.wait",
    "tasks.wait_for",
    "tasks.as_completed.<locals>._wait_for_one",
    "tasks._AsCompletedIterator._wait_for_one",
    "_asyncio.Lock.acquire",
    "_asyncio.Semaphore.acquire",
    "_asyncio.CapacityLimiter.acquire_on_behalf_of",
    "_asyncio.TaskGroup.__aexit__",
}

#: By the identity of a code object, which is kept: see ``_native.see_candidates``.
_meanings: dict[int, tuple[CodeType, bool | None]] = {}


def _meaning(code: CodeType) -> bool | None:
    """Whether a wait in this code is nobody else's; None if what it awaits says so."""
    if _waits.describer(code) is None:
        return None
    file = code.co_filename.rpartition("/")[2].removesuffix(".py")
    return f"{file}.{code.co_qualname}" not in _TIED


def candidates(
    of: weakref.ref[Any], seconds: float, *, everyone: bool = False
) -> Iterator[weakref.ref[Any] | None]:
    """The tasks of a loop that have waited for so long and may wait for another task.

    Args:
        of: The loop.
        seconds: How long they have waited at least.
        everyone: All its tasks instead.

    Yields:
        Weak references; None is a pause.
    """
    if len(_meanings) > _MEANINGS:
        _meanings.clear()
    skip = 0
    while (loop := of()) is not None:
        meanings = None if everyone else _meanings
        tasks, following, codes = _native.see_candidates(loop, seconds, skip, PART, meanings)
        references = [weakref.ref(task) for task in tasks]
        del loop, tasks
        if codes:
            # Once more, now that they are known.
            _meanings.update((id(code), (code, _meaning(code))) for code in codes)
        else:
            yield from references
            if not following:
                return
            skip = following
        yield None


def tied(nodes: dict[int, Node]) -> Generator[None, None, set[int]]:
    """The tasks that may be in a circle, those that tell whether they are, and their awaiters."""
    inside: dict[int, list[int]] = {}
    awaiters: dict[int, list[int]] = {}
    for node in nodes.values():
        for held in node.held:
            inside.setdefault(held.thing, []).append(node.task)
        for task in node.on:
            awaiters.setdefault(task, []).append(node.task)
        yield
    edges: dict[int, list[int]] = {}
    for node in nodes.values():
        edges[node.task] = [task for task in _blockers(node, inside) if task in nodes]
        yield
    found: set[int] = set()
    for group in _graph.components(edges):
        if group is not None and (len(group) > 1 or group[0] in edges[group[0]]):
            found.update(group if len(group) <= _TOGETHER else _graph.around(group, edges))
        yield
    # Of several that one waits for, or that are inside, all must be stuck.
    new = list(found)
    while new:
        node = nodes[new.pop()]
        if node.any_of or node.kind in _graph.SEMAPHORES:
            more = set(edges[node.task]) - found
            found |= more
            new += more
        yield
    # Whoever awaits one of them may give up, and cancel it.
    new = list(found)
    while new:
        more = set(awaiters.get(new.pop(), ())) - found
        found |= more
        new += more
        yield
    return found


def _blockers(node: Node, inside: dict[int, list[int]]) -> Iterator[int]:
    if node.kind in _graph.LOCKS or node.kind in _graph.SEMAPHORES:
        yield from node.owners or inside.get(node.thing, ())
    elif node.kind in _graph.TASKS:
        yield from node.on
