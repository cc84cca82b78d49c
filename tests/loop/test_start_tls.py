"""start_tls: a plain connection becomes encrypted, with nothing lost; TLS inside TLS."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
import ssl

import pytest
from support.protocols import BufferedRecorder, Recorder
from support.sockets import tcp_pair


async def plain_pair(factory=Recorder):
    """Two plain transports connected to each other."""
    loop = asyncio.get_running_loop()
    near, far = tcp_pair()
    _, first = await loop.connect_accepted_socket(factory, near)
    _, second = await loop.connect_accepted_socket(factory, far)
    return first, second


async def upgrade(first, second, certificates, **options):
    """Make the first the client and the second the server of a TLS connection."""
    loop = asyncio.get_running_loop()
    return await asyncio.gather(
        loop.start_tls(
            first.transport,
            first,
            certificates.client_context(),
            server_hostname="localhost",
            **options,
        ),
        loop.start_tls(
            second.transport, second, certificates.server_context(), server_side=True, **options
        ),
    )


def test_upgrade(run, certificates):
    async def main():
        first, second = await plain_pair()
        first.transport.write(b"plain")
        assert await second.received(5) == b"plain"
        client, server = await upgrade(first, second, certificates)
        assert isinstance(client, asyncio.Transport)
        assert client is not first.transport
        assert client.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert client.get_protocol() is first
        client.write(b"secret")
        assert await second.received(6) == b"secret"
        server.write(b"answer")
        assert await first.received(6) == b"answer"
        assert first.calls.count("connection_made") == 1
        client.close()
        await first.lost
        await second.lost

    run(main())


def test_a_buffered_protocol(run, certificates):
    async def main():
        first, second = await plain_pair(BufferedRecorder)
        client, server = await upgrade(first, second, certificates)
        data = bytes(range(256)) * 500
        client.write(data)
        assert await second.received(len(data)) == data
        client.close()
        await first.lost
        await second.lost

    run(main())


def test_data_right_behind_the_handshake(run, certificates):
    """The first bytes after the handshake may come in the same segment as its end."""

    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(20):
            first, second = await plain_pair()

            async def accept(second=second):
                transport = await loop.start_tls(
                    second.transport, second, certificates.server_context(), server_side=True
                )
                transport.write(b"at once")
                return transport

            client, server = await asyncio.gather(
                loop.start_tls(
                    first.transport,
                    first,
                    certificates.client_context(),
                    server_hostname="localhost",
                ),
                accept(),
            )
            assert await first.received(7) == b"at once"
            client.close()
            await first.lost
            await second.lost

    run(main())


def test_the_context_must_be_a_context(run):
    async def main():
        loop = asyncio.get_running_loop()
        first, second = await plain_pair()
        with pytest.raises(TypeError, match="sslcontext is expected to be an instance"):
            await loop.start_tls(first.transport, first, None)
        first.transport.close()
        await first.lost
        await second.lost

    run(main())


def test_a_datagram_transport_is_refused(run, certificates):
    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        with pytest.raises(TypeError, match="is not supported by start_tls"):
            await loop.start_tls(transport, protocol, certificates.client_context())
        transport.close()
        await asyncio.sleep(0)

    run(main())


def test_a_failed_handshake(run, certificates):
    async def main():
        loop = asyncio.get_running_loop()
        first, second = await plain_pair()
        results = await asyncio.gather(
            loop.start_tls(
                first.transport,
                first,
                certificates.client_context(),
                server_hostname="wrong.example",
            ),
            loop.start_tls(
                second.transport, second, certificates.server_context(), server_side=True
            ),
            return_exceptions=True,
        )
        assert isinstance(results[0], ssl.SSLCertVerificationError)
        # With TLS 1.3 the server may have finished by the time the client refuses.
        if not isinstance(results[1], Exception):
            results[1].abort()
        for _ in range(5):
            await asyncio.sleep(0)

    run(main())


def test_a_handshake_that_takes_too_long(run, certificates):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = tcp_pair()
        with near:
            transport, protocol = await loop.connect_accepted_socket(Recorder, far)
            with pytest.raises(ConnectionAbortedError, match="taking longer than"):
                await loop.start_tls(
                    transport,
                    protocol,
                    certificates.client_context(),
                    server_hostname="localhost",
                    ssl_handshake_timeout=0.01,
                )
            assert transport.is_closing()

    run(main())


def test_cancelled(run, certificates):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = tcp_pair()
        with near:
            transport, protocol = await loop.connect_accepted_socket(Recorder, far)
            task = asyncio.create_task(
                loop.start_tls(
                    transport,
                    protocol,
                    certificates.client_context(),
                    server_hostname="localhost",
                )
            )
            for _ in range(3):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert transport.is_closing()

    run(main())


def test_the_peer_is_torn_after_the_upgrade(run, certificates):
    """An abrupt end after start_tls must still give eof_received."""

    async def main():
        first, second = await plain_pair()
        client, server = await upgrade(first, second, certificates)
        client.write(b"x")
        assert await second.received(1) == b"x"
        # The socket underneath goes away without a TLS end.
        server.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        await first.lost
        await second.lost
        assert first.calls[-1] == "connection_lost"
        assert "eof_received" in first.calls

    run(main())


def test_streams(run, certificates):
    async def main():
        upgraded, served = asyncio.Event(), asyncio.Event()

        async def handle(reader, writer):
            assert await reader.readline() == b"STARTTLS\n"
            writer.write(b"ready\n")
            await writer.drain()
            await writer.start_tls(certificates.server_context())
            upgraded.set()
            writer.write((await reader.readline()).upper())
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            served.set()

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"ready\n"
            await writer.start_tls(certificates.client_context(), server_hostname="localhost")
            await upgraded.wait()
            writer.write(b"hello\n")
            assert await reader.readline() == b"HELLO\n"
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
            await served.wait()

    run(main())


def keeps_early_bytes(loop_name):
    """Whether this loop hands what its StreamReader holds to TLS: asyncio does since 3.13.11."""
    source = inspect.getsource(asyncio.BaseEventLoop.start_tls)
    return loop_name == "vivace" or "_stream_reader" in source


def test_a_hello_that_comes_before_the_upgrade(run, certificates, loop_name):
    """What the server's reader has got already belongs to the handshake."""
    if not keeps_early_bytes(loop_name):
        pytest.skip("this asyncio loses it")

    async def main():
        served = asyncio.get_running_loop().create_future()

        async def handle(reader, writer):
            assert await reader.readline() == b"STARTTLS\n"
            while len(reader._buffer) < 100:
                await asyncio.sleep(0.001)
            await writer.start_tls(certificates.server_context())
            served.set_result(await reader.readline())
            writer.write(b"answer\n")
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"STARTTLS\n")
            await writer.start_tls(certificates.client_context(), server_hostname="localhost")
            writer.write(b"hello\n")
            assert await served == b"hello\n"
            assert await reader.read() == b"answer\n"
            writer.close()
            await writer.wait_closed()

    run(main())


