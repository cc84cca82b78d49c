"""Races at awaits (V501): a value is read, then awaited, then written over what others wrote.

`_accesses` finds where that could be. Here `sys.monitoring` calls back at just these instructions,
and only in functions of the program: at the read the value is kept, at the write it is compared
with what is there now. If another task has put something else there, its update is lost. What
another task changed back, or wrote equal, is no race; nor is what this task changed itself.

Needs Python 3.12. Attributes are read without running code of the program, so properties are not
seen, nor variables that functions share as closures, nor state outside the process.
"""

from __future__ import annotations

import os
import sys
from types import CodeType, FrameType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, NamedTuple

from . import _accesses, _authors, _findings, _frames, _tasks
from ._accesses import Accesses, Place

#: What says that it cannot be done here.
UNAVAILABLE = "--races needs Python 3.12 or later (sys.monitoring)"

_UNKNOWN: Any = object()
_PRIMITIVE = (int, float, complex, str, bytes, bool, type(None))
#: Reads that are kept for functions that ended by an exception, at most.
_MOST = 10_000


class _Read(NamedTuple):
    owner: Any
    value: Any
    line: int
    serial: int


class _Write(NamedTuple):
    task: int
    task_name: str
    file: str
    line: int
    serial: int


_codes: dict[int, tuple[CodeType, Accesses]] = {}
#: By the identity of the frame.
_reads: dict[int, dict[Place, _Read]] = {}
#: By the identity of the object, and the name or key.
_writes: dict[tuple[int, Any], _Write] = {}
_serial = 0
_tool = -1


def available() -> bool:
    """Whether this Python can look for races."""
    return sys.version_info >= (3, 12)


def install() -> bool:
    """Look from now on; whether that is possible."""
    global _tool
    if _tool >= 0:
        return True
    if sys.version_info >= (3, 12):
        monitoring = sys.monitoring
        for number in (monitoring.OPTIMIZER_ID - 1, 3, monitoring.PROFILER_ID):
            if monitoring.get_tool(number) is None:
                monitoring.use_tool_id(number, "vivace")
                _tool = number
                break
        else:
            return False
        events = monitoring.events
        monitoring.register_callback(_tool, events.PY_START, _started)
        monitoring.register_callback(_tool, events.PY_RETURN, _returned)
        monitoring.register_callback(_tool, events.INSTRUCTION, _instruction)
        monitoring.set_events(_tool, events.PY_START)
        return True
    return False


def remove() -> None:
    """Look no more."""
    global _tool
    if _tool < 0 or sys.version_info < (3, 12):
        return
    monitoring = sys.monitoring
    monitoring.set_events(_tool, 0)
    for code, found in _codes.values():
        if found.writes or found.reads:
            monitoring.set_local_events(_tool, code, 0)
    monitoring.free_tool_id(_tool)
    _tool = -1
    _codes.clear()
    _reads.clear()
    _writes.clear()


if sys.version_info >= (3, 12):

    def _started(code: CodeType, offset: int) -> Any:
        """A function begins: the first time, see whether it is of interest."""
        known = _codes.get(id(code))
        if known is None:
            found = _accesses.NOTHING
            if _authors.author(code.co_filename) == _authors.USER:
                found = _accesses.accesses(code)
            known = _codes[id(code)] = (code, found)
            if found.writes or found.reads:
                events = sys.monitoring.events
                wanted = events.INSTRUCTION
                if found.candidates:
                    wanted |= events.PY_START | events.PY_RETURN
                sys.monitoring.set_local_events(_tool, code, wanted)
        if not known[1].candidates:
            return sys.monitoring.DISABLE
        # The frame of an earlier call may have lain at the same address.
        _reads.pop(id(sys._getframe(1)), None)
        return None

    def _returned(code: CodeType, offset: int, value: Any) -> Any:
        known = _codes.get(id(code))
        if known is None or not known[1].candidates:
            return sys.monitoring.DISABLE
        _reads.pop(id(sys._getframe(1)), None)
        return None

    def _instruction(code: CodeType, offset: int) -> Any:
        known = _codes.get(id(code))
        if known is None:
            return sys.monitoring.DISABLE
        found = known[1]
        read = found.reads.get(offset)
        write = found.writes.get(offset)
        if read is None and write is None:
            return sys.monitoring.DISABLE
        try:
            frame = sys._getframe(1)
            if read is not None:
                _note_read(frame, *read, dictionary=offset in found.of_dictionaries)
            if write is not None:
                _note_write(frame, *write, candidate=offset in found.candidates)
        except Exception:  # whatever the program's objects do: it must not be changed by a look
            return None
        return None


def _note_read(frame: FrameType, place: Place, line: int, *, dictionary: bool) -> None:
    owner, key = _owner(frame, place)
    if dictionary and type(owner) is not dict:
        return
    value = _UNKNOWN if owner is _UNKNOWN else _value(owner, place, key)
    if value is _UNKNOWN:
        return
    if len(_reads) > _MOST:
        _reads.clear()
    _reads.setdefault(id(frame), {})[place] = _Read(owner, value, line, _serial)


