"""What a task waits for: ``describe(task)``.

It comes from the chain of awaits, from the task's coroutine inwards. The outermost frame of asyncio
(or anyio) in it says what the program asked for, and that frame's variables say of whom: a task in
``queue.join()`` waits for the queue, although what it sleeps on is an event inside it.
"""

from __future__ import annotations

import asyncio
from types import CodeType
from typing import Any

from . import _asyncio_waits, _authors, _frames, _futures
from ._frames import Frame
from ._futures import task_name, tasks_behind
from ._wait import AWAKE, Context, Describe, Wait

__all__ = ["AWAKE", "Wait", "deadline", "describe", "describer", "task_name", "tasks_behind"]


def describe(task: Any, *, named: bool = True) -> Wait:
    """Say what a task waits for. Never raises: what cannot be read is called a future.

    Args:
        task: Of any loop whose thread this is.
        named: Also find out what the program calls the thing, which is half of the work.
    """
    try:
        return _describe(task, named)
    except Exception as error:  # a task of another make, or one that changes in another thread
        return Wait("future", f"not known ({type(error).__name__})")


def _describe(task: Any, named: bool) -> Wait:
    if task.done():
        return Wait("done", "done")
    coroutine = task.get_coro()
    frames, _ = _frames.chain(coroutine)
    future = getattr(task, "_fut_waiter", None)
    wait = _what(task, coroutine, frames, future, named)
    wait.frames = frames
    place = _frames.user_frame(frames)
    if place is not None:
        wait.file, wait.line = place.code.co_filename, place.line
        wait.function = place.code.co_qualname
    else:
        code = getattr(coroutine, "cr_code", None)
        if code is not None:
            wait.file, wait.line = code.co_filename, code.co_firstlineno
            wait.function = code.co_qualname
    if wait.kind not in AWAKE and wait.until is None:
        wait.until = deadline(task, frames)
    return wait


def _what(task: Any, coroutine: Any, frames: list[Frame], future: Any, named: bool) -> Wait:
    if future is None:
        if getattr(coroutine, "cr_running", False) or task is _current(task):
            return Wait("running", "running")
        return Wait("ready", "ready to run")
    if future.done():
        return Wait("ready", "ready to run")
    found = _look(Context(frames, 0, future, named, _look), 0)
    if not found.on:
        found.on = (future,)
    return found


def _look(context: Context, first: int) -> Wait:
    """What is waited for from a frame inwards."""
    for index in range(first, len(context.frames)):
        describe = describer(context.frames[index].code)
        if describe is not None:
            return describe(context.at(index))
    return _futures.describe(context.at(len(context.frames)))


def _current(task: Any) -> Any:
    try:
        return asyncio.current_task(task.get_loop())
    except RuntimeError:
        return None


# By the identity of the code object, which is kept: hashing one by value is dear.
_known_codes: dict[int, tuple[CodeType, Describe | None]] = {}


def describer(code: CodeType) -> Describe | None:
    """Who can describe a frame of this code."""
    if _authors.author(code.co_filename) == _authors.USER:
        return None
    found = _known_codes.get(id(code))
    if found is None:
        if len(_known_codes) > 10_000:
            _known_codes.clear()
        found = _known_codes[id(code)] = (code, _find(code))
    return found[1]


def _find(code: CodeType) -> Describe | None:
    folder, _, file = code.co_filename.rpartition("/")
    name = f"{file.removesuffix('.py')}.{code.co_qualname}"
    if folder + "/" == _authors.ASYNCIO_FOLDER:
        return _asyncio_waits.ASYNCIO.get(name)
    if "/anyio/" in folder + "/":
        from . import _anyio_waits

        return _anyio_waits.ANYIO.get(name)
    if _authors.author(code.co_filename) == _authors.OWN:
        return _asyncio_waits.OWN.get(name)
    return None


# Timeouts.


def deadline(task: Any, frames: list[Frame]) -> float | None:
    """When an active timeout ends what the task waits for: the nearest, by the loop's clock."""
    ends = [end for frame in frames for thing in frame.stack if (end := _end_of(thing)) is not None]
    scopes = _anyio_scopes(task)
    if scopes is not None:
        ends.append(scopes)
    return min(ends, default=None)


def _end_of(thing: Any) -> float | None:
    """The deadline of a timeout that lies on a value stack."""
    owner = getattr(thing, "__self__", thing)
    kind = type(owner)
    if kind is asyncio.Timeout:
        when = owner.when()
    elif kind.__name__ == "Timeout" and kind.__module__.partition(".")[0] == "async_timeout":
        when = owner.deadline
    else:
        return None
    return float(when) if when is not None else None


def _anyio_scopes(task: Any) -> float | None:
    states = _anyio_states()
    state = states.get(task) if states is not None else None
    scope = getattr(state, "cancel_scope", None)
    nearest = float("inf")
    while scope is not None:
        nearest = min(nearest, scope._deadline)
        if scope._shield:
            break
        scope = scope._parent_scope
    return nearest if nearest != float("inf") else None


def _anyio_states() -> Any:
    import sys

    module = sys.modules.get("anyio._backends._asyncio")
    return getattr(module, "_task_states", None)
