"""Places in the program, and tasks, as reports name them."""

from __future__ import annotations

import linecache
import os
from types import CodeType
from typing import Any, NamedTuple

from vivace import _native

from ._authors import is_library


class Site(NamedTuple):
    """A line of the program."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{shown(self.file)}:{self.line} in {self.function}"

    @property
    def source(self) -> str:
        """The text of the line, if it can be had."""
        return linecache.getline(self.file, self.line).strip()

    def data(self) -> dict[str, Any]:
        """As findings have it."""
        return {"file": self.file, "line": self.line, "function": self.function}


class Canceller(NamedTuple):
    """Who asked a task to cancel."""

    #: The name of the task that did, and its coroutine's; empty if no task did.
    task: str
    coro: str
    site: Site | None
    #: Seconds since.
    asked: float
    #: Seconds since CancelledError was thrown in, if it was.
    thrown: float | None

    def __str__(self) -> str:
        by = f"{self.task} {self.coro}()".strip() if self.task else "no task"
        if self.site is not None:
            by += f" at {self.site}"
        return f"{by}, {duration(self.asked)} ago"

    def data(self) -> dict[str, Any]:
        """As findings have it."""
        found: dict[str, Any] = {"name": self.task, "coro": self.coro, "ago": self.asked}
        return found | (self.site.data() if self.site else {})


class Waiting(NamedTuple):
    """At which of the program's own lines a task waits, and for what."""

    #: None if it cannot be told.
    site: Site | None
    what: str

    def __str__(self) -> str:
        return f"at {self.site}" + (f" for {self.what}" if self.what else "")

    def lines(self) -> list[tuple[str, str]]:
        """As reports have it, with the text of the line; none without a site."""
        if self.site is None:
            return []
        source = self.site.source
        return [("waits", str(self)), *([("", source)] if source else [])]

    def data(self) -> dict[str, Any]:
        """As findings have it."""
        return (self.site.data() if self.site else {}) | {"text": self.what}


def shown(file: str) -> str:
    """A path as reports have it: from the current folder, if it is below."""
    try:
        relative = os.path.relpath(file)
    except (ValueError, OSError):
        return file
    return file if relative.startswith("..") else relative


def duration(seconds: float) -> str:
    """``0.4 s``, ``14 s``, ``3 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def site_of(code: CodeType, instruction: int) -> Site:
    """The line of an instruction."""
    line = _native.see_line(code, instruction) or code.co_firstlineno
    return Site(code.co_filename, line, code.co_qualname)


def created(task: Any) -> list[Site]:
    """Where a task was made, the innermost frame first; empty if that is not known."""
    if not isinstance(task, _native.Task):
        return []
    return [site_of(code, instruction) for code, instruction in _native.see_created(task)]


def canceller(task: Any) -> Canceller | None:
    """Who asked a task to cancel, unless the request was taken back."""
    if not isinstance(task, _native.Task):
        return None
    found = _native.see_cancelled(task)
    if found is None:
        return None
    name, code, site, asked, thrown = found
    return Canceller(
        name or "",
        code.co_qualname if code is not None else "",
        site_of(*site) if site is not None else None,
        asked,
        thrown,
    )


def coro_name(task: Any) -> str:
    """The name of a task's coroutine function."""
    coro = task.get_coro()
    name = getattr(coro, "__qualname__", None)
    return name if isinstance(name, str) else type(coro).__name__


def describe(task: Any) -> str:
    """``Task-7 refresh()  made at app.py:20 in main``."""
    text = f"{task.get_name()} {coro_name(task)}()"
    sites = created(task)
    return f"{text}  made at {sites[0]}" if sites else text


def data(task: Any) -> dict[str, Any]:
    """A task as findings have it."""
    found: dict[str, Any] = {"name": task.get_name(), "coro": coro_name(task)}
    sites = created(task)
    if sites:
        found["created"] = sites[0].data()
    if len(sites) > 1:
        found["stack"] = [site.data() for site in reversed(sites)]
    return found


def lines(task: Any) -> list[tuple[str, str]]:
    """The lines of a report that name a task."""
    found = [("task", describe(task))]
    found += [("", f"from {site}") for site in created(task)[1:]]
    return found


def waiting(task: Any) -> Waiting:
    """Where a task waits, and for what."""
    # It takes long to import.
    from . import _waits

    wait = _waits.describe(task)
    site = Site(wait.file, wait.line, wait.function) if wait.file else _innermost(task)
    return Waiting(site, wait.text)


def _innermost(task: Any) -> Site | None:
    coro, found = task.get_coro(), None
    for _ in range(100):
        frame = getattr(coro, "cr_frame", None)
        if frame is None:
            break
        if found is None or not is_library(frame.f_code.co_filename):
            found = Site(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)
        coro = coro.cr_await
    return found
