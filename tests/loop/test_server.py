"""The object that create_server returns: closing, waiting, serving for ever."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings

import pytest
from support.patience import SECONDS
from support.protocols import Recorder
from support.sockets import listener


async def connected(server):
    """Connect to the server; return the client socket and the protocol of the server's side."""
    loop = asyncio.get_running_loop()
    client = socket.socket()
    client.setblocking(False)
    await loop.sock_connect(client, server.sockets[0].getsockname())
    return client, await server.made.get()


async def serve(**options):
    """Start a server that puts its protocols into the queue `made`."""
    made = asyncio.Queue()

    class Protocol(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            made.put_nowait(self)

    server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", 0, **options)
    server.made = made
    return server


def test_close(run):
    async def main():
        server = await serve()
        address = server.sockets[0].getsockname()
        assert server.sockets
        server.close()
        assert server.sockets == ()
        assert not server.is_serving()
        server.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        await server.wait_closed()

    run(main())


def test_refused_straight_after_close(run):
    async def main():
        server = await serve()
        address = server.sockets[0].getsockname()
        server.close()
        with socket.socket() as client, pytest.raises(ConnectionRefusedError):
            client.connect(address)
        await server.wait_closed()

    run(main())


def test_open_connections_outlive_the_server(run):
    async def main():
        server = await serve()
        client, protocol = await connected(server)
        with client:
            server.close()
            await asyncio.sleep(0)
            client.send(b"still there")
            assert await protocol.received(11) == b"still there"
            protocol.transport.close()
            await protocol.lost
            await server.wait_closed()

    run(main())


@pytest.mark.asyncio_since((3, 12, 1), "wait_closed() waits for the connections")
def test_wait_closed_waits_for_the_connections(run):
    async def main():
        server = await serve()
        client, protocol = await connected(server)
        waiting = asyncio.create_task(server.wait_closed())
        await asyncio.sleep(0)
        assert not waiting.done()
        server.close()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        client.close()
        await protocol.lost
        await waiting
        await server.wait_closed()

    run(main())


@pytest.mark.asyncio_since((3, 12, 1), "wait_closed() waits for the end of the server")
def test_wait_closed_of_a_server_without_connections(run):
    async def main():
        server = await serve()
        waiting = [asyncio.create_task(server.wait_closed()) for _ in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert not any(each.done() for each in waiting)
        waiting.pop().cancel()
        server.close()
        await asyncio.gather(*waiting)
        await server.wait_closed()

    run(main())


@pytest.mark.asyncio_since((3, 12, 1), "wait_closed() waits for the connections")
def test_wait_closed_after_the_last_connection_but_before_close(run):
    async def main():
        server = await serve()
        client, protocol = await connected(server)
        client.close()
        await protocol.lost
        waiting = asyncio.create_task(server.wait_closed())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        server.close()
        await waiting

    run(main())


@pytest.mark.asyncio_since((3, 13), "a transport that nobody holds leaves its server")
def test_wait_closed_with_a_transport_that_nobody_holds(run):
    async def main():
        server = await serve()
        client, protocol = await connected(server)
        with client:
            protocol.transport.pause_reading()
            server.close()
            waiting = asyncio.create_task(server.wait_closed())
            await asyncio.sleep(0)
            assert not waiting.done()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                # The future `made` holds it as well.
                protocol.transport = protocol.made = None
                gc.collect()
            assert any("unclosed transport" in str(each.message) for each in caught)
            await waiting

    run(main())


@pytest.mark.asyncio_since((3, 12, 1), "wait_closed() waits for the connections")
def test_async_with_waits_for_the_connections(run):
    async def main():
        async with await serve() as server:
            client, protocol = await connected(server)
            asyncio.get_running_loop().call_later(0.005, client.close)
        assert protocol.lost.done()

    run(main())


@pytest.mark.asyncio_since((3, 13), "close_clients()")
def test_close_clients(run):
    async def main():
        server = await serve()
        pairs = [await connected(server) for _ in range(3)]
        server.close()
        server.close_clients()
        await server.wait_closed()
        for client, protocol in pairs:
            assert await protocol.lost is None
            assert client.recv(10) == b""
            client.close()

    run(main())


@pytest.mark.asyncio_since((3, 13), "close_clients()")
def test_close_clients_sends_what_is_buffered(run):
    async def main():
        loop = asyncio.get_running_loop()
        server = await serve()
        client, protocol = await connected(server)
        size = 4_000_000
        protocol.transport.write(bytes(size))
        assert protocol.transport.get_write_buffer_size() > 0
        server.close()
        server.close_clients()
        received = 0
        while data := await loop.sock_recv(client, 1 << 20):
            received += len(data)
        assert received == size
        await server.wait_closed()
        client.close()

    run(main())


@pytest.mark.asyncio_since((3, 13), "abort_clients()")
def test_abort_clients(run):
    async def main():
        server = await serve()
        client, protocol = await connected(server)
        protocol.transport.write(bytes(10_000_000))
        assert protocol.transport.get_write_buffer_size() > 0
        server.close()
        server.abort_clients()
        await asyncio.wait_for(server.wait_closed(), SECONDS)
        assert await protocol.lost is None
        client.close()

    run(main())


@pytest.mark.asyncio_since((3, 13), "close_clients()")
def test_close_clients_of_a_running_server(run):
    async def main():
        server = await serve()
        first, protocol = await connected(server)
        server.close_clients()
        await protocol.lost
        second, protocol = await connected(server)  # it goes on serving
        first.close()
        second.close()
        await protocol.lost
        server.close()
        await server.wait_closed()

    run(main())


def test_async_with(run):
    async def main():
        async with await serve() as server:
            assert server.is_serving()
            client, protocol = await connected(server)
            client.close()
            await protocol.lost
        assert not server.is_serving()
        assert server.sockets == ()

    run(main())


def test_serve_forever(run):
    async def main():
        server = await serve(start_serving=False)
        task = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert server.is_serving()
        client, protocol = await connected(server)
        client.close()
        await protocol.lost
        with pytest.raises(RuntimeError, match="already being awaited"):
            await server.serve_forever()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not server.is_serving()
        with pytest.raises(RuntimeError, match="is closed"):
            await server.serve_forever()

    run(main())


@pytest.mark.asyncio_since((3, 14), "serve_forever(), cancelled, closes the connections")
def test_serve_forever_closes_the_connections(run):
    async def main():
        server = await serve(start_serving=False)
        task = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        client, protocol = await connected(server)
        with client:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await protocol.lost is None
            client.setblocking(True)
            assert client.recv(1) == b""
        await server.wait_closed()

    run(main())


def test_close_ends_serve_forever(run):
    async def main():
        server = await serve()
        task = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        server.close()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_repr(run):
    async def main():
        server = await serve()
        assert repr(server).startswith("<Server sockets=(<asyncio.TransportSocket")
        server.close()
        assert "sockets=()" in repr(server)

    run(main())


def test_the_sockets_are_a_snapshot(run):
    async def main():
        async with await serve() as server:
            assert isinstance(server.sockets, tuple)
            (sock,) = server.sockets
            assert sock.family == socket.AF_INET and sock.type == socket.SOCK_STREAM

    run(main())


def test_closing_inside_connection_made(run):
    async def main():
        loop = asyncio.get_running_loop()
        lost = loop.create_future()

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport):
                server.close()
                transport.close()

            def connection_lost(self, exc):
                lost.set_result(exc)

        server = await loop.create_server(Protocol, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            assert await lost is None
            assert await asyncio.to_thread(client.recv, 10) == b""
        await server.wait_closed()

    run(main())


def test_a_server_that_nobody_holds_serves_on(run):
    async def main():
        loop = asyncio.get_running_loop()
        made = loop.create_future()

        class Protocol(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                made.set_result(self)

        await loop.create_server(Protocol, sock=sock)
        gc.collect()
        with socket.create_connection(sock.getsockname()):
            protocol = await made
        await protocol.lost

    sock = listener()
    run(main())
    sock.close()


def test_emfile_on_accept_backs_off(run, reports):
    """Without descriptors the server says so, waits, and serves again when there are some."""
    import resource

    async def main():
        loop = asyncio.get_running_loop()
        server = await serve()
        client = socket.socket()
        client.setblocking(False)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = client.fileno()
        fillers = []
        try:
            # Every descriptor up to the limit is taken.
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 20, hard))
            while True:
                try:
                    fillers.append(socket.socket())
                except OSError:
                    break
            before = loop.time()
            await loop.sock_connect(client, server.sockets[0].getsockname())
            while not (contexts := reports.take()):
                await asyncio.sleep(0.001)
            assert "socket.accept() out of system resource" in contexts[0]["message"]
            assert isinstance(contexts[0]["exception"], OSError)
            assert contexts[0]["socket"].fileno() == server.sockets[0].fileno()
            # It does not spin meanwhile: no report comes turn after turn.
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(reports.take()) == 0
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for filler in fillers:
                filler.close()
        protocol = await asyncio.wait_for(server.made.get(), SECONDS)
        assert loop.time() - before > 0.5
        client.close()
        await protocol.lost
        server.close()
        await server.wait_closed()

    run(main())


@pytest.mark.not_asyncio("the sockets stay open when one of them cannot listen")
def test_a_socket_that_cannot_listen(run):
    """The second of two sockets bound to one address: what was made is closed again."""

    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as first:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
            first.bind(("127.0.0.1", 0))
            second = socket.socket()
            second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
            second.bind(first.getsockname())
            first.listen()
            with pytest.raises(OSError, match="already in use"):
                await loop.create_server(Recorder, sock=second)
            assert second.fileno() == -1

    run(main())


@pytest.mark.asyncio_since((3, 13), "close_clients() and abort_clients()")
@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
def test_the_clients_of_a_tls_server(run, certificates, method):
    async def main():
        loop = asyncio.get_running_loop()
        server = await serve(ssl=certificates.server_context())
        address = server.sockets[0].getsockname()
        transport, client = await loop.create_connection(
            Recorder, "localhost", address[1], ssl=certificates.client_context()
        )
        protocol = await server.made.get()
        if method == "close_clients":
            protocol.transport.write(bytes(1_000_000))
        getattr(server, method)()
        await protocol.lost
        await client.lost
        assert len(client.data) == (1_000_000 if method == "close_clients" else 0)
        server.close()
        await server.wait_closed()

    run(main())


@pytest.mark.asyncio_since((3, 13), "close_clients()")
def test_connection_lost_that_closes_the_other_clients(run):
    """The set of clients changes while it is gone through."""

    async def main():
        server = await serve()
        pairs = [await connected(server) for _ in range(4)]
        for _, protocol in pairs:
            protocol.lost.add_done_callback(lambda _: server.abort_clients())
        server.close_clients()
        server.close()
        await server.wait_closed()
        for client, protocol in pairs:
            assert protocol.lost.done()
            client.close()

    run(main())
