"""What a bare future is, and whom it stands for: by its type, and by who will set it."""

from __future__ import annotations

import asyncio
from asyncio import futures, tasks
from collections.abc import Iterable
from typing import Any

from . import _frames
from ._wait import Context, Wait


def describe(context: Context) -> Wait:
    """What a task waits for that awaits a bare future: its type and its callbacks show it."""
    future = context.future
    if isinstance(future, tasks._GatheringFuture):  # type: ignore[attr-defined]
        children = tuple(future._children)
        left = [child for child in children if not child.done()]
        return Wait("gather", f"gather, {len(left)} of {len(children)} left", future, on=children)
    if isinstance(future, asyncio.Task):
        return Wait("task", f"task {task_name(future)}", future, on=(future,))
    for function in callbacks(future):
        name = getattr(function, "__qualname__", "")
        if name == "shield.<locals>._outer_done_callback":
            inner = _closed_over(function, "inner")
            return Wait(
                "shield",
                f"shielded {title(inner)}",
                inner,
                on=(inner,) if inner is not None else (),
                cancels=False,
            )
        if name == "_chain_future.<locals>._call_check_cancel":
            return Wait("executor", "a call in a thread", future, on=(future,))
    return Wait("future", context.titled("future", future), future, on=(future,))


def callbacks(future: Any) -> Iterable[Any]:
    """The functions that are called when a future is done."""
    for entry in getattr(future, "_callbacks", None) or ():
        yield entry[0] if isinstance(entry, tuple) else entry


def _closed_over(function: Any, name: str) -> Any:
    """A variable that a function shares with the one around it."""
    names = function.__code__.co_freevars
    if name not in names or not function.__closure__:
        return None
    found = _frames.content(function.__closure__[names.index(name)])
    return None if found is _frames.MISSING else found


def task_name(task: Any) -> str:
    """The name of a task, as one line."""
    try:
        return str(task.get_name())
    except Exception:  # a task of another make
        return type(task).__name__


def title(awaited: Any) -> str:
    """What something that can be awaited is called."""
    if isinstance(awaited, asyncio.Task):
        return f"task {task_name(awaited)}"
    if isinstance(awaited, asyncio.Future):
        return "future"
    name = getattr(awaited, "__qualname__", None)
    return f"{name}()" if isinstance(name, str) else type(awaited).__name__


def tasks_behind(future: Any, depth: int = 0) -> Iterable[Any]:
    """The tasks that a future stands for: itself, or those of a gather or a shield."""
    if isinstance(future, asyncio.Task):
        yield future
    elif depth < _GATHERED_DEEP:
        if isinstance(future, tasks._GatheringFuture):  # type: ignore[attr-defined]
            for child in future._children:
                yield from tasks_behind(child, depth + 1)
        elif futures.isfuture(future):
            for function in callbacks(future):
                if getattr(function, "__qualname__", "").startswith("shield.<locals>._outer"):
                    yield from tasks_behind(_closed_over(function, "inner"), depth + 1)


# Gathers of gathers are followed so far.
_GATHERED_DEEP = 20
