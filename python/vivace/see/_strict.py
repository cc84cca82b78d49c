"""Calls that block, refused on the loop's thread before they block (V401).

For tests: `pytest -p vivace.pytest_plugin --vivace-strict`. The functions of a list are replaced by
ones that look whether a loop runs in this thread; if so, and the call would block, they raise
`BlockingCallError` with the program's line. Threads of `asyncio.to_thread` have no running loop.

What is let through, since programs mean no harm by it: imports, logging, pytest and its rewriting
of assertions, debuggers and tools that measure coverage, tracebacks being made, the loop itself,
sockets that do not block, locks that are free, and lines that say ``# vivace: blocking-ok``.

Methods of C types (``file.read``) cannot be replaced; opening the file is refused. Names that were
taken from a module before (``from time import sleep``) are the old functions.
"""

from __future__ import annotations

import builtins
import functools
import io
import linecache
import os
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from asyncio.events import _get_running_loop
from collections.abc import Callable
from types import FrameType
from typing import Any

from . import _authors, _findings


class BlockingCallError(RuntimeError):
    """A call that would block the event loop was made on its thread."""


#: A line with this comment may block.
ALLOWED = "# vivace: blocking-ok"

_OS = (
    "stat",
    "lstat",
    "access",
    "listdir",
    "scandir",
    "rename",
    "replace",
    "remove",
    "unlink",
    "mkdir",
    "rmdir",
    "link",
    "symlink",
    "readlink",
    "statvfs",
    "sendfile",
    "truncate",
    "chmod",
    "chown",
    "fsync",
    "system",
    "waitpid",
)

_SOCKET = (
    "connect",
    "accept",
    "send",
    "sendall",
    "sendto",
    "recv",
    "recv_into",
    "recvfrom",
    "recvmsg",
)

# Frames that make a call harmless: by the beginning of the module's name, or a part of the file's.
_MODULES = (
    "importlib",
    "_frozen_importlib",
    "logging",
    "linecache",
    "traceback",
    "tracemalloc",
    "warnings",
    "_pytest",
    "pytest",
    "pluggy",
    "coverage",
    "pydevd",
    "_pydevd_bundle",
    "pdb",
    "bdb",
    "zipimport",
    "pkgutil",
    "inspect",
    "tokenize",
)
# These call what is on the list in ways that do not block, or only as they start and end.
_LOOPS = ("asyncio.", "vivace.", "concurrent.futures.thread")

_Blocks = Callable[..., bool]
_undo: list[Callable[[], None]] = []


def install() -> None:
    """Replace the functions of the list."""
    if _undo:
        return
    _replace(time, "sleep", "time.sleep()", lambda seconds: seconds > 0)
    _replace(builtins, "open", "open()", _opens_a_file)
    _replace(io, "open", "open()", _opens_a_file)
    _replace(builtins, "input", "input()")
    for name in _OS:
        _replace(os, name, f"os.{name}()")
    for name in ("ismount", "samefile", "islink", "exists", "isfile", "isdir", "getsize"):
        _replace(os.path, name, f"os.path.{name}()")
    for name in ("run", "call", "check_call", "check_output"):
        _replace(subprocess, name, f"subprocess.{name}()")
    _replace(subprocess.Popen, "wait", "Popen.wait()", lambda self, *_, **__: self.poll() is None)
    _replace(subprocess.Popen, "communicate", "Popen.communicate()", lambda self, *_, **__: True)
    for name in ("getaddrinfo", "gethostbyname", "gethostbyaddr", "create_connection"):
        _replace(socket, name, f"socket.{name}()", _looks_up)
    for name in _SOCKET:
        _replace(socket.socket, name, f"socket.{name}()", _waits_for_socket)
    for name in ("read", "write", "send", "recv", "sendall", "do_handshake"):
        _replace(ssl.SSLSocket, name, f"SSLSocket.{name}()", _waits_for_socket)
    _replace(sqlite3, "connect", "sqlite3.connect()")
    _replace(threading.Thread, "join", "Thread.join()", lambda self, *_, **__: self.is_alive())
    _replace(threading.Event, "wait", "threading.Event.wait()", _event_waits)
    _replace(threading.Condition, "wait", "threading.Condition.wait()")
    _replace_of_queue()
    _replace_of_futures()


def uninstall() -> None:
    """Put the functions back."""
    while _undo:
        _undo.pop()()


