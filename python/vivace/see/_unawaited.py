"""V201: a coroutine was made and never awaited.

CPython calls `warnings._warn_unawaited_coroutine` when such a coroutine goes. The standard warning
appears as before; beside it the line is named that made the coroutine, where that can be told:

- a call whose result is thrown away at once goes on the very line that made it;
- a coroutine that remembers its origin names it. Coroutines do so for a minute after one was lost
  whose line could not be told (one frame, on the loop's thread), unless the program sets the depth
  itself;
- otherwise the calls of that function in the code around are named that await nothing. The code
  around is never that of whoever happened to run when the garbage collector came by.
"""

from __future__ import annotations

import asyncio
import dis
import gc
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import Any

from vivace import _native

from . import _lost
from ._authors import is_library
from ._findings import report
from ._settings import settings
from ._sites import Site, data, describe

#: Seconds for which coroutines remember their origin after one was lost.
ARMED = 60.0

#: Frames that they remember with the dear detectors.
_DEV_DEPTH = 10

#: Places that are named when the line is not known for sure.
_CANDIDATES = 4
#: Code objects that are searched for them.
_SEARCHED = 2000

#: Instructions that get a function by its name.
_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_ATTR", "LOAD_METHOD", "LOAD_FAST", "LOAD_DEREF")

_thread = threading.local()


def watch(loop: Any) -> None:
    """Once a second: coroutines need not remember their origin for ever."""
    until = getattr(_thread, "until", None)
    if until is not None and time.monotonic() > until:
        disarm(loop)


def started(loop: Any) -> None:
    """With the dear detectors, coroutines remember their origin while a loop runs."""
    if settings().dev and sys.get_coroutine_origin_tracking_depth() == 0:
        sys.set_coroutine_origin_tracking_depth(_DEV_DEPTH)


def stopped(loop: Any) -> None:
    """A loop of this thread has stopped: nothing stays that was set on our behalf."""
    disarm(loop)
    if settings().dev and sys.get_coroutine_origin_tracking_depth() == _DEV_DEPTH:
        sys.set_coroutine_origin_tracking_depth(0)


def disarm(loop: Any) -> None:
    """Have coroutines of this thread remember no origin again, if they did so on our behalf."""
    if getattr(_thread, "until", None) is None:
        return
    _thread.until = None
    _native.see_armed(False)
    if sys.get_coroutine_origin_tracking_depth() == 1:
        sys.set_coroutine_origin_tracking_depth(0)
    elif loop is not None and getattr(loop, "_coroutine_origin_tracking_enabled", False):
        # Debug mode came meanwhile, and will set back what it found.
        loop._coroutine_origin_tracking_saved_depth = 0


def _arm() -> None:
    if getattr(_thread, "until", None) is None and sys.get_coroutine_origin_tracking_depth() == 0:
        sys.set_coroutine_origin_tracking_depth(1)
        _native.see_armed(True)
        _thread.until = time.monotonic() + ARMED


