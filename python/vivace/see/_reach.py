"""Whether a task, or a callback, can reach an object: within two hops.

This is a heuristic, and may only ever be worded as "can reach": a task may reach an event and never
set it, and may find it by a way that is longer.
"""

from __future__ import annotations

import functools
import gc
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
)
from typing import Any

from . import _frames

_HOPS = 2
#: Containers with more in them are not searched.
_LARGEST = 1000
#: So many objects are looked at for one task.
_MOST = 5000

# What leads everywhere, or belongs to others.
_CLOSED = (
    type,
    ModuleType,
    CodeType,
    FrameType,
    BuiltinFunctionType,
    CoroutineType,
    GeneratorType,
    AsyncGeneratorType,
    str,
    bytes,
    int,
    float,
)


def can_reach(task: Any, thing: Any, names: set[str]) -> bool:
    """Whether a frame of a task that uses one of the names (of methods) reaches a thing."""
    frames, _ = _frames.chain(task.get_coro())
    for frame in frames:
        used = frame.code.co_names
        if not names.isdisjoint(used):
            values = [_frames.content(value) for value in frame.values]
            if _reaches(values + _globals(frame.globals, used), thing):
                return True
    return False


def calls(handle: Any, thing: Any, names: set[str]) -> bool:
    """Whether a callback that is to be called is a method of a thing, or reaches it and uses one.

    Args:
        handle: An `asyncio.Handle`.
        thing: What may be reached.
        names: Those of the methods.
    """
    function, here = handle._callback, list(handle._args or ())
    while isinstance(function, functools.partial):
        here += [*function.args, *function.keywords.values()]
        function = function.func
    if isinstance(function, MethodType):
        if function.__self__ is thing:
            return function.__func__.__name__ in names
        here.append(function.__self__)
        function = function.__func__
    if not isinstance(function, FunctionType):
        return False
    used = function.__code__.co_names
    if names.isdisjoint(used):
        return False
    return _reaches(here + _neighbours(function) + _globals(function.__globals__, used), thing)


def _globals(known: dict[str, Any], used: tuple[str, ...]) -> list[Any]:
    return [known[name] for name in used if name in known]


def _reaches(here: list[Any], thing: Any) -> bool:
    """Whether one of some objects is a thing, or leads to it."""
    here = [value for value in here if value is not _frames.MISSING]
    seen = 0
    for hop in range(_HOPS + 1):
        if any(value is thing for value in here):
            return True
        if hop == _HOPS:
            break
        following: list[Any] = []
        for value in here:
            following += _neighbours(value)
            seen += 1
            if seen > _MOST or len(following) > _MOST:
                return False
        here = following
    return False


def _neighbours(value: Any) -> list[Any]:
    if isinstance(value, FunctionType):
        # Its globals lead everywhere; what it shares with the function around it does not.
        return [_frames.content(cell) for cell in value.__closure__ or ()]
    if isinstance(value, MethodType):
        return [value.__self__]
    if isinstance(value, _CLOSED) or _is_task(value):
        return []
    if isinstance(value, (list, dict, tuple, set, frozenset)) and len(value) > _LARGEST:
        return []
    return gc.get_referents(value)


def _is_task(value: Any) -> bool:
    import asyncio

    return isinstance(value, (asyncio.Task, asyncio.AbstractEventLoop))