def _replace_of_queue() -> None:
    import queue

    _replace(queue.Queue, "get", "queue.Queue.get()", _queue_get_waits)
    _replace(queue.Queue, "put", "queue.Queue.put()", _queue_put_waits)
    _replace(queue.Queue, "join", "queue.Queue.join()", lambda self: self.unfinished_tasks > 0)


def _replace_of_futures() -> None:
    import concurrent.futures

    result = "concurrent.futures.Future.result()"
    future = concurrent.futures.Future
    _replace(future, "result", result, lambda self, *_, **__: not self.done())
    _replace(concurrent.futures, "wait", "concurrent.futures.wait()")


# Whether a call with these arguments would block.


def _opens_a_file(file: Any = None, *_: Any, **__: Any) -> bool:
    # Descriptors of pipes and the like are wrapped, not opened.
    return not isinstance(file, int)


def _looks_up(host: Any = None, *_: Any, **options: Any) -> bool:
    # Without a host, or with an address in place of a name, nobody is asked.
    name = host[0] if isinstance(host, tuple) else host
    if name is None or name == "":
        return False
    if options.get("flags", 0) & socket.AI_NUMERICHOST:
        return False
    text = name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text.partition("%")[0])
        except OSError:
            continue
        return isinstance(host, tuple)
    return True


def _waits_for_socket(self: Any, *_: Any, **__: Any) -> bool:
    return bool(self.gettimeout() != 0)


def _event_waits(self: Any, *_: Any, **__: Any) -> bool:
    return not self.is_set()


def _queue_get_waits(self: Any, block: bool = True, timeout: float | None = None) -> bool:
    return block and self.empty()


def _queue_put_waits(
    self: Any, item: Any, block: bool = True, timeout: float | None = None
) -> bool:
    return block and self.full()


def _always(*_: Any, **__: Any) -> bool:
    return True


def _replace(owner: Any, name: str, title: str, blocks: _Blocks = _always) -> None:
    original = getattr(owner, name, None)
    if original is None:
        return
    # Inherited methods get an entry of their own, which goes again.
    inherited = isinstance(owner, type) and name not in owner.__dict__

    @functools.wraps(original)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if _get_running_loop() is not None and _is_refused(blocks, args, kwargs):
            refuse(title, sys._getframe(1))
        return original(*args, **kwargs)

    checked.__vivace_strict__ = True  # type: ignore[attr-defined]
    setattr(owner, name, checked)

    def undo() -> None:
        if inherited:
            delattr(owner, name)
        else:
            setattr(owner, name, original)

    _undo.append(undo)


def _is_refused(blocks: _Blocks, args: Any, kwargs: Any) -> bool:
    try:
        return blocks(*args, **kwargs)
    except Exception:  # wrong arguments: the function itself tells
        return False


def refuse(title: str, frame: FrameType | None) -> None:
    """Raise, unless one of the callers, from here to the loop, makes it harmless.

    Raises:
        BlockingCallError: the program called it.
    """
    place: FrameType | None = None
    while frame is not None:
        code = frame.f_code
        module = frame.f_globals.get("__name__") or ""
        if module.startswith(_MODULES) or code.co_filename.startswith("<frozen "):
            return
        # A thread that was started is waited for until it runs, which is soon.
        if module == "threading" and code.co_name == "start":
            return
        if module.startswith(_LOOPS):
            # The loop's own calls, and those of threads that it starts, are made with care.
            break
        author = _authors.author(code.co_filename)
        if author in (_authors.USER, _authors.INSTALLED):
            if ALLOWED in linecache.getline(code.co_filename, frame.f_lineno):
                return
            best = place is not None and _authors.author(place.f_code.co_filename)
            if place is None or (author == _authors.USER and best != _authors.USER):
                place = frame
        frame = frame.f_back
    if place is not None:
        _refuse(title, place)


def _refuse(title: str, frame: FrameType) -> None:
    code = frame.f_code
    file, line = code.co_filename, frame.f_lineno
    _findings.report(
        "V401",
        f"{title} at {file}:{line} in {code.co_qualname}",
        place=f"{file}:{line}",
        lines=[
            ("line", linecache.getline(file, line).strip()),
            ("do", f"await asyncio.to_thread(...), or `{ALLOWED}` on that line"),
        ],
        data={"file": file, "line": line, "function": code.co_qualname, "call": title},
    )
    raise BlockingCallError(
        f"{title} blocks the event loop: {file}:{line} in {code.co_qualname}; use "
        f"asyncio.to_thread, or write `{ALLOWED}` on that line"
    )
