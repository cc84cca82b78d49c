"""Who took which lock by hand, with ``vivace run --dev``: task, line and time.

``async with`` leaves a trace on the value stack (`_owners`), ``await lock.acquire()`` does not.
Here ``acquire`` and ``release`` of asyncio's locks and semaphores are wrapped, so that the owner is
known in any case, and also when it has ended without giving the lock back. Each call costs about a
microsecond more, so it is done with ``--dev`` only.
"""

from __future__ import annotations

import functools
import sys
import time
import weakref
from asyncio import locks
from types import FrameType
from typing import Any, NamedTuple

from . import _authors, _tasks


class Acquisition(NamedTuple):
    """That a task has taken a lock."""

    thing: int
    task: weakref.ref[Any]
    task_name: str
    file: str
    line: int
    function: str
    #: `time.monotonic` of it.
    when: float


#: By lock, as long as it lives.
_taken: weakref.WeakKeyDictionary[Any, list[Acquisition]] = weakref.WeakKeyDictionary()
_installed = False


def install() -> None:
    """Wrap asyncio's locks; a second time does nothing."""
    global _installed
    if not _installed:
        _installed = True
        for kind in (locks.Lock, locks.Semaphore):
            _wrap(kind)


def _wrap(kind: Any) -> None:
    acquire, release = kind.acquire, kind.release

    @functools.wraps(acquire)
    async def noting_acquire(self: Any) -> Any:
        result = await acquire(self)
        _note(self)
        return result

    @functools.wraps(release)
    def noting_release(self: Any) -> None:
        release(self)
        _forget(self)

    kind.acquire, kind.release = noting_acquire, noting_release


def _note(lock: Any) -> None:
    task = _tasks.current()
    if task is None:
        return
    file, line, function = _caller(sys._getframe(2))
    found = Acquisition(
        id(lock), weakref.ref(task), task.get_name(), file, line, function, time.monotonic()
    )
    _taken.setdefault(lock, []).append(found)


def _caller(frame: FrameType | None) -> tuple[str, int, str]:
    """The innermost frame of the program itself."""
    while frame is not None:
        code = frame.f_code
        if _authors.author(code.co_filename) in (_authors.USER, _authors.INSTALLED):
            return code.co_filename, frame.f_lineno, code.co_qualname
        frame = frame.f_back
    return "", 0, ""


def _forget(lock: Any) -> None:
    """One of those who took it has given it back: this task, else the first."""
    taken = _taken.get(lock)
    if not taken:
        return
    task = _tasks.current()
    for index, acquisition in enumerate(taken):
        if acquisition.task() is task:
            del taken[index]
            return
    del taken[0]


def of_lock(lock: Any) -> list[Acquisition]:
    """Who has taken a lock and not given it back."""
    try:
        return list(_taken.get(lock, ()))
    except TypeError:  # not to be referred to weakly
        return []


def of_task(task: Any) -> list[Acquisition]:
    """What a task has taken and not given back."""
    return [
        acquisition
        for taken in list(_taken.values())
        for acquisition in taken
        if acquisition.task() is task
    ]
