"""TLS over what is not a socket transport of the loop, and through an `SSLObject` of one's own."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from support.protocols import BufferedRecorder, Recorder
from support.sockets import tcp_pair


class MemoryTransport(asyncio.Transport):
    """One end of a pair that hands bytes over in memory, some at a time."""

    _start_tls_compatible = True

    def __init__(self, protocol, piece):
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._piece = piece
        self._closed = False
        self._paused = False
        self._incoming = bytearray()
        self.peer = None

    def set_protocol(self, protocol):
        self._protocol = protocol

    def get_protocol(self):
        return self._protocol

    def is_closing(self):
        return self._closed

    def pause_reading(self):
        self._paused = True

    def resume_reading(self):
        self._paused = False
        self._loop.call_soon(self._deliver)

    def write(self, data):
        self.peer._incoming += data
        self._loop.call_soon(self.peer._deliver)

    def _deliver(self):
        while self._incoming and not self._paused and not self._closed:
            buffer = self._protocol.get_buffer(-1)
            count = min(len(buffer), len(self._incoming), self._piece)
            buffer[:count] = self._incoming[:count]
            del self._incoming[:count]
            self._protocol.buffer_updated(count)

    def _force_close(self, exc):
        if not self._closed:
            self._closed = True
            self._loop.call_soon(self._protocol.connection_lost, exc)
            self._loop.call_soon(self.peer._ended)

    def _ended(self):
        if not self._closed:
            self._protocol.eof_received()
            self.close()

    def close(self):
        self._force_close(None)

    def abort(self):
        self._force_close(None)


async def layered(certificates, near_protocol, far_protocol, piece):
    """Puts TLS over a pair of memory transports; gives the two app transports."""
    loop = asyncio.get_running_loop()
    near, far = MemoryTransport(near_protocol, piece), MemoryTransport(far_protocol, piece)
    near.peer, far.peer = far, near
    return await asyncio.gather(
        loop.start_tls(
            near, near_protocol, certificates.client_context(), server_hostname="localhost"
        ),
        loop.start_tls(far, far_protocol, certificates.server_context(), server_side=True),
    )


@pytest.mark.parametrize("piece", [1, 1000, 1 << 20])
def test_over_a_transport_of_the_program(run, certificates, piece):
    async def main():
        near_protocol, far_protocol = Recorder(), Recorder()
        for protocol in (near_protocol, far_protocol):
            protocol.calls.append("upgraded")
        near, far = await layered(certificates, near_protocol, far_protocol, piece)
        data = bytes(range(256)) * 150
        near.write(data)
        assert await far_protocol.received(len(data)) == data
        far.write(b"thank you")
        assert await near_protocol.received(9) == b"thank you"
        near.close()
        await near_protocol.lost
        await far_protocol.lost
        assert far_protocol.calls[-2:] == ["eof_received", "connection_lost"]

    run(main())


def records(ciphertext):
    """The lengths of the application records in it."""
    lengths = []
    while ciphertext:
        length = int.from_bytes(ciphertext[3:5], "big")
        if ciphertext[0] == 0x17:
            lengths.append(length)
        ciphertext = ciphertext[5 + length :]
    return lengths


@pytest.mark.parametrize(
    ("sizes", "together"),
    [((10, 20, 30), [60]), ((16_000, 500), [16_384, 116]), ((5, 20_000), [16_384, 3621])],
)
def test_what_is_written_in_a_turn_is_encrypted_together(
    run, certificates, loop_name, sizes, together
):
    """asyncio makes a record of each write."""

    async def main():
        near_protocol, far_protocol = Recorder(), Recorder()
        for protocol in (near_protocol, far_protocol):
            protocol.calls.append("upgraded")
        near, far = await layered(certificates, near_protocol, far_protocol, 1 << 20)
        far.write(b"x")  # the server's tickets have come with it
        assert await near_protocol.received(1) == b"x"
        written = []
        lower = near._ssl_protocol._transport
        lower.write, write = lambda data: (written.append(bytes(data)), write(data)), lower.write
        for size in sizes:
            near.write(bytes(size))
        assert await far_protocol.received(sum(sizes)) == bytes(sum(sizes))
        lengths = records(b"".join(written))
        overhead = 17  # the tag and the type of TLS 1.3
        if loop_name == "asyncio":
            assert len(lengths) == sum(-(-size // 16_384) for size in sizes)
        else:
            assert [length - overhead for length in lengths] == together
        near.abort()
        far.abort()
        await near_protocol.lost
        await far_protocol.lost

    run(main())


class ViewRecorder(BufferedRecorder):
    """Lends a view: asyncio fills a slice of what it is lent, and one of a bytearray is a copy."""

    def get_buffer(self, sizehint):
        return memoryview(super().get_buffer(sizehint))


@pytest.mark.parametrize("size", [1, 7, 100, 20_000])
def test_a_small_buffer(run, certificates, size):
    """However little room the protocol offers, all of each record arrives, in order."""

    async def main():
        near_protocol, far_protocol = Recorder(), ViewRecorder(size)
        near_protocol.calls.append("upgraded")
        near, far = await layered(certificates, near_protocol, far_protocol, 1 << 20)
        data = bytes(range(251)) * 140
        near.write(data)
        assert await far_protocol.received(len(data)) == data
        far.abort()
        await far_protocol.lost

    run(main())


def test_an_ssl_object_of_the_program(run, certificates):
    """`SSLContext.sslobject_class`: its methods see every byte."""
    seen = {"read": 0, "written": 0}

    class Counting(ssl.SSLObject):
        def read(self, len=1024, buffer=None):
            data = super().read(len, buffer) if buffer is not None else super().read(len)
            seen["read"] += data if isinstance(data, int) else data.__len__()
            return data

        def write(self, data):
            count = super().write(data)
            seen["written"] += count
            return count

    async def main():
        loop = asyncio.get_running_loop()
        client_context = certificates.client_context()
        client_context.sslobject_class = Counting
        near, far = tcp_pair()
        (client, client_protocol), (server, server_protocol) = await asyncio.gather(
            loop.create_connection(
                Recorder, sock=near, ssl=client_context, server_hostname="localhost"
            ),
            loop.connect_accepted_socket(Recorder, far, ssl=certificates.server_context()),
        )
        assert isinstance(client.get_extra_info("ssl_object"), Counting)
        data = b"x" * 100_000
        client.write(data)
        assert await server_protocol.received(len(data)) == data
        server.write(data)
        assert await client_protocol.received(len(data)) == data
        assert seen == {"read": len(data), "written": len(data)}
        for transport, protocol in ((client, client_protocol), (server, server_protocol)):
            transport.abort()
            await protocol.lost

    run(main())


def test_closed_twice_and_lost(run, certificates):
    """What a closed transport still answers does not depend on how often it was closed."""

    async def main():
        near_protocol, far_protocol = Recorder(), Recorder()
        for protocol in (near_protocol, far_protocol):
            protocol.calls.append("upgraded")
        near, far = await layered(certificates, near_protocol, far_protocol, 1 << 20)
        near.abort()
        near.abort()
        far.abort()
        await near_protocol.lost
        await far_protocol.lost
        assert near.is_closing()
        assert near.get_protocol() is None
        assert near.get_extra_info("peername", "unknown") == "unknown"
        assert near.get_extra_info("ssl_object") is not None

    run(main())