def lost(coro: Any, by_collector: bool) -> None:
    """A coroutine goes that nobody has awaited."""
    if sys.is_finalizing() or _is_unwanted(coro):
        return
    name = f"{coro.__qualname__}()"
    loop = asyncio._get_running_loop()
    task = asyncio.current_task(loop) if loop is not None and not by_collector else None
    frame = None if by_collector else _caller()
    # First of all, while it is among the youngest objects.
    error = _on_its_way(frame) if frame is not None else None
    site = _origin(coro) or (_bare_call(coro, frame) if frame is not None else None)
    if site is None and frame and error and coro.cr_code.co_name in _names_on_line(frame):
        site = _site(frame)
    found: dict[str, Any] = {"coro": coro.__qualname__, "exact": site is not None}
    lines: list[tuple[str, str]] = []
    if site is not None:
        title, place = f"{name} at {site}", f"{site.file}:{site.line}"
        found |= site.data()
        if site.source:
            lines.append(("line", site.source))
    else:
        title, place = name, coro.__qualname__
        likely = _likely(coro, frame, task)
        if likely:
            title += " made in " + " or ".join(dict.fromkeys(each.function for each in likely))
            lines.append(("likely", f"made at {likely[0]}"))
            lines += [("", f"or at {each}") for each in likely[1:]]
        found["likely"] = [each.data() for each in likely]
        if frame is not None:
            dropped = _site(frame)
            lines.append(("lost", f"at {dropped}, or in what that line had called"))
            found["dropped"] = dropped.data()
            place += f" {dropped.file}:{dropped.line}"
        elif by_collector:
            lines.append(("lost", "in a reference cycle; the garbage collector found it"))
        if loop is not None:
            _arm()
            lines.append(("", "the next one like it will be named with its line"))
    defined = coro.cr_code
    lines.append(("coro", f"defined at {Site(defined.co_filename, defined.co_firstlineno, name)}"))
    if task is not None:
        lines.append(("task", describe(task)))
        found["task"] = data(task)
    if error is not None:
        lines.append(("cause", f"the line was left by {error} before the coroutine was awaited"))
        found["error"] = error
    if loop is None and threading.current_thread() is threading.main_thread():
        lines.append(("do", f"asyncio.run({name}), or await it in what asyncio.run() runs"))
    else:
        lines.append(("do", f"await {name}, or give it to asyncio.create_task()"))
    report("V201", title, place=place, lines=lines, data=found)


def _is_unwanted(coro: Any) -> bool:
    """Whether the program has said that it does not want the warning."""
    text = f"coroutine '{coro.__qualname__}' was never awaited"
    for action, message, category, module, line in warnings.filters:
        if not issubclass(RuntimeWarning, category) or line != 0 or module is not None:
            continue
        if message is None or message.match(text):
            return action == "ignore"
    return False


