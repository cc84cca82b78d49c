"""BufferedProtocol: the transport reads straight into the protocol's buffer."""

from __future__ import annotations

import asyncio
import socket

import pytest
from support.protocols import BufferedRecorder
from support.sockets import listener, tcp_pair


@pytest.fixture
def connect(run):
    """Run a test body with a buffered protocol, its transport and the peer's socket."""

    def connect(body, factory=BufferedRecorder):
        async def main():
            loop = asyncio.get_running_loop()
            near, far = tcp_pair()
            near.setblocking(False)
            with near:
                transport, protocol = await loop.connect_accepted_socket(factory, far)
                try:
                    await body(transport, protocol, near)
                finally:
                    transport.abort()
                    await protocol.lost

        run(main())

    return connect


def test_receive(connect):
    async def body(transport, protocol, peer):
        loop = asyncio.get_running_loop()
        for number in range(20):
            await loop.sock_sendall(peer, b"%02d" % number)
            assert await protocol.received(2) == b"%02d" % number
        assert set(protocol.hints) == {-1}
        assert protocol.sizes == [2] * 20

    connect(body)


def test_more_than_the_buffer_holds(connect):
    async def body(transport, protocol, peer):
        data = bytes(range(256)) * 4000
        sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(peer, data))
        assert await protocol.received(len(data)) == data
        assert max(protocol.sizes) <= 100
        await sending

    connect(body, lambda: BufferedRecorder(100))


def test_a_slice_as_buffer(connect):
    class Sliced(BufferedRecorder):
        """Fills one buffer from front to end."""

        filled = 0

        def get_buffer(self, sizehint):
            return memoryview(self.buffer)[self.filled :]

        def buffer_updated(self, nbytes):
            self.filled += nbytes
            self._more.set()

    async def body(transport, protocol, peer):
        loop = asyncio.get_running_loop()
        for number in range(10):
            await loop.sock_sendall(peer, b"%d" % number)
            while protocol.filled <= number:
                protocol._more.clear()
                await protocol._more.wait()
        assert protocol.buffer[:10] == b"0123456789"

    connect(body, Sliced)


def test_the_buffer_is_released_between_reads(connect):
    """A bytearray that the transport still held could not be resized."""

    async def body(transport, protocol, peer):
        loop = asyncio.get_running_loop()
        for size in (10, 5000, 1):
            protocol.buffer += bytes(size)
            del protocol.buffer[size:]
            await loop.sock_sendall(peer, b"x")
            assert await protocol.received(1) == b"x"

    connect(body)


def test_the_end(connect):
    async def body(transport, protocol, peer):
        peer.send(b"last")
        peer.shutdown(socket.SHUT_WR)
        assert await protocol.lost is None
        assert protocol.data == b"last"
        assert protocol.calls == ["connection_made", "eof_received", "connection_lost"]

    connect(body)


def test_an_empty_buffer(connect, reports):
    class Empty(BufferedRecorder):
        def get_buffer(self, sizehint):
            return bytearray()

    async def body(transport, protocol, peer):
        await asyncio.get_running_loop().sock_sendall(peer, b"x")
        error = await protocol.lost
        assert isinstance(error, RuntimeError)
        assert str(error) == "get_buffer() returned an empty buffer"
        context = reports.take_one()
        assert context["message"] == "Fatal error: protocol.get_buffer() call failed."
        assert context["protocol"] is protocol

    connect(body, Empty)


@pytest.mark.parametrize("method", ["get_buffer", "buffer_updated"])
def test_a_failing_callback(connect, reports, method):
    class Broken(BufferedRecorder):
        pass

    def fail(self, size):
        raise ZeroDivisionError

    setattr(Broken, method, fail)

    async def body(transport, protocol, peer):
        await asyncio.get_running_loop().sock_sendall(peer, b"x")
        assert isinstance(await protocol.lost, ZeroDivisionError)
        message = reports.take_one()["message"]
        assert message == f"Fatal error: protocol.{method}() call failed."

    connect(body, Broken)


@pytest.mark.parametrize("wrong", [b"read-only", 5, None, "text"])
def test_what_is_no_buffer(connect, reports, wrong):
    class Wrong(BufferedRecorder):
        def get_buffer(self, sizehint):
            return wrong

    async def body(transport, protocol, peer):
        await asyncio.get_running_loop().sock_sendall(peer, b"x")
        assert isinstance(await protocol.lost, TypeError)
        assert isinstance(reports.take_one()["exception"], TypeError)

    connect(body, Wrong)


def test_closing_inside_buffer_updated(connect):
    class Closing(BufferedRecorder):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.transport.close()

    async def body(transport, protocol, peer):
        peer.send(b"x")
        assert await protocol.lost is None
        assert protocol.data == b"x"

    connect(body, Closing)


def test_pausing(connect):
    async def body(transport, protocol, peer):
        transport.pause_reading()
        peer.send(b"x")
        await asyncio.sleep(0.005)
        assert protocol.data == b""
        transport.resume_reading()
        assert await protocol.received(1) == b"x"

    connect(body)


def test_as_client_and_as_server(run):
    async def main():
        loop = asyncio.get_running_loop()
        made = loop.create_future()

        def factory():
            protocol = BufferedRecorder()
            made.set_result(protocol)
            return protocol

        async with await loop.create_server(factory, "127.0.0.1", 0) as server:
            transport, client = await loop.create_connection(
                BufferedRecorder, *server.sockets[0].getsockname()
            )
            served = await made
            transport.write(b"question")
            assert await served.received(8) == b"question"
            served.transport.write(b"answer")
            assert await client.received(6) == b"answer"
            transport.close()
            await client.lost
            await served.lost

    run(main())


def test_a_listener_made_by_hand(run):
    async def main():
        loop = asyncio.get_running_loop()
        with listener() as sock:
            transport, client = await loop.create_connection(BufferedRecorder, *sock.getsockname())
            peer, _ = await loop.sock_accept(sock)
            with peer:
                await loop.sock_sendall(peer, b"x" * 10_000)
                assert await client.received(10_000) == b"x" * 10_000
            await client.lost

    run(main())


@pytest.mark.not_asyncio("only uvloop does")
def test_one_that_derives_from_neither_class(connect):
    class Lending:
        """Has the methods and no base."""

        def __init__(self):
            self._recorder = BufferedRecorder()

        def __getattr__(self, name):
            if name == "data_received":
                raise AttributeError(name)
            return getattr(self._recorder, name)

    async def body(transport, protocol, peer):
        await asyncio.get_running_loop().sock_sendall(peer, b"hello")
        assert await protocol.received(5) == b"hello"
        assert protocol.sizes == [5]

    connect(body, Lending)


def test_one_that_has_both_kinds_of_methods_is_plain(connect):
    class Both(asyncio.Protocol):
        def __init__(self):
            self.lost = asyncio.get_running_loop().create_future()
            self.data = asyncio.get_running_loop().create_future()

        def get_buffer(self, sizehint):
            raise AssertionError("it is no BufferedProtocol")

        def data_received(self, data):
            self.data.set_result(data)

        def connection_lost(self, exc):
            self.lost.set_result(exc)

    async def body(transport, protocol, peer):
        await asyncio.get_running_loop().sock_sendall(peer, b"hello")
        assert await protocol.data == b"hello"

    connect(body, Both)
