"""TLS over create_connection and create_server: bytes, flow control, methods of transports."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl

import pytest
from support.protocols import BufferedRecorder, Recorder
from support.tls import end


def test_talk(run, tls):
    async def main():
        async with tls.pair() as pair:
            assert pair.client.calls == ["connection_made"]
            pair.transport.write(b"question")
            assert await pair.served.received(8) == b"question"
            pair.served.transport.write(b"answer")
            assert await pair.client.received(6) == b"answer"
            pair.transport.writelines([b"one", bytearray(b"two"), memoryview(b"three")])
            assert await pair.served.received(11) == b"onetwothree"
        assert pair.served.calls[-2:] == ["eof_received", "connection_lost"]

    run(main())


def test_extra_info(run, tls, certificates):
    async def main():
        server_context = certificates.server_context()
        client_context = certificates.client_context()
        async with tls.pair(server_context=server_context, client_context=client_context) as pair:
            info = pair.transport.get_extra_info
            assert isinstance(pair.transport, asyncio.Transport)
            assert info("sslcontext") is client_context
            assert pair.served.transport.get_extra_info("sslcontext") is server_context
            ssl_object = info("ssl_object")
            assert isinstance(ssl_object, ssl.SSLObject)
            assert ssl_object.context is client_context
            assert ssl_object.server_hostname == "localhost"
            assert ssl_object.server_side is False
            assert ssl_object.version() == "TLSv1.3"
            assert info("cipher") == ssl_object.cipher()
            assert info("compression") is None
            assert ("DNS", "localhost") in info("peercert")["subjectAltName"]
            assert ssl_object.getpeercert(binary_form=True)
            assert pair.served.transport.get_extra_info("peercert") is None
            assert pair.served.transport.get_extra_info("ssl_object").server_side is True
            assert info("peername") == pair.server.address
            assert info("sockname")[0] == "127.0.0.1"
            assert info("socket").fileno() >= 0
            assert info("nonsense", 1) == 1

    run(main())


def test_transport_methods(run, tls):
    async def main():
        async with tls.pair() as pair:
            transport = pair.transport
            assert transport.get_protocol() is pair.client
            assert transport.is_reading()
            assert transport.get_write_buffer_size() == 0
            assert transport.get_write_buffer_limits()[1] > 0
            transport.set_write_buffer_limits(high=1000)
            assert transport.get_write_buffer_limits() == (250, 1000)
            with pytest.raises(ValueError, match=r"high \(1\) must be >= low \(2\)"):
                transport.set_write_buffer_limits(high=1, low=2)
            with pytest.raises(TypeError):
                transport.write("text")
            assert not transport.is_closing()
            transport.close()
            assert transport.is_closing()

    run(main())


def test_there_is_no_half_closing(run, tls):
    """Neither end can be closed alone; the other end is told so when it asks for it."""

    async def main():
        async with tls.pair(lambda: Recorder(keep_open_at_eof=True)) as pair:
            assert pair.transport.can_write_eof() is False
            with pytest.raises(NotImplementedError):
                pair.transport.write_eof()
            pair.transport.write(b"x")
            assert await pair.served.received(1) == b"x"
            pair.transport.close()
            await pair.served.lost
            assert pair.served.calls[-2:] == ["eof_received", "connection_lost"]

    run(main())


def test_the_wish_to_stay_open_is_logged(run, tls, caplog):
    async def main():
        async with tls.pair(lambda: Recorder(keep_open_at_eof=True)):
            pass

    run(main())
    assert "returning true from eof_received() has no effect when using ssl" in caplog.messages


@pytest.mark.parametrize("size", [1, 16_384, 16_385, 200_000, 5_000_000])
def test_sizes(run, tls, size):
    async def main():
        data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        async with tls.pair() as pair:
            pair.transport.write(data)
            assert await pair.served.received(size) == data
            pair.served.transport.write(data)
            assert await pair.client.received(size) == data

    run(main())


def test_many_small_writes(run, tls):
    async def main():
        async with tls.pair() as pair:
            pieces = [b"%d," % number for number in range(5000)]
            for piece in pieces:
                pair.transport.write(piece)
            expected = b"".join(pieces)
            assert await pair.served.received(len(expected)) == expected

    run(main())


@pytest.mark.parametrize("sizes", [(1, 20_000, 1), (16_383, 1, 1), (10_000,) * 5, (1,) * 40_000])
def test_the_order_of_writes_is_kept(run, tls, sizes):
    """Small ones, such as wait for others, and large ones, such as do not."""

    async def main():
        pieces = [bytes([index % 251]) * size for index, size in enumerate(sizes)]
        expected = b"".join(pieces)
        async with tls.pair() as pair:
            for piece in pieces:
                pair.transport.write(piece)
            assert await pair.served.received(len(expected)) == expected
            pair.transport.writelines(pieces)
            pair.transport.write(b"end")
            assert await pair.served.received(len(expected) + 3) == expected + b"end"

    run(main())


async def connected(tls):
    """A connection that outlives this coroutine."""
    server = await tls.serve().__aenter__()
    _, client = await tls.connect(server)
    served = await server.made.get()
    await served.made
    return server, client, served


async def over(server, *protocols):
    await end(*protocols)
    await server.__aexit__(None, None, None)


def test_what_was_written_leaves_when_the_loop_stops(loop, tls):
    server, client, served = loop.run_until_complete(connected(tls))

    def write():
        client.transport.write(b"last words")
        loop.stop()

    loop.call_soon(write)
    loop.run_forever()
    readable, _, _ = select.select([served.transport.get_extra_info("socket")], [], [], 10)
    assert readable, "nothing has left"
    assert loop.run_until_complete(served.received(10)) == b"last words"
    loop.run_until_complete(over(server, client, served))


def test_written_while_the_loop_does_not_run(loop, tls):
    server, client, served = loop.run_until_complete(connected(tls))
    client.transport.write(b"between ")
    client.transport.write(b"runs")
    assert client.transport.get_write_buffer_size() == 0
    assert loop.run_until_complete(served.received(12)) == b"between runs"
    loop.run_until_complete(over(server, client, served))


class MemoryviewRecorder(BufferedRecorder):
    """The standard transport slices the buffer, and a slice of a bytearray is a copy."""

    def get_buffer(self, sizehint):
        return memoryview(super().get_buffer(sizehint))


def test_a_buffered_protocol(run, tls):
    async def main():
        async with tls.pair(MemoryviewRecorder, lambda: MemoryviewRecorder(100)) as pair:
            data = bytes(range(256)) * 1000
            pair.transport.write(data)
            assert await pair.served.received(len(data)) == data
            pair.served.transport.write(data)
            assert await pair.client.received(len(data)) == data

    run(main())


def test_a_buffered_protocol_that_lends_a_bytearray(run, tls, loop_name):
    """All that it is told of is there."""
    if loop_name == "asyncio":
        pytest.skip("fills a copy of the buffer with what follows the first record")

    async def main():
        data = bytes(range(256)) * 1000
        async with tls.pair(lambda: BufferedRecorder(100_000)) as pair:
            pair.transport.write(data)
            assert await pair.served.received(len(data)) == data
            assert max(pair.served.sizes) > 1 << 14, "nothing of several records came at once"

    run(main())


def test_flow_control(run, tls):
    async def main():
        async with tls.pair() as pair:
            pair.served.transport.pause_reading()
            size = 0
            while "pause_writing" not in pair.client.calls:
                pair.transport.write(bytes(1_000_000))
                size += 1_000_000
                await asyncio.sleep(0)
                assert size < 200_000_000
            assert pair.transport.get_write_buffer_size() > 0
            pair.served.transport.resume_reading()
            await pair.served.received(size)
            await pair.client.called("resume_writing")

    run(main())


def test_flow_control_of_small_writes(run, tls):
    """The protocol is asked to pause inside the `write()` that goes over the mark."""

    async def main():
        async with tls.pair() as pair:
            pair.served.transport.pause_reading()
            transport, calls = pair.transport, pair.client.calls
            transport.set_write_buffer_limits(high=50_000)
            size = 0
            while "pause_writing" not in calls:
                # Until the socket is full it is a matter of turns.
                for _ in range(100):
                    before = transport.get_write_buffer_size()
                    transport.write(bytes(1000))
                    size += 1000
                    over = transport.get_write_buffer_size() >= 50_000
                    assert ("pause_writing" in calls) is over, (before, size)
                    if over:
                        break
                await asyncio.sleep(0)
                assert size < 200_000_000
            pair.served.transport.resume_reading()
            await pair.served.received(size)
            await pair.client.called("resume_writing")
            assert transport.get_write_buffer_size() <= 12_500

    run(main())


def test_pause_reading(run, tls):
    async def main():
        async with tls.pair() as pair:
            pair.served.transport.pause_reading()
            assert not pair.served.transport.is_reading()
            pair.transport.write(b"x" * 100_000)
            await asyncio.sleep(0.005)
            assert pair.served.data == b""
            pair.served.transport.resume_reading()
            await pair.served.received(100_000)

    run(main())


def test_a_failing_data_received(run, tls, reports):
    class Broken(Recorder):
        def data_received(self, data):
            raise ZeroDivisionError

    async def main():
        async with tls.pair(Broken) as pair:
            pair.transport.write(b"x")
            assert isinstance(await pair.served.lost, ZeroDivisionError)
            await pair.client.lost

    run(main())
    assert isinstance(reports.take_one()["exception"], ZeroDivisionError)


@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
def test_a_failing_flow_callback(run, tls, reports, method):
    """It is reported, with whose it is, and costs nothing else."""

    class Broken(Recorder):
        pass

    def fail(self):
        getattr(Recorder, method)(self)
        raise ZeroDivisionError

    setattr(Broken, method, fail)

    async def main():
        async with tls.pair(Recorder, Broken) as pair:
            pair.served.transport.pause_reading()
            size = 0
            while "pause_writing" not in pair.client.calls:
                pair.transport.write(bytes(1_000_000))
                size += 1_000_000
                await asyncio.sleep(0)
            pair.served.transport.resume_reading()
            await pair.served.received(size)
            await pair.client.called("resume_writing")
            return pair.transport, pair.transport._ssl_protocol

    transport, ssl_protocol = run(main())
    report = reports.take_one()
    assert report["message"] == f"protocol.{method}() failed"
    assert isinstance(report["exception"], ZeroDivisionError)
    assert report["transport"] is transport
    assert report["protocol"] is ssl_protocol


def test_memory_of_idle_connections(run, tls, certificates):
    """The context is let go together with the last connection."""
    import gc
    import weakref

    async def main():
        context = certificates.client_context()
        reference = weakref.ref(context)
        async with tls.serve() as server:
            for _ in range(3):
                transport, client = await tls.connect(server, context)
                served = await server.made.get()
                await end(client, served)
            del transport, client, served, context
            await asyncio.sleep(0)
            gc.collect()
            assert reference() is None

    run(main())


def test_streams(run, certificates):
    async def handle(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    async def main():
        async with await asyncio.start_server(
            handle, "127.0.0.1", 0, ssl=certificates.server_context()
        ) as server:
            reader, writer = await asyncio.open_connection(
                *server.sockets[0].getsockname(),
                ssl=certificates.client_context(),
                server_hostname="localhost",
            )
            for number in range(100):
                writer.write(b"line %d\n" % number)
                assert await reader.readline() == b"LINE %d\n" % number
            writer.close()
            await writer.wait_closed()

    run(main())


def test_unix_sockets(run, certificates, socket_path):
    async def main():
        loop = asyncio.get_running_loop()
        made = asyncio.Queue()

        def factory():
            made.put_nowait(Recorder())
            return made._queue[-1]

        async with await loop.create_unix_server(
            factory, socket_path, ssl=certificates.server_context()
        ):
            transport, client = await loop.create_unix_connection(
                Recorder,
                socket_path,
                ssl=certificates.client_context(),
                server_hostname="localhost",
            )
            served = await made.get()
            transport.write(b"x")
            assert await served.received(1) == b"x"
            await end(client, served)

    run(main())


def test_an_accepted_socket(run, certificates):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        accepting = asyncio.create_task(
            loop.connect_accepted_socket(Recorder, far, ssl=certificates.server_context())
        )
        transport, client = await loop.create_connection(
            Recorder, sock=near, ssl=certificates.client_context(), server_hostname="localhost"
        )
        _, served = await accepting
        transport.write(b"x")
        assert await served.received(1) == b"x"
        await end(client, served)

    run(main())


def test_many_connections_at_once(run, tls, certificates):
    async def main():
        context = certificates.client_context()
        async with tls.serve() as server:

            async def one(number):
                transport, client = await tls.connect(server, context)
                transport.write(b"%03d" % number)
                return client

            clients = await asyncio.gather(*map(one, range(50)))
            served = [await server.made.get() for _ in range(50)]
            texts = {await protocol.received(3) for protocol in served}
            assert texts == {b"%03d" % number for number in range(50)}
            for client in clients:
                client.transport.close()
            await asyncio.gather(*(p.lost for p in [*clients, *served]))

    run(main())