def _note_write(frame: FrameType, place: Place, line: int, *, candidate: bool) -> None:
    global _serial
    owner, key = _owner(frame, place)
    if owner is _UNKNOWN:
        return
    task = _tasks.current()
    identity = (id(owner), key)
    if candidate:
        read = _reads.get(id(frame), {}).pop(place, None)
        other = _writes.get(identity)
        if (
            read is not None
            and read.owner is owner
            and other is not None
            and other.serial > read.serial
            and other.task != id(task)
        ):
            now = _value(owner, place, key)
            if now is not _UNKNOWN and not _same(read.value, now):
                _report(frame, place, line, read, other, now, task)
    _serial += 1
    name = task.get_name() if task is not None else "a callback"
    if len(_writes) > _MOST:
        _writes.clear()
    _writes[identity] = _Write(id(task), name, frame.f_code.co_filename, line, _serial)


def _same(before: Any, now: Any) -> bool:
    if before is now:
        return True
    return type(before) is type(now) and isinstance(now, _PRIMITIVE) and bool(before == now)


def _owner(frame: FrameType, place: Place) -> tuple[Any, Any]:
    """The object that has the attribute, item or global, and its name or key."""
    if place.kind == "global":
        return frame.f_globals, place.last
    owner = _reached(frame, place.path)
    if owner is _UNKNOWN:
        return _UNKNOWN, None
    key: Any = place.last
    if place.kind == "item":
        assert isinstance(place.last, tuple)
        kind, key = place.last
        if kind == "path":
            key = _reached(frame, key)
        if type(owner) not in (dict, list) or not isinstance(key, _PRIMITIVE):
            return _UNKNOWN, None
    return owner, key


def _reached(frame: FrameType, path: tuple[str, ...]) -> Any:
    """What ``a.b.c`` is."""
    value = _variable(frame, path[0])
    for name in path[1:]:
        if value is _UNKNOWN:
            return _UNKNOWN
        value = _attribute(value, name)
    return value


def _variable(frame: FrameType, name: str) -> Any:
    variables = frame.f_locals
    if name in variables:
        return variables[name]
    return frame.f_globals.get(name, _UNKNOWN)


def _value(owner: Any, place: Place, key: Any) -> Any:
    if place.kind == "attribute":
        return _attribute(owner, key)
    if place.kind == "item" and type(owner) is list:
        return owner[key] if isinstance(key, int) and -len(owner) <= key < len(owner) else None
    return owner.get(key)


def _attribute(owner: Any, name: str) -> Any:
    """An attribute, read without running code of the program."""
    own = _frames.attributes_of(owner)
    if own is not None and name in own:
        return own[name]
    for kind in type(owner).__mro__:
        if name in kind.__dict__:
            value = kind.__dict__[name]
            if isinstance(value, MemberDescriptorType):
                try:
                    return value.__get__(owner, kind)
                except AttributeError:
                    return None
            if isinstance(value, GetSetDescriptorType) or hasattr(type(value), "__get__"):
                return _UNKNOWN
            return value
    return _UNKNOWN


def _report(
    frame: FrameType, place: Place, line: int, read: _Read, other: _Write, now: Any, task: Any
) -> None:
    code = frame.f_code
    file = os.path.basename(code.co_filename)
    mine = task.get_name() if task is not None else "a callback"
    before, meanwhile = _shown(read.value), _shown(now)
    seed = os.environ.get("VIVACE_FUZZ_SCHEDULE", "")
    there = f"{os.path.basename(other.file)}:{other.line}"
    lines = [
        ("task", f"{mine} in {code.co_qualname}()"),
        ("read", f"{file}:{read.line}  {place} was {before}"),
        ("other", f"{there}  {other.task_name} made it {meanwhile}"),
        ("write", f"{file}:{line}  writes over it"),
        ("do", "read it again after the await, or hold an asyncio.Lock from the read to the write"),
    ]
    if seed:
        lines.append(("seed", f"--fuzz-schedule={seed} repeats this order"))
    loop: Any = task.get_loop() if task is not None else None
    _findings.report(
        "V501",
        f"{code.co_qualname} {file}:{line} wrote {place} read at :{read.line}; "
        f"{other.task_name} had changed it {before} -> {meanwhile} meanwhile",
        loop=int(getattr(loop, "_see_number", 0)),
        place=f"{code.co_filename}:{line}",
        lines=lines,
        data={
            "file": code.co_filename,
            "line": line,
            "function": code.co_qualname,
            "read_line": read.line,
            "what": str(place),
            "before": before,
            "meanwhile": meanwhile,
            "task": {"name": mine},
            "other": {"task": other.task_name, "file": other.file, "line": other.line},
            "seed": seed or None,
        },
    )


def _shown(value: Any) -> str:
    """A value in a report: of strangers only the type."""
    if not isinstance(value, _PRIMITIVE):
        return f"<{type(value).__name__}>"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
