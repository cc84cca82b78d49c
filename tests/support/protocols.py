"""Protocols that record what their transport tells them.

The order of the calls is kept in ``calls``, and there is a future for each milestone, so that a
test waits for an event and never for a time.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Recorder(asyncio.Protocol):
    """A stream protocol that records."""

    def __init__(self, *, keep_open_at_eof: bool = False) -> None:
        loop = asyncio.get_running_loop()
        self.calls: list[str] = []
        self.data = bytearray()
        self.transport: Any = None
        self.error: BaseException | None = None
        self.made = loop.create_future()
        self.lost = loop.create_future()
        self.eof = loop.create_future()
        self._keep_open_at_eof = keep_open_at_eof
        self._more = asyncio.Event()
        self._flow = asyncio.Condition()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("connection_made")
        self.transport = transport
        self.made.set_result(transport)

    def data_received(self, data: bytes) -> None:
        if self.calls[-1] != "data_received":
            self.calls.append("data_received")
        self.data += data
        self._more.set()

    def eof_received(self) -> bool:
        self.calls.append("eof_received")
        self.eof.set_result(None)
        return self._keep_open_at_eof

    def pause_writing(self) -> None:
        self.calls.append("pause_writing")
        self._more.set()

    def resume_writing(self) -> None:
        self.calls.append("resume_writing")
        self._more.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("connection_lost")
        self.error = exc
        self._more.set()
        self.lost.set_result(exc)

    async def received(self, size: int) -> bytes:
        """Wait until `size` bytes are there, take and return them."""
        while len(self.data) < size:
            assert "connection_lost" not in self.calls, self.error
            await self._change()
        taken = bytes(self.data[:size])
        del self.data[:size]
        return taken

    async def called(self, name: str) -> None:
        """Wait until the transport has called the method of that name."""
        while name not in self.calls:
            await self._change()

    async def _change(self) -> None:
        self._more.clear()
        await self._more.wait()


class BufferedRecorder(asyncio.BufferedProtocol):
    """A protocol that lends the transport a buffer of `size` bytes, and records."""

    def __init__(self, size: int = 4096) -> None:
        loop = asyncio.get_running_loop()
        self.calls: list[str] = []
        self.hints: list[int] = []
        self.sizes: list[int] = []
        self.data = bytearray()
        self.buffer = bytearray(size)
        self.transport: Any = None
        self.made = loop.create_future()
        self.lost = loop.create_future()
        self._more = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.calls.append("connection_made")
        self.made.set_result(transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        self.hints.append(sizehint)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.sizes.append(nbytes)
        self.data += self.buffer[:nbytes]
        self._more.set()

    def eof_received(self) -> None:
        self.calls.append("eof_received")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("connection_lost")
        self._more.set()
        self.lost.set_result(exc)

    async def received(self, size: int) -> bytes:
        """Wait until `size` bytes are there, take and return them."""
        while len(self.data) < size:
            assert "connection_lost" not in self.calls
            self._more.clear()
            await self._more.wait()
        taken = bytes(self.data[:size])
        del self.data[:size]
        return taken


class DatagramRecorder(asyncio.DatagramProtocol):
    """A datagram protocol that records."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.calls: list[str] = []
        self.transport: Any = None
        self.received: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()
        self.errors: asyncio.Queue[Exception] = asyncio.Queue()
        self.made = loop.create_future()
        self.lost = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("connection_made")
        self.transport = transport
        self.made.set_result(transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.put_nowait((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.put_nowait(exc)

    def pause_writing(self) -> None:
        self.calls.append("pause_writing")

    def resume_writing(self) -> None:
        self.calls.append("resume_writing")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("connection_lost")
        self.lost.set_result(exc)
