"""connect_read_pipe and connect_write_pipe over pipes, sockets, terminals and named pipes."""

from __future__ import annotations

import asyncio
import os
import pty
import socket
import stat
import tty

import pytest
from support.cancelling import cancel_after
from support.patience import SECONDS


class ReadRecorder(asyncio.Protocol):
    """Records what a read pipe tells it."""

    def __init__(self):
        loop = asyncio.get_running_loop()
        self.calls = []
        self.data = bytearray()
        self.lost = loop.create_future()
        self.more = asyncio.Event()

    def connection_made(self, transport):
        self.calls.append("connection_made")
        self.transport = transport

    def data_received(self, data):
        self.data += data
        self.more.set()

    def eof_received(self):
        self.calls.append("eof_received")

    def connection_lost(self, exc):
        self.calls.append("connection_lost")
        self.lost.set_result(exc)

    async def received(self, size):
        while len(self.data) < size:
            self.more.clear()
            await self.more.wait()
        taken = bytes(self.data[:size])
        del self.data[:size]
        return taken


class WriteRecorder(asyncio.BaseProtocol):
    """Records what a write pipe tells it."""

    def __init__(self):
        self.calls = []
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.calls.append("connection_made")
        self.transport = transport

    def pause_writing(self):
        self.calls.append("pause_writing")

    def resume_writing(self):
        self.calls.append("resume_writing")

    def connection_lost(self, exc):
        self.calls.append("connection_lost")
        self.lost.set_result(exc)


def opened_pipe():
    near, far = os.pipe()
    return os.fdopen(near, "rb", 0), os.fdopen(far, "wb", 0)


