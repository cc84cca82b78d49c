"""open_connection, start_server, StreamReader and StreamWriter on the loop."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest
from support.sockets import refused_address, tcp_pair


@pytest.fixture
def with_streams(run):
    """Run a test body with two pairs of reader and writer, connected to each other."""

    def with_streams(body, **options):
        async def main():
            accepted = asyncio.get_running_loop().create_future()
            finished = asyncio.Event()

            async def handle(reader, writer):
                accepted.set_result((reader, writer))
                await finished.wait()

            async with await asyncio.start_server(handle, "127.0.0.1", 0, **options) as server:
                near = await asyncio.open_connection(*server.sockets[0].getsockname(), **options)
                far = await accepted
                try:
                    await body(near, far)
                finally:
                    finished.set()
                    for _, writer in (near, far):
                        writer.close()
                    for _, writer in (near, far):
                        try:
                            await writer.wait_closed()
                        except ConnectionError:
                            pass

        run(main())

    return with_streams


def test_read_methods(with_streams):
    async def body(near, far):
        writer, reader = near[1], far[0]
        assert isinstance(reader, asyncio.StreamReader)
        assert isinstance(writer, asyncio.StreamWriter)
        writer.write(b"line one\nline two\n12345abc|rest")
        assert await reader.readline() == b"line one\n"
        assert await reader.readuntil(b"\n") == b"line two\n"
        assert await reader.readexactly(5) == b"12345"
        assert await reader.readuntil(b"|") == b"abc|"
        assert await reader.read(2) == b"re"
        assert await reader.read(100) == b"st"
        assert not reader.at_eof()
        writer.write_eof()
        assert await reader.read() == b""
        assert reader.at_eof()
        assert await reader.readline() == b""

    with_streams(body)


def test_reading_to_the_end(with_streams):
    async def body(near, far):
        data = bytes(range(256)) * 10_000

        async def send():
            near[1].write(data)
            await near[1].drain()
            near[1].write_eof()

        sending = asyncio.create_task(send())
        assert await far[0].read() == data
        await sending

    with_streams(body)


def test_iterating_over_lines(with_streams):
    async def body(near, far):
        near[1].writelines(b"%d\n" % number for number in range(1000))
        near[1].write(b"last")
        near[1].write_eof()
        lines = [line async for line in far[0]]
        assert lines == [b"%d\n" % number for number in range(1000)] + [b"last"]

    with_streams(body)


def test_an_incomplete_read(with_streams):
    async def body(near, far):
        near[1].write(b"abc")
        near[1].write_eof()
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await far[0].readexactly(10)
        assert caught.value.partial == b"abc" and caught.value.expected == 10
        with pytest.raises(asyncio.IncompleteReadError):
            await far[0].readuntil(b"x")

    with_streams(body)


def test_the_limit(with_streams):
    async def body(near, far):
        near[1].write(b"x" * 200 + b"\nnext\n")
        with pytest.raises(ValueError):
            await far[0].readline()
        near[1].write(b"y" * 300)
        with pytest.raises(asyncio.LimitOverrunError):
            while True:
                await far[0].readuntil(b"|")

    with_streams(body, limit=64)


def test_the_reader_pauses_the_transport(with_streams):
    """What nobody reads stays in the kernel, not in memory."""

    async def body(near, far):
        near[1].write(b"x" * 30_000_000)
        blocked = asyncio.create_task(near[1].drain())
        await asyncio.sleep(0.05)
        assert not blocked.done()
        assert len(far[0]._buffer) < 10_000_000
        assert len(await far[0].readexactly(30_000_000)) == 30_000_000
        await blocked

    with_streams(body)


def test_drain_waits(with_streams):
    async def body(near, far):
        writer = near[1]
        await writer.drain()
        writer.write(bytes(30_000_000))
        drains = [asyncio.create_task(writer.drain()) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in drains)
        await far[0].readexactly(30_000_000)
        await asyncio.gather(*drains)

    with_streams(body)


def test_drain_after_the_peer_went_away(with_streams):
    async def body(near, far):
        far[1].transport.abort()
        with pytest.raises(ConnectionError):
            for _ in range(100):
                near[1].write(bytes(100_000))
                await near[1].drain()
                await asyncio.sleep(0.001)

    with_streams(body)


def test_two_readers_at_once(with_streams):
    async def body(near, far):
        first = asyncio.create_task(far[0].read(10))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another coroutine is already waiting"):
            await far[0].readline()
        near[1].write(b"x")
        assert await first == b"x"

    with_streams(body)


def test_cancel_a_read(with_streams):
    async def body(near, far):
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(far[0].read(10), 0.001)
        near[1].write(b"kept")
        assert await far[0].read(10) == b"kept"

    with_streams(body)


def test_questions(with_streams):
    async def body(near, far):
        writer = near[1]
        assert isinstance(writer.transport, asyncio.Transport)
        assert writer.get_extra_info("peername") == far[1].get_extra_info("sockname")
        assert writer.can_write_eof()
        assert not writer.is_closing()
        writer.close()
        assert writer.is_closing()
        await writer.wait_closed()
        assert await far[0].read() == b""

    with_streams(body)


def test_wait_closed_raises_what_ended_it(with_streams):
    import struct

    async def body(near, far):
        sock = far[1].get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far[1].transport.abort()
        with pytest.raises(ConnectionResetError):
            await near[0].read()
        near[1].close()
        with pytest.raises(ConnectionResetError):
            await near[1].wait_closed()

    with_streams(body)


def test_refused(run):
    async def main():
        with refused_address() as address, pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)

    run(main())


def test_a_given_socket(run):
    async def main():
        near, far = tcp_pair()
        near.setblocking(False)
        with near:
            reader, writer = await asyncio.open_connection(sock=far)
            near.send(b"hello\n")
            assert await reader.readline() == b"hello\n"
            writer.close()
            await writer.wait_closed()

    run(main())


def test_a_failing_handler(run, reports):
    async def handle(reader, writer):
        raise ZeroDivisionError

    async def main():
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            if sys.version_info >= (3, 12):
                assert await reader.read() == b""  # the connection is closed
            while not (contexts := reports.take()):
                await asyncio.sleep(0)
            assert isinstance(contexts[0]["exception"], ZeroDivisionError)
            writer.close()
            await writer.wait_closed()

    if sys.version_info < (3, 12):
        pytest.skip("the connection stays open before 3.12")
    run(main())


def test_a_handler_that_is_no_coroutine(run):
    seen = []

    def handle(reader, writer):
        seen.append((reader, writer))
        writer.close()

    async def main():
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    run(main())
    assert len(seen) == 1


def test_a_hundred_clients(run):
    async def handle(reader, writer):
        while data := await reader.readexactly(4):
            writer.write(data)
            if data == b"last":
                break
        writer.close()
        await writer.wait_closed()

    async def client(address, number):
        reader, writer = await asyncio.open_connection(*address)
        for turn in range(10):
            writer.write(b"%02d%02d" % (number, turn))
            await writer.drain()
            assert await reader.readexactly(4) == b"%02d%02d" % (number, turn)
        writer.write(b"last")
        assert await reader.read() == b"last"
        writer.close()
        await writer.wait_closed()

    async def main():
        async with await asyncio.start_server(handle, "127.0.0.1", 0, backlog=200) as server:
            address = server.sockets[0].getsockname()
            await asyncio.gather(*(client(address, number) for number in range(100)))

    run(main())
