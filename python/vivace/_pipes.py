"""Pipe transports: asyncio's, with one owner for each descriptor.

asyncio's own do not tell the loop that a descriptor is theirs: `add_reader` takes it from them in
silence, and a socket, a second pipe or a closed number can end up with the same one. And they can
report the end twice, as in `close()` followed by `abort()`. These do neither.
"""

from __future__ import annotations

import asyncio
import os
import stat
import weakref
from asyncio import unix_events
from typing import TYPE_CHECKING, Any

__all__ = ["PipeOwners", "PipesLoop"]


class PipeOwners:
    """Which pipe transports read and write the descriptors of a loop.

    One for each direction: a terminal may be read by one transport and written by another.
    """

    def __init__(self) -> None:
        # Most programs have no pipes, and nothing to look up.
        self.used = False
        self.reading: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self.writing: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def check(self, fd: int, *, read: bool, write: bool) -> None:
        """Makes sure that nobody uses `fd` in these directions.

        Raises:
            RuntimeError: somebody does.
        """
        for wanted, owners in ((read, self.reading), (write, self.writing)):
            owner = owners.get(fd) if wanted else None
            if owner is not None and not owner.is_closing():
                raise RuntimeError(f"File descriptor {fd!r} is used by transport {owner!r}")


class _LostOnce:
    """A pipe transport whose end is told, and whose descriptor is closed, once."""

    if TYPE_CHECKING:
        _fileno: int
        _loop: Any
        _pipe: Any
        _read_ready: Any

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        if self._pipe is None:
            return
        # Closed in connection_made(), it is watched only after that. If somebody has closed the
        # pipe himself, its number may be somebody else's by now.
        reader, _ = self._loop._watched(self._fileno) or (None, None)
        if reader is not None and reader._callback == self._read_ready:
            self._loop._remove_reader(self._fileno)
        super()._call_connection_lost(exc)  # type: ignore[misc]

    def _close(self, exc: BaseException | None = None) -> None:
        if self._pipe is not None:
            super()._close(exc)  # type: ignore[misc]


class _ReadPipeTransport(
    _LostOnce,
    unix_events._UnixReadPipeTransport,  # type: ignore[name-defined, misc]
):
    """The reading end of a pipe."""


class _WritePipeTransport(
    _LostOnce,
    unix_events._UnixWritePipeTransport,  # type: ignore[name-defined, misc]
):
    """The writing end of a pipe."""


class PipesLoop(asyncio.SelectorEventLoop):
    """The part of the loop that makes pipe transports."""

    __slots__ = ()

    if TYPE_CHECKING:
        _pipes: PipeOwners

        def _ensure_fd_no_transport(self, fd: Any) -> None: ...

    def _ensure_fd_no_pipe(self, fd: Any, *, read: bool, write: bool) -> None:
        if self._pipes.used:
            number = fd if isinstance(fd, int) else fd.fileno()
            self._pipes.check(number, read=read, write=write)

    def _make_read_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> asyncio.ReadTransport:
        fd = pipe.fileno()
        self._ensure_fd_no_transport(fd)
        self._pipes.check(fd, read=True, write=False)
        transport = _ReadPipeTransport(self, pipe, protocol, waiter, extra)
        self._pipes.used = True
        self._pipes.reading[fd] = transport
        return transport

    def _make_write_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> asyncio.WriteTransport:
        fd = pipe.fileno()
        self._ensure_fd_no_transport(fd)
        # It watches for the end of the other side by reading, which terminals do not tell.
        reads = not stat.S_ISCHR(os.fstat(fd).st_mode)
        self._pipes.check(fd, read=reads, write=True)
        transport = _WritePipeTransport(self, pipe, protocol, waiter, extra)
        self._pipes.used = True
        self._pipes.writing[fd] = transport
        if reads:
            self._pipes.reading[fd] = transport
        return transport
