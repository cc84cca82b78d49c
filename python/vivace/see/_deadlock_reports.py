"""The reports of deadlocks: V301, and V303 for locks that nobody is left to give back."""

from __future__ import annotations

import time
from typing import Any

from . import _authors, _findings, _frames, _graph, _owners, _sites, _waits
from ._graph import Graph

#: Reports show no more tasks than this.
_SHOWN = 8


def report_cycle(
    loop: Any, graph: Graph, cycle: list[int], tasks: dict[int, Any], since: float
) -> None:
    """Report tasks that wait in a circle, since a time of `time.monotonic`."""
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
    things = {id(_graph.lock_in(h.thing)): h.thing for h in _owners.holdings(wait.frames)}
    for held in node.held:
        if held.thing not in wanted:
            continue
        thing = things.get(held.thing)
        kind = _kind(thing)
        name = _frames.name_in(thing, wait.frames) if thing is not None else ""
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


def report_abandoned(
    loop: Any, tasks: dict[int, Any], waiters: list[int], wait: _waits.Wait, ended: list[Any]
) -> None:
    """Report a lock that nobody is left to give back.

    Args:
        loop: The loop of the tasks.
        tasks: By their identity.
        waiters: The identities of those that wait for it.
        wait: What the first of them waits for.
        ended: What is known of those who took it (`_acquisitions.Acquisition`).
    """
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