def _caller() -> FrameType | None:
    """The program's frame in which the last reference went."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename in (__file__, _lost.__file__):
        frame = frame.f_back
    return frame


def _site(frame: FrameType) -> Site:
    return Site(frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_qualname)


def _origin(coro: Any) -> Site | None:
    """What a coroutine remembers of where it was made."""
    if not coro.cr_origin:
        return None
    for file, line, function in coro.cr_origin:
        if not is_library(file):
            return Site(file, line, function)
    return Site(*coro.cr_origin[0])


def _bare_call(coro: Any, frame: FrameType) -> Site | None:
    """The line, if it throws away the result of a call of just this function."""
    instructions = list(dis.get_instructions(frame.f_code))
    at = next((n for n, each in enumerate(instructions) if each.offset == frame.f_lasti), None)
    if at is None or instructions[at].opname != "POP_TOP":
        return None
    for call in _calls(instructions, coro.cr_code.co_name):
        if call + 1 == at:
            return _site(frame)
    return None


def _calls(instructions: list[dis.Instruction], name: str) -> Iterator[int]:
    """The indices of instructions that call something of this name."""
    for start, load in enumerate(instructions):
        if load.argval != name or not load.opname.startswith(_LOADS):
            continue
        # A method call has its object on the stack already.
        method = load.opname in ("LOAD_ATTR", "LOAD_METHOD")
        height = _effect(load)
        for index in range(start + 1, min(start + 200, len(instructions))):
            height += _effect(instructions[index])
            if instructions[index].opname.startswith("CALL") and height <= (0 if method else 1):
                yield index
                break


def _effect(instruction: dis.Instruction) -> int:
    try:
        return dis.stack_effect(instruction.opcode, instruction.arg, jump=False)
    except ValueError:
        return 0


def _likely(coro: Any, frame: FrameType | None, task: Any) -> list[Site]:
    """Lines that call the function and do not await it."""
    name = coro.cr_code.co_name
    found: list[Site] = []
    others: list[Site] = []
    for code in _around(coro, frame, task):
        if name not in code.co_names + code.co_varnames + code.co_freevars:
            continue
        instructions = list(dis.get_instructions(code))
        for call in _calls(instructions, name):
            after = instructions[call + 1].opname if call + 1 < len(instructions) else ""
            # Awaited; or thrown away at once, which would have been noticed there and then.
            if after in ("GET_AWAITABLE", "POP_TOP"):
                continue
            line = _line(instructions, call)
            site = Site(code.co_filename, line or code.co_firstlineno, code.co_qualname)
            sites = found if after.startswith("STORE") else others
            if site not in sites:
                sites.append(site)
    candidates = found or others
    if frame is not None:
        # What the line has called that lost it is likelier than the rest; if the line has put
        # something else into the variable, or deleted it, so is the function itself.
        called = _names_on_line(frame)
        if _instruction(frame).startswith(("STORE", "DELETE")):
            called = {frame.f_code.co_name}
        nearer = [site for site in candidates if site.function.rpartition(".")[2] in called]
        candidates = nearer or candidates
    return candidates[:_CANDIDATES]


def _instruction(frame: FrameType) -> str:
    instructions = dis.get_instructions(frame.f_code)
    return next((each.opname for each in instructions if each.offset == frame.f_lasti), "")


def _names_on_line(frame: FrameType) -> set[object]:
    instructions = list(dis.get_instructions(frame.f_code))
    lines = [_line(instructions, index) for index in range(len(instructions))]
    return {
        each.argval
        for each, line in zip(instructions, lines, strict=True)
        if line == frame.f_lineno and each.opname.startswith("LOAD")
    }


def _line(instructions: list[dis.Instruction], index: int) -> int | None:
    positions = instructions[index].positions
    return positions.lineno if positions is not None else None


def _around(coro: Any, frame: FrameType | None, task: Any) -> list[CodeType]:
    """The code that may have made it: what runs, and the modules of that and of the function."""
    found: dict[CodeType, None] = {}
    modules: list[dict[str, Any]] = []
    outer: Any = task.get_coro() if task is not None else None
    while isinstance(getattr(outer, "cr_code", None), CodeType):
        found[outer.cr_code] = None
        if outer.cr_frame is not None:
            modules.append(outer.cr_frame.f_globals)
        outer = outer.cr_await
    while frame is not None:
        if not is_library(frame.f_code.co_filename):
            found[frame.f_code] = None
            modules.append(frame.f_globals)
        frame = frame.f_back
    if coro.cr_frame is not None:
        modules.append(coro.cr_frame.f_globals)
    seen: set[int] = set()
    for module in modules:
        if id(module) not in seen and len(found) < _SEARCHED:
            seen.add(id(module))
            for value in list(module.values()):
                _collect(value, module.get("__name__"), found)
    return list(found)


def _collect(value: Any, module: object, found: dict[CodeType, None]) -> None:
    """The code of a function or of the methods of a class that a module defines."""
    if isinstance(value, type):
        if value.__module__ == module:
            for attribute in list(vars(value).values()):
                function = getattr(attribute, "__func__", attribute)
                if isinstance(function, property):
                    function = function.fget
                if isinstance(function, FunctionType):
                    _collect_code(function.__code__, found)
    elif isinstance(value, FunctionType) and value.__module__ == module:
        _collect_code(value.__code__, found)


def _collect_code(code: CodeType, found: dict[CodeType, None]) -> None:
    if len(found) >= _SEARCHED:
        return
    found.setdefault(code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _collect_code(constant, found)


def _on_its_way(frame: FrameType) -> str | None:
    """The exception that leaves the line of a frame, if one does.

    It is kept aside while the coroutine goes, but it has just got a traceback of this frame, so
    both are among the youngest objects.
    """
    lasti = frame.f_lasti
    found = None
    for each in gc.get_objects(0) + gc.get_objects(1):
        error = each if isinstance(each, BaseException) else None
        trace = each if isinstance(each, TracebackType) else None
        if error is not None:
            trace = error.__traceback__
        if trace is not None and trace.tb_frame is frame and trace.tb_lasti == lasti:
            if error is not None:
                return f"{type(error).__name__}: {error}"
            # Up to Python 3.11 the two meet only later.
            found = "an exception"
    return found