def test_read(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe()
        transport, protocol = await loop.connect_read_pipe(ReadRecorder, near)
        assert isinstance(transport, asyncio.ReadTransport)
        assert transport.get_extra_info("pipe") is near
        assert transport.get_protocol() is protocol
        assert not os.get_blocking(near.fileno())
        far.write(b"hello")
        assert await protocol.received(5) == b"hello"
        far.close()
        assert await protocol.lost is None
        assert protocol.calls == ["connection_made", "eof_received", "connection_lost"]
        assert near.closed

    run(main())


def test_write(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe()
        transport, protocol = await loop.connect_write_pipe(WriteRecorder, far)
        assert isinstance(transport, asyncio.WriteTransport)
        assert transport.get_extra_info("pipe") is far
        transport.write(b"one")
        transport.writelines([b"two", bytearray(b"three"), memoryview(b"four")])
        with near:
            assert await asyncio.to_thread(near.read, 100) == b"onetwothreefour"
            transport.close()
            assert transport.is_closing()
            assert await protocol.lost is None
            assert near.read(1) == b""
        assert far.closed

    run(main())


def test_the_reader_goes_away(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe()
        transport, protocol = await loop.connect_write_pipe(WriteRecorder, far)
        near.close()
        error = await protocol.lost
        assert error is None or isinstance(error, BrokenPipeError)
        assert transport.is_closing()

    run(main())


def test_flow_control(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe()
        transport, protocol = await loop.connect_write_pipe(WriteRecorder, far)
        assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
        size = 2_000_000
        transport.write(b"x" * size)
        assert transport.get_write_buffer_size() > 0
        assert protocol.calls[-1] == "pause_writing"
        reader, reading = await loop.connect_read_pipe(ReadRecorder, near)
        assert await reading.received(size) == b"x" * size
        while protocol.calls[-1] != "resume_writing":
            await asyncio.sleep(0)
        transport.close()
        await protocol.lost
        await reading.lost

    run(main())


def test_close_sends_what_is_buffered_and_abort_does_not(run):
    async def main():
        loop = asyncio.get_running_loop()
        size = 1_000_000
        for how in ("close", "abort", "write_eof"):
            near, far = opened_pipe()
            transport, protocol = await loop.connect_write_pipe(WriteRecorder, far)
            transport.write(b"x" * size)
            assert transport.get_write_buffer_size() > 0
            getattr(transport, how)()
            reader, reading = await loop.connect_read_pipe(ReadRecorder, near)
            await reading.lost
            assert await protocol.lost is None
            if how == "abort":
                assert len(reading.data) < size
            else:
                assert len(reading.data) == size

    run(main())


def test_can_write_eof(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe()
        with near:
            transport, protocol = await loop.connect_write_pipe(WriteRecorder, far)
            assert transport.can_write_eof()
            transport.write_eof()
            await protocol.lost

    run(main())


def test_pause_and_resume_reading(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe()
        with far:
            transport, protocol = await loop.connect_read_pipe(ReadRecorder, near)
            if hasattr(transport, "is_reading"):
                assert transport.is_reading()
            transport.pause_reading()
            far.write(b"hello")
            await asyncio.sleep(0.005)
            assert protocol.data == b""
            transport.resume_reading()
            assert await protocol.received(5) == b"hello"
            transport.close()
            assert await protocol.lost is None

    run(main())


def test_set_protocol(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe()
        transport, first = await loop.connect_read_pipe(ReadRecorder, near)
        second = ReadRecorder()
        transport.set_protocol(second)
        assert transport.get_protocol() is second
        far.write(b"x")
        assert await second.received(1) == b"x"
        far.close()
        await second.lost

    run(main())


def test_what_is_no_pipe(run, tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        path = tmp_path / "file"
        path.write_bytes(b"")
        with open(path, "rb") as source, open(path, "wb") as target:
            with pytest.raises(ValueError, match="Pipe transport is (for|only for) pipes/sockets"):
                await loop.connect_read_pipe(ReadRecorder, source)
            with pytest.raises(ValueError, match="Pipe transport is (for|only for)"):
                await loop.connect_write_pipe(WriteRecorder, target)

    run(main())


def test_a_socket_as_pipe(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        reader, reading = await loop.connect_read_pipe(ReadRecorder, near)
        writer, writing = await loop.connect_write_pipe(WriteRecorder, far)
        writer.write(b"hello")
        assert await reading.received(5) == b"hello"
        writer.close()
        await writing.lost
        await reading.lost
        assert near.fileno() == -1 and far.fileno() == -1

    run(main())


def test_a_named_pipe(run, tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        path = tmp_path / "named"
        os.mkfifo(path)
        near = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", 0)
        far = open(path, "wb", 0)
        reader, reading = await loop.connect_read_pipe(ReadRecorder, near)
        writer, writing = await loop.connect_write_pipe(WriteRecorder, far)
        assert stat.S_ISFIFO(os.fstat(far.fileno()).st_mode)
        writer.write(b"hello")
        assert await reading.received(5) == b"hello"
        writer.close()
        await writing.lost
        await reading.lost

    run(main())


def test_reading_a_terminal(run):
    async def main():
        loop = asyncio.get_running_loop()
        master, slave = pty.openpty()
        tty.setraw(slave)
        transport, protocol = await loop.connect_read_pipe(ReadRecorder, os.fdopen(master, "rb", 0))
        os.write(slave, b"hello")
        assert await protocol.received(5) == b"hello"
        os.close(slave)
        # The master answers EIO once the other side is gone; that is its end.
        await protocol.lost
        assert protocol.calls[-1] == "connection_lost"

    run(main())


def test_writing_a_terminal(run):
    async def main():
        loop = asyncio.get_running_loop()
        master, slave = pty.openpty()
        tty.setraw(slave)
        transport, protocol = await loop.connect_write_pipe(
            WriteRecorder, os.fdopen(slave, "wb", 0)
        )
        transport.write(b"hello")
        assert await asyncio.to_thread(os.read, master, 100) == b"hello"
        transport.close()
        await protocol.lost
        os.close(master)

    run(main())


def test_both_ways_over_a_terminal(run):
    async def main():
        loop = asyncio.get_running_loop()
        master, slave = pty.openpty()
        tty.setraw(slave)
        second = os.dup(slave)
        reader, reading = await loop.connect_read_pipe(ReadRecorder, os.fdopen(slave, "rb", 0))
        writer, writing = await loop.connect_write_pipe(WriteRecorder, os.fdopen(second, "wb", 0))
        os.write(master, b"in")
        assert await reading.received(2) == b"in"
        writer.write(b"out")
        assert await asyncio.to_thread(os.read, master, 100) == b"out"
        reader.close()
        writer.close()
        await reading.lost
        await writing.lost
        os.close(master)

    run(main())


@pytest.mark.parametrize("turns", range(5))
def test_cancelled_while_connecting(run, turns):
    """The pipe is closed or still the caller's, and closed once in any case."""

    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe()
        with far:
            await cancel_after(turns, lambda make: loop.connect_read_pipe(make, near), ReadRecorder)
            near.close()
            # The number is free again: whoever gets it next must keep it.
            other_near, other_far = os.pipe()
            for _ in range(5):
                await asyncio.sleep(0)
            os.write(other_far, b"x")
            assert os.read(other_near, 1) == b"x"
            os.close(other_near)
            os.close(other_far)

    run(main())


def test_streams_over_pipes(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), near
        )
        write_transport, write_protocol = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, far
        )
        writer = asyncio.StreamWriter(write_transport, write_protocol, reader, loop)
        writer.write(b"line\n")
        await writer.drain()
        assert await reader.readline() == b"line\n"
        writer.close()
        assert await reader.read() == b""
        transport.close()

    run(main())


def test_a_failing_read_protocol(run, reports):
    class Broken(ReadRecorder):
        def data_received(self, data):
            raise ZeroDivisionError

    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe()
        with far:
            transport, protocol = await loop.connect_read_pipe(Broken, near)
            far.write(b"x")
            while not (contexts := reports.take()):
                await asyncio.sleep(0)
            assert isinstance(contexts[0]["exception"], ZeroDivisionError)
            if not protocol.lost.done():
                transport.close()
            await protocol.lost

    run(main())


def test_an_unclosed_pipe_warns(run):
    import gc

    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe()
        with far:
            transport, protocol = await loop.connect_read_pipe(ReadRecorder, near)
            transport.pause_reading()
            await asyncio.sleep(0)
            protocol.transport = None
            with pytest.warns(ResourceWarning, match="unclosed transport"):
                del transport, protocol
                gc.collect()

    run(main())


def test_writing_to_a_pipe_without_a_reader(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe()
        transport, protocol = await loop.connect_write_pipe(WriteRecorder, far)
        near.close()
        # Before the loop has looked: the system call finds out.
        transport.write(b"x")
        error = await protocol.lost
        assert isinstance(error, BrokenPipeError)
        assert protocol.calls == ["connection_made", "connection_lost"]
        for _ in range(10):
            transport.write(b"x")

    run(main())


def test_the_reader_goes_away_while_something_waits(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe()
        transport, protocol = await loop.connect_write_pipe(WriteRecorder, far)
        transport.write(bytes(1_000_000))
        near.close()
        assert isinstance(await protocol.lost, BrokenPipeError)
        assert protocol.calls.count("connection_lost") == 1

    run(main())


def test_writing_to_a_device(run):
    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(
            WriteRecorder, open("/dev/null", "wb", 0)
        )
        transport.write(bytes(1_000_000))
        assert transport.get_write_buffer_size() == 0
        transport.close()
        assert await protocol.lost is None

    run(main())


def test_a_device_that_cannot_be_waited_for(run, reports):
    """epoll has no use for /dev/null: it is reported, and closing goes on as ever."""

    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_read_pipe(ReadRecorder, open("/dev/null", "rb", 0))
        assert isinstance(reports.take_one()["exception"], PermissionError)
        transport.close()
        assert await protocol.lost is None

    run(main())


def test_half_of_a_socket(run):
    """A socket as reading pipe ends when the other side stops to write."""

    async def main():
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with far:
            transport, protocol = await loop.connect_read_pipe(ReadRecorder, near)
            far.send(b"last words")
            far.shutdown(socket.SHUT_WR)
            assert await protocol.lost is None
            assert protocol.data == b"last words"
            assert protocol.calls == ["connection_made", "eof_received", "connection_lost"]

    run(main())


def test_both_ways_over_one_descriptor_of_a_terminal(run):
    async def main():
        loop = asyncio.get_running_loop()
        master, slave = pty.openpty()
        tty.setraw(slave)
        reader, reading = await loop.connect_read_pipe(ReadRecorder, os.fdopen(master, "rb", 0))
        writer, writing = await loop.connect_write_pipe(
            WriteRecorder, os.fdopen(master, "wb", 0, closefd=False)
        )
        os.write(slave, b"in")
        assert await reading.received(2) == b"in"
        writer.write(b"out")
        assert await asyncio.to_thread(os.read, slave, 100) == b"out"
        writer.close()
        await writing.lost
        reader.close()
        await reading.lost
        os.close(slave)

    run(main())


# -- the end, once ------------------------------------------------------------------------------


@pytest.mark.not_asyncio("the end is told twice, and fails the second time")
@pytest.mark.parametrize("first", ["close", "abort", "write_eof"])
@pytest.mark.parametrize("second", ["close", "abort", "write_eof"])
def test_ending_twice(run, first, second):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe()
        with near:
            transport, protocol = await loop.connect_write_pipe(WriteRecorder, far)
            transport.write(b"x")
            getattr(transport, first)()
            getattr(transport, second)()
            assert await protocol.lost is None
            for method in (first, second):
                getattr(transport, method)()
            for _ in range(3):
                await asyncio.sleep(0)
            assert protocol.calls == ["connection_made", "connection_lost"]

    run(main())


@pytest.mark.not_asyncio("the closed descriptor stays with the selector")
@pytest.mark.parametrize("method", ["connect_read_pipe", "connect_write_pipe"])
def test_closed_in_connection_made(run, method):
    """Nobody watches the number afterwards: whoever gets it next has it for himself."""

    class Closing(ReadRecorder if method == "connect_read_pipe" else WriteRecorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.close()

    async def main():
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with far:
            transport, protocol = await getattr(loop, method)(Closing, near)
            await protocol.lost
        assert not loop._selector.get_map().keys() - {loop._ssock.fileno()}
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            far.send(b"x")
            assert await loop.sock_recv(near, 10) == b"x"

    run(main())


# -- one owner for each descriptor --------------------------------------------------------------


@pytest.mark.not_asyncio("the reader or writer takes the descriptor from the transport")
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_the_descriptor_is_the_transports(run, kind):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = opened_pipe() if kind == "pipe" else socket.socketpair()
        reader, reading = await loop.connect_read_pipe(ReadRecorder, near)
        writer, writing = await loop.connect_write_pipe(WriteRecorder, far)
        for file, methods in (
            (near, ["reader"]),
            # It watches for the end of the other side by reading.
            (far, ["reader", "writer"]),
        ):
            for method in methods:
                for each in (file, file.fileno()):
                    with pytest.raises(RuntimeError, match="is used by transport"):
                        getattr(loop, f"add_{method}")(each, len, ())
                    with pytest.raises(RuntimeError, match="is used by transport"):
                        getattr(loop, f"remove_{method}")(each)
        writer.write(b"hello")
        assert await reading.received(5) == b"hello"
        writer.close()
        await writing.lost
        await reading.lost
        # Free again.
        first, second = os.pipe()
        loop.add_reader(first, len, ())
        assert loop.remove_reader(first)
        os.close(first)
        os.close(second)

    run(main())


def test_the_direction_that_a_transport_does_not_use(run):
    """The reading end of a socket leaves writing to the program, as terminals do."""

    async def main():
        loop = asyncio.get_running_loop()
        master, slave = pty.openpty()
        tty.setraw(slave)
        writer, writing = await loop.connect_write_pipe(
            WriteRecorder, os.fdopen(master, "wb", 0, closefd=False)
        )
        readable = loop.create_future()
        loop.add_reader(master, readable.set_result, None)
        os.write(slave, b"in")
        await readable
        assert loop.remove_reader(master)
        writer.close()
        await writing.lost
        os.close(master)
        os.close(slave)

    run(main())


@pytest.mark.not_asyncio("both use the descriptor, and both close it")
def test_a_second_transport_for_one_descriptor(run):
    async def main():
        loop = asyncio.get_running_loop()
        used = pytest.raises(RuntimeError, match="is used by transport")
        near, far = socket.socketpair()
        with far:
            transport, protocol = await loop.connect_read_pipe(ReadRecorder, near)
            for method in ("connect_read_pipe", "connect_write_pipe"):
                with used:
                    await getattr(loop, method)(ReadRecorder, near)
            with used:
                await loop.create_unix_connection(ReadRecorder, sock=near)
            far.send(b"hello")
            assert await protocol.received(5) == b"hello"
            transport.close()
            await protocol.lost

        near, far = socket.socketpair()
        with far:
            transport, protocol = await loop.create_unix_connection(ReadRecorder, sock=near)
            for method in ("connect_read_pipe", "connect_write_pipe"):
                with used:
                    await getattr(loop, method)(ReadRecorder, near)
            far.send(b"hello")
            assert await protocol.received(5) == b"hello"
            transport.close()
            await protocol.lost

    run(main())


def test_the_number_of_a_pipe_that_its_owner_closes_is_somebody_elses(run):
    """The end is told later; who has got the number by then is watched all the same."""

    async def main():
        loop = asyncio.get_running_loop()
        number, other = os.pipe()
        file = os.fdopen(number, "rb", 0)
        transport, protocol = await loop.connect_read_pipe(ReadRecorder, file)
        near, far = socket.socketpair()
        transport.close()
        file.close()
        received = loop.create_future()
        os.dup2(near.fileno(), number)
        loop.add_reader(number, lambda: received.done() or received.set_result(None))
        await protocol.lost
        far.send(b"x")
        async with asyncio.timeout(SECONDS):
            await received
        assert loop.remove_reader(number)
        for descriptor in (number, other):
            os.close(descriptor)
        near.close()
        far.close()

    run(main())