def test_plain_bytes_of_the_server_do_not_become_protected_ones(run, certificates):
    """What came before the upgrade stays what it was on the client's side."""

    async def main():
        prepared = asyncio.Event()

        async def handle(reader, writer):
            writer.write(b"ready\ninjected\n")
            await writer.drain()
            await reader.readline()
            prepared.set()
            await writer.start_tls(certificates.server_context())
            writer.write(b"protected\n")
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert await reader.readline() == b"ready\n"
            assert await reader.readline() == b"injected\n"
            writer.write(b"STARTTLS\n")
            await prepared.wait()
            await writer.start_tls(certificates.client_context(), server_hostname="localhost")
            assert await reader.read() == b"protected\n"
            writer.close()
            await writer.wait_closed()

    run(main())


@pytest.mark.parametrize("turns", range(1, 9))
def test_cancelled_after_any_number_of_turns(run, certificates, turns):
    async def main():
        loop = asyncio.get_running_loop()
        first, second = await plain_pair()
        server = asyncio.create_task(
            loop.start_tls(
                second.transport, second, certificates.server_context(), server_side=True
            )
        )
        client = asyncio.create_task(
            loop.start_tls(
                first.transport, first, certificates.client_context(), server_hostname="localhost"
            )
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        client.cancel()
        for task in (client, server):
            with contextlib.suppress(asyncio.CancelledError, OSError):
                (await task).abort()
        assert first.transport.is_closing()
        assert second.transport.is_closing()
        for _ in range(5):
            await asyncio.sleep(0)

    run(main())


def test_tls_inside_tls(run, certificates):
    """As through a proxy that is itself reached over TLS."""

    async def main():
        first, second = await plain_pair()
        outer_client, outer_server = await upgrade(first, second, certificates)
        first.transport, second.transport = outer_client, outer_server
        inner_client, inner_server = await upgrade(first, second, certificates)
        assert inner_client is not outer_client
        inner_client.write(b"in ")
        inner_client.write(b"pieces")
        assert await second.received(9) == b"in pieces"
        data = bytes(range(256)) * 2000
        inner_client.write(data)
        assert await second.received(len(data)) == data
        inner_server.write(data)
        assert await first.received(len(data)) == data
        inner_client.close()
        await first.lost
        await second.lost

    run(main())
