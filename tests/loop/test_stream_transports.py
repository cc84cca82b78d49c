"""What a TCP transport does: writing, flow control, half-close, closing, aborting, questions."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref

import pytest
from support.patience import SECONDS
from support.protocols import Recorder
from support.sockets import tcp_pair


class Pair:
    """A transport with its protocol on one side, a plain non-blocking socket on the other."""

    def __init__(self, transport, protocol, peer):
        self.transport = transport
        self.protocol = protocol
        self.peer = peer
        self.loop = asyncio.get_running_loop()

    async def read_peer(self, size):
        """Read exactly `size` bytes from the plain socket."""
        data = bytearray()
        while len(data) < size:
            part = await self.loop.sock_recv(self.peer, size - len(data))
            assert part, f"end after {len(data)} bytes of {size}"
            data += part
        return bytes(data)

    async def read_peer_to_the_end(self):
        """Read from the plain socket until its end."""
        data = bytearray()
        while part := await self.loop.sock_recv(self.peer, 1 << 20):
            data += part
        return bytes(data)

    def fill(self):
        """Write until the kernel takes no more; return how many bytes were written."""
        size = 20_000_000  # several times what the kernel buffers for a connection
        self.transport.write(b"x" * size)
        assert self.transport.get_write_buffer_size() > 0
        return size


@pytest.fixture
def with_pair(run):
    """Run a test body with a connected pair."""

    def with_pair(body, factory=Recorder):
        async def main():
            loop = asyncio.get_running_loop()
            near, far = tcp_pair()
            near.setblocking(False)
            with near:
                transport, protocol = await loop.connect_accepted_socket(factory, far)
                try:
                    await body(Pair(transport, protocol, near))
                finally:
                    if not protocol.lost.done():
                        transport.abort()
                    await protocol.lost

        run(main())

    return with_pair


# -- what it is ---------------------------------------------------------------------------------


def test_types(with_pair):
    async def body(pair):
        assert isinstance(pair.transport, asyncio.Transport)
        assert isinstance(pair.transport, asyncio.ReadTransport)
        assert isinstance(pair.transport, asyncio.WriteTransport)
        assert isinstance(pair.transport, asyncio.BaseTransport)

    with_pair(body)


def test_extra_info(with_pair):
    async def body(pair):
        transport = pair.transport
        sock = transport.get_extra_info("socket")
        assert isinstance(sock, asyncio.trsock.TransportSocket)
        assert sock.fileno() >= 0
        assert sock.family == socket.AF_INET
        assert sock.type == socket.SOCK_STREAM
        assert sock.getpeername() == pair.peer.getsockname()
        assert sock.getsockname() == pair.peer.getpeername()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert transport.get_extra_info("sockname") == pair.peer.getpeername()
        assert transport.get_extra_info("peername") == pair.peer.getsockname()
        assert transport.get_extra_info("nonsense") is None
        assert transport.get_extra_info("nonsense", 5) == 5
        assert transport.get_extra_info("sslcontext") is None
        with pytest.raises(ValueError):
            sock.setblocking(True)
        sock.setblocking(False)
        assert "TransportSocket" in repr(sock)

    with_pair(body)


def test_repr(with_pair):
    async def body(pair):
        fd = pair.transport.get_extra_info("socket").fileno()
        text = repr(pair.transport)
        assert f"fd={fd}" in text and "closed" not in text and "closing" not in text
        pair.transport.close()
        assert "clos" in repr(pair.transport)

    with_pair(body)


def test_attributes_can_be_set(with_pair):
    """Test suites replace methods of a transport with mocks."""

    async def body(pair):
        seen = []
        pair.transport.write = seen.append
        pair.transport.write(b"x")
        assert seen == [b"x"]
        pair.transport.own = 1
        assert weakref.ref(pair.transport)() is pair.transport

    with_pair(body)


def test_private_names_that_libraries_read(with_pair):
    async def body(pair):
        assert pair.transport._protocol is pair.protocol
        assert pair.transport._loop is pair.loop
        assert pair.transport._sock.fileno() == pair.transport.get_extra_info("socket").fileno()

    with_pair(body)


# -- writing ------------------------------------------------------------------------------------


def test_writes_keep_their_order(with_pair):
    async def body(pair):
        pieces = [b"%d " % number for number in range(2000)]
        for piece in pieces:
            pair.transport.write(piece)
        expected = b"".join(pieces)
        assert await pair.read_peer(len(expected)) == expected

    with_pair(body)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_kinds_of_data(with_pair, kind):
    async def body(pair):
        pair.transport.write(kind(b"hello"))
        assert await pair.read_peer(5) == b"hello"
        pair.transport.writelines([kind(b"one"), kind(b""), kind(b"two")])
        assert await pair.read_peer(6) == b"onetwo"

    with_pair(body)


def test_a_slice_and_a_wide_memoryview(with_pair):
    async def body(pair):
        import array

        pair.transport.write(memoryview(b"0123456789")[2:5])
        assert await pair.read_peer(3) == b"234"
        numbers = array.array("H", [1, 2, 3])
        pair.transport.write(memoryview(numbers).cast("B"))
        assert await pair.read_peer(6) == numbers.tobytes()

    with_pair(body)


def test_what_is_no_data(with_pair):
    async def body(pair):
        for wrong in ("text", 5, None, [1]):
            with pytest.raises(TypeError, match="data argument must be a bytes"):
                pair.transport.write(wrong)

    with_pair(body)


def test_empty_data(with_pair):
    async def body(pair):
        pair.transport.write(b"")
        pair.transport.writelines([])
        assert pair.transport.get_write_buffer_size() == 0
        pair.transport.write(b"x")
        assert await pair.read_peer(1) == b"x"

    with_pair(body)


def test_writelines_takes_any_iterable(with_pair):
    async def body(pair):
        pair.transport.writelines(b"%d" % number for number in range(10))
        assert await pair.read_peer(10) == b"0123456789"
        pair.transport.writelines((b"a", bytearray(b"b"), memoryview(b"c")))
        assert await pair.read_peer(3) == b"abc"
        # More pieces than one system call takes.
        pair.transport.writelines([b"x"] * 5000)
        assert await pair.read_peer(5000) == b"x" * 5000

    with_pair(body)


def test_a_large_writelines(with_pair):
    async def body(pair):
        pieces = [bytes([number % 256]) * 10_000 for number in range(500)]
        pair.transport.writelines(pieces)
        assert await pair.read_peer(5_000_000) == b"".join(pieces)
        assert pair.transport.get_write_buffer_size() == 0

    with_pair(body)


def test_a_large_bytearray(with_pair):
    async def body(pair):
        data = bytearray(b"a" * 20_000_000)
        pair.transport.write(data)
        assert pair.transport.get_write_buffer_size() > 0
        pair.transport.write(b"end")
        received = await pair.read_peer(20_000_003)
        assert received == b"a" * 20_000_000 + b"end"

    with_pair(body)


@pytest.mark.parametrize("size", [5_000, 50_000, 20_000_000])
def test_memoryviews_keep_their_place(with_pair, size):
    async def body(pair):
        data = bytearray(index % 251 for index in range(2000)) * (size // 2000)
        pair.transport.write(memoryview(data)[10:])
        pair.transport.write(b"between")
        pair.transport.write(memoryview(data)[:-10])
        pair.transport.write(memoryview(data)[:0])
        pair.transport.write(b"end")
        expected = bytes(data[10:] + b"between" + data[:-10] + b"end")
        assert await pair.read_peer(len(expected)) == expected
        assert pair.transport.get_write_buffer_size() == 0

    with_pair(body)


def test_a_large_memoryview_to_a_lost_connection(with_pair):
    async def body(pair):
        pair.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        pair.peer.close()
        for _ in range(10):
            pair.transport.write(memoryview(b"x" * 100_000))
        await pair.protocol.lost
        pair.transport.write(memoryview(b"x" * 100_000))

    with_pair(body)


def test_a_large_write(with_pair):
    async def body(pair):
        data = bytes(range(256)) * 40_000  # 10 MB
        pair.transport.write(data)
        assert await pair.read_peer(len(data)) == data

    with_pair(body)


def test_the_size_of_the_buffer(with_pair):
    async def body(pair):
        assert pair.transport.get_write_buffer_size() == 0
        size = pair.fill()
        before = pair.transport.get_write_buffer_size()
        assert 0 < before < size
        pair.transport.write(b"y" * 1000)
        assert pair.transport.get_write_buffer_size() == before + 1000
        await pair.read_peer(size + 1000)
        assert pair.transport.get_write_buffer_size() == 0

    with_pair(body)


# -- flow control -------------------------------------------------------------------------------


def test_default_limits(with_pair):
    async def body(pair):
        assert pair.transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)

    with_pair(body)


def test_setting_limits(with_pair):
    async def body(pair):
        transport = pair.transport
        transport.set_write_buffer_limits(high=1000)
        assert transport.get_write_buffer_limits() == (250, 1000)
        transport.set_write_buffer_limits(low=100)
        assert transport.get_write_buffer_limits() == (100, 400)
        transport.set_write_buffer_limits(high=500, low=300)
        assert transport.get_write_buffer_limits() == (300, 500)
        transport.set_write_buffer_limits(high=0)
        assert transport.get_write_buffer_limits() == (0, 0)
        transport.set_write_buffer_limits()
        assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
        for wrong in ({"high": 1, "low": 2}, {"low": -1}, {"high": -1}):
            with pytest.raises(ValueError, match="must be >="):
                transport.set_write_buffer_limits(**wrong)

    with_pair(body)


def test_pause_and_resume_writing(with_pair):
    async def body(pair):
        size = pair.fill()
        assert pair.protocol.calls == ["connection_made", "pause_writing"]
        pair.transport.write(b"more")  # told once
        assert pair.protocol.calls.count("pause_writing") == 1
        reading = asyncio.create_task(pair.read_peer(size + 4))
        await pair.protocol.called("resume_writing")
        assert pair.transport.get_write_buffer_size() <= 16 * 1024
        await reading
        assert pair.protocol.calls == ["connection_made", "pause_writing", "resume_writing"]

    with_pair(body)


def test_a_high_water_mark_of_zero(with_pair):
    async def body(pair):
        pair.transport.set_write_buffer_limits(high=0)
        pair.transport.write(b"small")
        await pair.read_peer(5)
        # What leaves at once (or in this turn) need not pause; what stays in the buffer must.
        size = pair.fill()
        assert pair.protocol.calls[-1] == "pause_writing"
        await pair.read_peer(size)
        await pair.protocol.called("resume_writing")

    with_pair(body)


def test_limits_lowered_under_what_is_buffered(with_pair):
    async def body(pair):
        pair.transport.set_write_buffer_limits(high=100_000_000)
        size = pair.fill()
        assert "pause_writing" not in pair.protocol.calls
        pair.transport.set_write_buffer_limits(high=10)
        assert pair.protocol.calls[-1] == "pause_writing"
        await pair.read_peer(size)
        await pair.protocol.called("resume_writing")

    with_pair(body)


def test_writing_from_resume_writing(with_pair):
    class Refill(Recorder):
        def resume_writing(self):
            super().resume_writing()
            if self.calls.count("resume_writing") == 1:
                self.transport.write(b"y" * 1_000_000)

    async def body(pair):
        size = pair.fill()
        received = await pair.read_peer(size + 1_000_000)
        assert received == b"x" * size + b"y" * 1_000_000

    with_pair(body, Refill)


@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
def test_a_failing_flow_control_callback(with_pair, reports, method):
    class Broken(Recorder):
        pass

    def fail(self):
        raise ZeroDivisionError

    setattr(Broken, method, fail)

    async def body(pair):
        size = pair.fill()
        await pair.read_peer(size)
        while not (contexts := reports.take()):
            await asyncio.sleep(0)
        (context,) = contexts
        assert context["message"] == f"protocol.{method}() failed"
        assert isinstance(context["exception"], ZeroDivisionError)
        assert context["transport"] is pair.transport
        assert context["protocol"] is pair.protocol

    with_pair(body, Broken)


# -- reading ------------------------------------------------------------------------------------


def test_pause_and_resume_reading(with_pair):
    async def body(pair):
        assert pair.transport.is_reading()
        pair.transport.pause_reading()
        assert not pair.transport.is_reading()
        pair.transport.pause_reading()
        await pair.loop.sock_sendall(pair.peer, b"hello")
        await asyncio.sleep(0.005)
        assert pair.protocol.data == b""
        pair.transport.resume_reading()
        pair.transport.resume_reading()
        assert pair.transport.is_reading()
        assert await pair.protocol.received(5) == b"hello"

    with_pair(body)


def test_pausing_inside_data_received(with_pair):
    class Pausing(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    async def body(pair):
        await pair.loop.sock_sendall(pair.peer, b"one")
        assert await pair.protocol.received(3) == b"one"
        await pair.loop.sock_sendall(pair.peer, b"two")
        await asyncio.sleep(0.005)
        assert pair.protocol.data == b""
        pair.transport.resume_reading()
        assert await pair.protocol.received(3) == b"two"

    with_pair(body, Pausing)


def test_pausing_inside_connection_made(with_pair):
    class Pausing(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    async def body(pair):
        await pair.loop.sock_sendall(pair.peer, b"hello")
        await asyncio.sleep(0.005)
        assert pair.protocol.calls == ["connection_made"]
        pair.transport.resume_reading()
        assert await pair.protocol.received(5) == b"hello"

    with_pair(body, Pausing)


def test_the_end_is_not_seen_while_paused(with_pair):
    async def body(pair):
        pair.transport.pause_reading()
        pair.peer.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0.005)
        assert "eof_received" not in pair.protocol.calls
        pair.transport.resume_reading()
        await pair.protocol.eof
        assert await pair.protocol.lost is None

    with_pair(body)


@pytest.mark.parametrize("sent", [b"hello", b""])
@pytest.mark.parametrize("makes", ["create_connection", "connect_accepted_socket"])
def test_who_waits_for_a_connection_goes_on_before_the_first_bytes(run, makes, sent):
    """He may have it paused, or give it to another protocol, before any byte is lost to him."""

    async def main():
        loop = asyncio.get_running_loop()
        seen = loop.create_future()

        class Receiver(asyncio.Protocol):
            def __init__(self, name):
                self.name = name

            def data_received(self, data):
                seen.set_result((self.name, data))

            def eof_received(self):
                if not seen.done():
                    seen.set_result((self.name, b""))

        near, far = tcp_pair()
        with far:
            far.sendall(sent)
            far.shutdown(socket.SHUT_WR)
            if makes == "create_connection":
                transport, _ = await loop.create_connection(lambda: Receiver("first"), sock=near)
            else:
                transport, _ = await loop.connect_accepted_socket(
                    lambda: Receiver("first"), sock=near
                )
            transport.set_protocol(Receiver("second"))
            result = await asyncio.wait_for(seen, SECONDS)
            transport.abort()
        return result

    assert run(main()) == ("second", sent)


@pytest.mark.parametrize("sent", [b"hello", b""])
def test_a_task_of_connection_made_runs_before_the_first_bytes(run, sent):
    """Both are there already: the task begins first, so an end can find it and cancel it."""

    async def main():
        loop = asyncio.get_running_loop()
        seen = []
        ended = loop.create_future()

        class Server(asyncio.Protocol):
            def connection_made(self, transport):
                seen.append("made")
                self.transport = transport
                self.task = loop.create_task(self.serve())

            async def serve(self):
                seen.append("task")
                try:
                    await loop.create_future()
                finally:
                    self.transport.close()

            def data_received(self, data):
                seen.append("data")

            def eof_received(self):
                seen.append("end")
                self.task.cancel()
                return True

            def connection_lost(self, exception):
                ended.set_result(None)

        near, far = tcp_pair()
        with near:
            near.sendall(sent)
            near.shutdown(socket.SHUT_WR)
            await loop.connect_accepted_socket(Server, far)
            await asyncio.wait_for(ended, SECONDS)
        return seen

    assert run(main()) == ["made", "task", *(["data"] if sent else []), "end"]


def test_data_is_bytes(with_pair):
    class Typed(Recorder):
        def data_received(self, data):
            assert type(data) is bytes
            super().data_received(data)

    async def body(pair):
        for size in (1, 100, 70_000, 300_000):
            await pair.loop.sock_sendall(pair.peer, b"x" * size)
            assert await pair.protocol.received(size) == b"x" * size

    with_pair(body, Typed)


def test_received_data_is_not_changed_later(with_pair):
    """A buffer that is used again must not show through the bytes handed out."""
    kept = []

    class Keeping(Recorder):
        def data_received(self, data):
            kept.append(data)
            super().data_received(data)

    async def body(pair):
        for number in range(100):
            await pair.loop.sock_sendall(pair.peer, bytes([number]) * 500)
            await pair.protocol.received(500)
        assert b"".join(kept) == b"".join(bytes([number]) * 500 for number in range(100))

    with_pair(body, Keeping)


def test_a_failing_data_received(with_pair, reports):
    """It is told to the handler as fatal, and the connection is closed with the exception."""

    class Broken(Recorder):
        def data_received(self, data):
            raise ZeroDivisionError

    async def body(pair):
        await pair.loop.sock_sendall(pair.peer, b"x")
        error = await pair.protocol.lost
        assert isinstance(error, ZeroDivisionError)
        context = reports.take_one()
        assert context["message"] == "Fatal error: protocol.data_received() call failed."
        assert context["exception"] is error
        assert context["transport"] is pair.transport
        assert context["protocol"] is pair.protocol

    with_pair(body, Broken)


def test_a_failing_eof_received(with_pair, reports):
    class Broken(Recorder):
        def eof_received(self):
            raise ZeroDivisionError

    async def body(pair):
        pair.peer.shutdown(socket.SHUT_WR)
        error = await pair.protocol.lost
        assert isinstance(error, ZeroDivisionError)
        assert reports.take_one()["message"] == "Fatal error: protocol.eof_received() call failed."

    with_pair(body, Broken)


def test_a_failing_connection_lost(run, reports):
    async def main():
        loop = asyncio.get_running_loop()
        called = loop.create_future()

        class Broken(asyncio.Protocol):
            def connection_lost(self, exc):
                called.set_result(None)
                raise ZeroDivisionError

        near, far = tcp_pair()
        with near:
            transport, _ = await loop.connect_accepted_socket(Broken, far)
            transport.close()
            await called
            await asyncio.sleep(0)
            near.settimeout(SECONDS)
            assert near.recv(1) == b""  # the socket is closed all the same

    run(main())
    assert isinstance(reports.take_one()["exception"], ZeroDivisionError)


# -- the end ------------------------------------------------------------------------------------


def test_the_peer_ends(with_pair):
    async def body(pair):
        pair.peer.shutdown(socket.SHUT_WR)
        assert await pair.protocol.lost is None
        assert pair.protocol.calls == ["connection_made", "eof_received", "connection_lost"]
        assert pair.transport.is_closing()
        assert await pair.read_peer_to_the_end() == b""

    with_pair(body)


def test_a_half_closed_connection_goes_on(with_pair):
    async def body(pair):
        pair.peer.shutdown(socket.SHUT_WR)
        await pair.protocol.eof
        for _ in range(5):
            await asyncio.sleep(0)
        assert not pair.transport.is_closing()
        pair.transport.write(b"after the end")
        assert await pair.read_peer(13) == b"after the end"
        pair.transport.close()
        assert await pair.protocol.lost is None
        assert await pair.read_peer_to_the_end() == b""

    with_pair(body, lambda: Recorder(keep_open_at_eof=True))


def test_a_half_closed_connection_does_not_spin(with_pair):
    """The end of the peer stays readable for ever; the loop must not look again and again."""

    async def body(pair):
        import time

        pair.peer.shutdown(socket.SHUT_WR)
        await pair.protocol.eof
        before = time.process_time()
        await asyncio.sleep(0.05)
        assert time.process_time() - before < 0.03
        assert pair.protocol.calls.count("eof_received") == 1

    with_pair(body, lambda: Recorder(keep_open_at_eof=True))


def test_write_eof(with_pair):
    async def body(pair):
        assert pair.transport.can_write_eof()
        pair.transport.write(b"last")
        pair.transport.write_eof()
        pair.transport.write_eof()
        assert await pair.read_peer_to_the_end() == b"last"
        with pytest.raises(RuntimeError, match=r"Cannot call write\(\) after write_eof\(\)"):
            pair.transport.write(b"x")
        with pytest.raises(RuntimeError, match="after write_eof"):
            pair.transport.writelines([b"x"])
        await pair.loop.sock_sendall(pair.peer, b"answer")
        assert await pair.protocol.received(6) == b"answer"

    with_pair(body)


def test_write_eof_after_buffered_data(with_pair):
    async def body(pair):
        size = pair.fill()
        pair.transport.write_eof()
        assert len(await pair.read_peer_to_the_end()) == size
        await pair.loop.sock_sendall(pair.peer, b"answer")
        assert await pair.protocol.received(6) == b"answer"

    with_pair(body)


def test_close_sends_what_is_buffered(with_pair):
    async def body(pair):
        size = pair.fill()
        pair.transport.close()
        assert pair.transport.is_closing()
        assert not pair.protocol.lost.done()
        assert len(await pair.read_peer_to_the_end()) == size
        assert await pair.protocol.lost is None

    with_pair(body)


def test_close_is_not_reentrant(with_pair):
    """connection_lost is called by the loop, never inside close()."""

    async def body(pair):
        pair.transport.close()
        assert "connection_lost" not in pair.protocol.calls
        pair.transport.close()
        await pair.protocol.lost
        assert pair.protocol.calls == ["connection_made", "connection_lost"]
        pair.transport.close()
        pair.transport.abort()
        await asyncio.sleep(0)
        assert pair.protocol.calls == ["connection_made", "connection_lost"]

    with_pair(body)


def test_nothing_is_received_after_close(with_pair):
    async def body(pair):
        await pair.loop.sock_sendall(pair.peer, b"hello")
        pair.transport.close()
        await pair.protocol.lost
        assert pair.protocol.calls == ["connection_made", "connection_lost"]

    with_pair(body)


def test_abort_drops_what_is_buffered(with_pair):
    async def body(pair):
        size = pair.fill()
        pair.transport.abort()
        assert pair.transport.is_closing()
        assert "connection_lost" not in pair.protocol.calls
        assert await pair.protocol.lost is None
        received = 0
        try:
            while part := await pair.loop.sock_recv(pair.peer, 1 << 20):
                received += len(part)
        except ConnectionResetError:
            pass
        assert received < size

    with_pair(body)


def test_abort_drops_nothing_that_the_kernel_would_have_taken(with_pair):
    """What was written in this very turn has left, as far as the program can tell."""

    async def body(pair):
        pair.transport.write(b"last")
        pair.transport.writelines([b" ", b"words"])
        pair.transport.abort()
        assert await pair.protocol.lost is None
        received = b""
        while data := await pair.loop.sock_recv(pair.peer, 100):
            received += data
        assert received == b"last words"

    with_pair(body)


def test_abort_after_close(with_pair):
    async def body(pair):
        pair.fill()
        pair.transport.close()
        await asyncio.sleep(0)
        assert not pair.protocol.lost.done()
        pair.transport.abort()
        assert await pair.protocol.lost is None

    with_pair(body)


def test_writing_after_close(with_pair, caplog):
    async def body(pair):
        pair.transport.close()
        pair.transport.write(b"lost")
        await pair.protocol.lost
        for _ in range(10):
            pair.transport.write(b"lost")
        assert await pair.read_peer_to_the_end() in (b"", b"lost")

    with_pair(body)


def test_many_writes_to_a_lost_connection_are_logged(with_pair, caplog):
    async def body(pair):
        pair.transport.abort()
        await pair.protocol.lost
        for _ in range(10):
            pair.transport.write(b"x")
        assert "socket.send() raised exception." in [
            record.getMessage() for record in caplog.records
        ]

    with_pair(body)


def reset(sock):
    """Close a socket so that the peer gets a reset."""
    import struct

    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_a_reset_while_reading(with_pair):
    async def body(pair):
        reset(pair.peer)
        error = await pair.protocol.lost
        assert isinstance(error, ConnectionResetError)
        assert pair.protocol.calls == ["connection_made", "connection_lost"]

    with_pair(body)


def test_a_reset_while_writing(with_pair):
    async def body(pair):
        pair.transport.pause_reading()
        pair.fill()
        reset(pair.peer)
        error = await pair.protocol.lost
        assert isinstance(error, (ConnectionResetError, BrokenPipeError))

    with_pair(body)


def test_writing_inside_connection_lost(with_pair):
    class Writing(Recorder):
        def connection_lost(self, exc):
            self.transport.write(b"too late")
            self.transport.close()
            super().connection_lost(exc)

    async def body(pair):
        pair.peer.close()
        await pair.protocol.lost

    with_pair(body, Writing)


def test_closing_inside_every_callback(run):
    async def main():
        loop = asyncio.get_running_loop()
        for place in ("connection_made", "data_received", "eof_received"):
            for how in ("close", "abort"):

                class Closing(Recorder):
                    def _act(self, name, place=place, how=how):
                        if name == place:
                            getattr(self.transport, how)()

                    def connection_made(self, transport):
                        super().connection_made(transport)
                        self._act("connection_made")

                    def data_received(self, data):
                        super().data_received(data)
                        self._act("data_received")

                    def eof_received(self):
                        super().eof_received()
                        self._act("eof_received")

                near, far = tcp_pair()
                with near:
                    near.send(b"x")
                    near.shutdown(socket.SHUT_WR)
                    _, protocol = await loop.connect_accepted_socket(Closing, far)
                    assert await protocol.lost is None
                    assert protocol.calls[-2:] == [place, "connection_lost"]

    run(main())


# -- set_protocol -------------------------------------------------------------------------------


def test_set_protocol(with_pair):
    async def body(pair):
        assert pair.transport.get_protocol() is pair.protocol
        await pair.loop.sock_sendall(pair.peer, b"one")
        assert await pair.protocol.received(3) == b"one"
        second = Recorder()
        second.calls.append("set")
        pair.transport.set_protocol(second)
        assert pair.transport.get_protocol() is second
        await pair.loop.sock_sendall(pair.peer, b"two")
        assert await second.received(3) == b"two"
        assert pair.protocol.data == b""
        pair.peer.shutdown(socket.SHUT_WR)
        await second.lost
        assert second.calls == ["set", "data_received", "eof_received", "connection_lost"]
        assert not pair.protocol.lost.done()
        pair.protocol.lost.set_result(None)

    with_pair(body)


def test_set_protocol_inside_data_received(with_pair):
    class First(Recorder):
        def data_received(self, data):
            super().data_received(data)
            second.calls.append("set")
            self.transport.set_protocol(second)

    second = None

    async def body(pair):
        nonlocal second
        second = Recorder()
        await pair.loop.sock_sendall(pair.peer, b"one")
        assert await pair.protocol.received(3) == b"one"
        await pair.loop.sock_sendall(pair.peer, b"two")
        assert await second.received(3) == b"two"
        pair.transport.set_protocol(pair.protocol)

    with_pair(body, First)


def test_set_protocol_to_a_buffered_one_and_back(with_pair):
    from support.protocols import BufferedRecorder

    async def body(pair):
        buffered = BufferedRecorder()
        pair.transport.set_protocol(buffered)
        await pair.loop.sock_sendall(pair.peer, b"one")
        assert await buffered.received(3) == b"one"
        pair.transport.set_protocol(pair.protocol)
        await pair.loop.sock_sendall(pair.peer, b"two")
        assert await pair.protocol.received(3) == b"two"

    with_pair(body)


def test_the_protocol_after_the_end(with_pair):
    async def body(pair):
        pair.transport.abort()
        await pair.protocol.lost
        await asyncio.sleep(0)
        assert pair.transport.get_protocol() in (pair.protocol, None)

    with_pair(body)


# -- memory -------------------------------------------------------------------------------------


def test_transport_and_protocol_die_after_the_end(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = tcp_pair()
        with near:
            transport, protocol = await loop.connect_accepted_socket(Recorder, far)
            references = [weakref.ref(transport), weakref.ref(protocol)]
            transport.close()
            await protocol.lost
            await asyncio.sleep(0)
            del transport, protocol
            gc.collect()
            assert [reference() for reference in references] == [None, None]

    run(main())


def test_an_unclosed_transport_warns(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = tcp_pair()
        with near:
            transport, protocol = await loop.connect_accepted_socket(Recorder, far)
            transport.pause_reading()  # nothing in the loop refers to it now
            await asyncio.sleep(0)
            protocol.transport = None
            protocol.made = None
            with pytest.warns(ResourceWarning, match="unclosed transport"):
                del transport, protocol
                gc.collect()
            near.settimeout(SECONDS)
            assert near.recv(1) == b""

    run(main())


def test_fairness_between_connections(run):
    """A connection that floods does not keep another from being served."""

    async def main():
        loop = asyncio.get_running_loop()
        flood_near, flood_far = tcp_pair()
        quiet_near, quiet_far = tcp_pair()
        flood_near.setblocking(False)
        quiet_near.setblocking(False)
        with flood_near, quiet_near:
            flood, flooded = await loop.connect_accepted_socket(Recorder, flood_far)
            quiet, asked = await loop.connect_accepted_socket(Recorder, quiet_far)
            done = False

            async def send():
                while not done:
                    await loop.sock_sendall(flood_near, bytes(1 << 18))
                    flooded.data.clear()

            sending = asyncio.create_task(send())
            for number in range(50):
                await loop.sock_sendall(quiet_near, b"%03d" % number)
                assert await asked.received(3) == b"%03d" % number
            done = True
            await sending
            for transport, protocol in ((flood, flooded), (quiet, asked)):
                transport.abort()
                await protocol.lost

    run(main())
