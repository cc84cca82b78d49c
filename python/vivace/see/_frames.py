"""The frames of what is suspended: where a coroutine stands, and what it holds.

A task's coroutine awaits another one, and so on, down to the future that the loop knows of. The
frames are read natively and leave no trace: ``frame.f_locals`` would keep old values alive up to
Python 3.12, and shows no value stack.
"""

from __future__ import annotations

import gc
import itertools
from types import AsyncGeneratorType, CellType, CodeType, CoroutineType, GeneratorType
from typing import Any, NamedTuple

from vivace import _native

from ._authors import INSTALLED, USER, author

#: Stands for a variable without a value.
MISSING: Any = type("Missing", (), {"__repr__": lambda _: "<no value>"})()

# More awaits inside each other than this are not followed.
_DEEPEST = 1000


class Frame(NamedTuple):
    """A suspended frame."""

    code: CodeType
    line: int
    #: Of the instruction that it stands at, in bytes.
    last: int
    globals: dict[str, Any]
    names: tuple[str, ...]
    values: tuple[Any, ...]
    #: What lies on its value stack, the bottom first.
    stack: tuple[Any, ...]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a variable."""
        try:
            value = self.values[self.names.index(name)]
        except ValueError:
            return default
        return default if value is MISSING else content(value)


def content(value: Any) -> Any:
    """A variable's value, taken out of the cell that it shares with a closure."""
    if type(value) is CellType:
        try:
            return value.cell_contents
        except ValueError:
            return MISSING
    return value


def frame_of(coroutine: Any) -> Frame | None:
    """The frame of a suspended coroutine or generator."""
    found = _native.see_suspended(coroutine, MISSING)
    return None if found is None else Frame._make(found)


def awaited_by(awaitable: Any) -> Any:
    """What a suspended coroutine (or the like) awaits, else None."""
    kind = type(awaitable)
    if kind is CoroutineType:
        return awaitable.cr_await
    if kind is GeneratorType:
        return awaitable.gi_yieldfrom
    if kind is AsyncGeneratorType:
        return awaitable.ag_await
    if kind.__name__ in _WRAPPERS and kind.__module__ == "builtins":
        for inner in gc.get_referents(awaitable):
            if isinstance(inner, (AsyncGeneratorType, CoroutineType, GeneratorType)):
                return inner
        return None
    # Coroutines of compilers such as Cython.
    return getattr(awaitable, "cr_await", None)


_WRAPPERS = {
    "async_generator_asend",
    "async_generator_athrow",
    "coroutine_wrapper",
    "anext_awaitable",
}


def chain(coroutine: Any) -> tuple[list[Frame], Any]:
    """The frames from a task's coroutine inwards, and what the innermost one waits for."""
    frames = []
    current = coroutine
    for _ in range(_DEEPEST):
        frame = frame_of(current)
        if frame is not None:
            frames.append(frame)
        inner = awaited_by(current)
        if inner is None:
            return frames, (None if frame is not None or current is coroutine else current)
        current = inner
    return frames, None


def user_frame(frames: list[Frame]) -> Frame | None:
    """The innermost frame of the program itself, else of an installed package, else any."""
    best = None
    for frame in frames[::-1]:
        who = author(frame.code.co_filename)
        if who == USER:
            return frame
        if best is None or INSTALLED == who != author(best.code.co_filename):
            best = frame
    return best


def name_of(thing: Any, frame: Frame) -> str:
    """What the code of a frame calls an object: ``lock``, ``self.lock``; empty if not found."""
    found = _variable_of(thing, frame)
    if found:
        return found
    used = frame.code.co_names
    for name in used:
        if frame.globals.get(name) is thing:
            return name
    variables = zip(frame.names, map(content, frame.values), strict=True)
    others = ((name, frame.globals.get(name)) for name in used)
    for name, owner in itertools.chain(variables, others):
        attributes = attributes_of(owner)
        if attributes:
            for attribute in used:
                if attributes.get(attribute) is thing:
                    return f"{name}.{attribute}"
    return ""


def name_in(thing: Any, frames: list[Frame]) -> str:
    """The same, by the innermost of some frames that knows it as more than ``self``."""
    for frame in reversed(frames):
        name = name_of(thing, frame)
        if name and name != "self":
            return name
    return ""


def _variable_of(thing: Any, frame: Frame) -> str:
    for name, value in zip(frame.names, frame.values, strict=True):
        if value is thing or content(value) is thing:
            return name
    return ""


def attributes_of(thing: Any) -> dict[str, Any] | None:
    """The attributes of an object, read without running any of its code."""
    try:
        found = object.__getattribute__(thing, "__dict__")
    except AttributeError:
        return None
    return found if type(found) is dict else None
