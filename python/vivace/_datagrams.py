"""Datagram transports: asyncio's, with what newer versions mended.

On every Python they are `asyncio.DatagramTransport`s (3.12), send empty datagrams (3.13), and
count in `get_write_buffer_size()` what each datagram takes, and only as long as it waits (3.14).
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import constants, selector_events
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import deque

__all__ = ["DatagramTransport"]

# What a waiting datagram counts beyond its bytes: empty ones must not wait in endless number.
_HEADER_SIZE = 8


class DatagramTransport(
    selector_events._SelectorDatagramTransport,  # type: ignore[name-defined, misc]
    asyncio.DatagramTransport,
):
    """A datagram transport over a socket of the loop."""

    if TYPE_CHECKING:
        _buffer: deque[tuple[bytes, Any]]
        _address: Any
        _conn_lost: int
        _extra: dict[str, Any]
        _loop: Any
        _protocol: asyncio.DatagramProtocol
        _sock: socket.socket
        _sock_fd: int

        def __init__(
            self,
            loop: Any,
            sock: socket.socket,
            protocol: asyncio.DatagramProtocol,
            address: Any,
            waiter: asyncio.Future[None] | None,
            extra: dict[str, Any] | None,
        ) -> None: ...
        def _fatal_error(self, exc: BaseException, message: str = ...) -> None: ...
        def _maybe_pause_protocol(self) -> None: ...
        def _maybe_resume_protocol(self) -> None: ...
        def _call_connection_lost(self, exc: BaseException | None) -> None: ...

    _waiting_size = 0

    def get_write_buffer_size(self) -> int:
        """How many bytes wait for the socket."""
        return self._waiting_size if self._buffer else 0

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Sends one datagram; it waits if the socket does not take it.

        Args:
            data: the bytes, which may be none.
            addr: where to; None if the endpoint has a remote address.

        Raises:
            TypeError: `data` is not bytes.
            ValueError: `addr` is not the endpoint's remote address.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(
                f"data argument must be a bytes-like object, not {type(data).__name__!r}"
            )
        if self._address:
            if addr not in (None, self._address):
                raise ValueError(f"Invalid address: must be None or {self._address}")
            addr = self._address
        if self._conn_lost and (self._address or self._sock is None):
            if self._conn_lost >= constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                logger.warning("socket.send() raised exception.")
            self._conn_lost += 1
            return
        if not self._buffer:
            if self._try_to_send(data, addr):
                return
            self._waiting_size = 0
            self._loop._add_writer(self._sock_fd, self._sendto_ready)
        # A copy: the caller may change what it gave.
        waiting = bytes(data)
        self._buffer.append((waiting, addr))
        self._waiting_size += len(waiting) + _HEADER_SIZE
        self._maybe_pause_protocol()

    def _sendto_ready(self) -> None:
        """The socket takes datagrams again."""
        while self._buffer:
            data, addr = self._buffer[0]
            if not self._try_to_send(data, addr):
                break
            if self._buffer:  # error_received() may have called abort().
                self._buffer.popleft()
                self._waiting_size -= len(data) + _HEADER_SIZE
        self._maybe_resume_protocol()  # It may send more, or close.
        if not self._buffer and self._conn_lost == 0:
            self._loop._remove_writer(self._sock_fd)
            if self._closing:
                self._conn_lost += 1
                self._call_connection_lost(None)

    def _try_to_send(self, data: bytes | bytearray | memoryview, addr: Any) -> bool:
        """Whether the datagram is dealt with: sent, or its error told to the protocol."""
        try:
            # The end of a socket pair has a peer, but that has no name.
            unnamed = addr is None and self._sock.family == socket.AF_UNIX
            if self._extra["peername"] or unnamed:
                self._sock.send(data)
            else:
                self._sock.sendto(data, addr)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._protocol.error_received(error)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal_error(error, "Fatal write error on datagram transport")
        return True
