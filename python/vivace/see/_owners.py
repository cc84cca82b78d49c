"""Who holds a lock: read from the value stacks of those who are inside its ``async with``.

asyncio's locks do not know their owner. But a coroutine that is suspended inside ``async with
lock:`` keeps what it will leave by on its value stack: the bound method ``lock.__aexit__`` (up to
3.13), or the function and the lock (3.14). So the owner is known to the line, at no cost until
somebody asks. Who called ``lock.acquire()`` by hand left no such trace; with ``vivace run --dev``
that is noted, too (`_acquisitions`).
"""

from __future__ import annotations

import contextlib
import dis
from types import CodeType, FunctionType, MethodType
from typing import Any, NamedTuple

from . import _frames
from ._frames import MISSING, Frame

#: Context managers inside context managers are followed so far.
_DEEPEST = 10


class Holding(NamedTuple):
    """Something that a task has entered by ``async with`` and has not left."""

    thing: Any
    file: str
    #: Of the ``async with``.
    line: int
    function: str


def holdings(frames: list[Frame]) -> list[Holding]:
    """What the task of these frames is inside of; outermost first."""
    found: list[Holding] = []
    for index, frame in enumerate(frames):
        inner = frames[index + 1] if index + 1 < len(frames) else None
        _collect(frame, inner, None, found, 0)
    return [holding for holding in found if not _given_back(holding.thing, frames)]


def _collect(
    frame: Frame,
    inner: Frame | None,
    place: tuple[str, int, str] | None,
    found: list[Holding],
    depth: int,
) -> None:
    """Adds what a frame has entered; `place` is the user's, if the frame is behind a manager."""
    entries = entered(frame)
    entering = inner.get("self") if inner and inner.code.co_name == "__aenter__" else None
    if entries and entering is entries[-1][1]:
        # It is being entered, not held.
        entries.pop()
    for depth_on_stack, thing in entries:
        where = place or (
            frame.code.co_filename,
            _line_of_with(frame.code, frame.last, depth_on_stack) or frame.line,
            frame.code.co_qualname,
        )
        _add(thing, where, found, depth)


def _add(thing: Any, where: tuple[str, int, str], found: list[Holding], depth: int) -> None:
    if depth > _DEEPEST:
        return
    kind = type(thing)
    if kind is contextlib._AsyncGeneratorContextManager:
        # A function with @asynccontextmanager: what it is inside of, its user is inside of.
        generator = _frames.frame_of(thing.gen)
        if generator is not None:
            _collect(generator, None, where, found, depth + 1)
        return
    if isinstance(thing, contextlib.AsyncExitStack):
        for _, callback in tuple(thing._exit_callbacks):  # type: ignore[attr-defined]
            if isinstance(callback, MethodType) and callback.__func__.__name__ == "__aexit__":
                _add(callback.__self__, where, found, depth + 1)
        return
    found.append(Holding(thing, *where))


def entered(frame: Frame) -> list[tuple[int, Any]]:
    """What a frame has entered by ``async with``: the depth of its way out, and the object."""
    found = []
    stack = frame.stack
    for index, thing in enumerate(stack):
        if type(thing) is MethodType and thing.__func__.__name__ == "__aexit__":
            # On 3.14 a null lies above it.
            above = index + 1 < len(stack) and stack[index + 1] is MISSING
            found.append((index + 1 + above, thing.__self__))
        elif (
            type(thing) is FunctionType
            and thing.__name__ == "__aexit__"
            and index + 1 < len(stack)
            and stack[index + 1] is not MISSING
        ):
            found.append((index + 2, stack[index + 1]))
    return found


def _given_back(thing: Any, frames: list[Frame]) -> bool:
    """Whether it is a condition whose lock is free while the task waits to be notified."""
    return any(
        frame.code.co_name == "wait"
        and frame.get("self") is thing
        and frame.code.co_qualname == "Condition.wait"
        for frame in frames
    )


# The line of the `async with` whose way out lies at a depth of the stack. The compiler's table of
# exceptions has, for the body of each, where to go (code that begins by calling the way out, and
# has the line of the statement) and how much of the stack stays.

_lines: dict[tuple[int, int, int], tuple[CodeType, int]] = {}


def _line_of_with(code: CodeType, last: int, depth: int) -> int:
    key = (id(code), last, depth)
    known = _lines.get(key)
    if known is None:
        if len(_lines) > 1000:
            _lines.clear()
        known = _lines[key] = (code, _find_line(code, last, depth))
    return known[1]


def _find_line(code: CodeType, last: int, depth: int) -> int:
    best: tuple[int, int] | None = None
    for start, target, stays in _exception_table(code.co_exceptiontable):
        if stays == depth and start <= last and (best is None or start > best[0]):
            line = _line_of_exit(code, target)
            if line:
                best = (start, line)
    return best[1] if best else 0


def _line_of_exit(code: CodeType, target: int) -> int:
    """The line of the statement whose way out begins at an offset; 0 if it is none."""
    line = 0
    for instruction in dis.get_instructions(code):
        if instruction.offset < target:
            continue
        positions = instruction.positions
        if positions is not None and positions.lineno:
            line = positions.lineno
        if instruction.opname == "WITH_EXCEPT_START":
            return line
        if instruction.opname != "PUSH_EXC_INFO":
            return 0
    return 0


def _exception_table(table: bytes) -> list[tuple[int, int, int]]:
    """Its entries: the start, the target (both in bytes), and how much of the stack stays."""
    numbers, value = [], 0
    for byte in table:
        # The highest bit marks the first number of an entry, the next one that a number goes on.
        value = (0 if byte & 0x80 else value) << 6 | byte & 0x3F
        if not byte & 0x40:
            numbers.append(value)
            value = 0
    found = []
    for index in range(0, len(numbers) - 3, 4):
        start, _, target, depth_and_flag = numbers[index : index + 4]
        found.append((start * 2, target * 2, depth_and_flag >> 1))
    return found
