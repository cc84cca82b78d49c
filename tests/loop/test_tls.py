"""TLS over create_connection and create_server: what the caller's SSLContext says is done."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
from support.protocols import BufferedRecorder, Recorder


async def serve(context, factory=Recorder, **options):
    """Start a TLS server; `server.made` is a queue of its protocols."""
    made = asyncio.Queue()

    def make():
        protocol = factory()
        made.put_nowait(protocol)
        return protocol

    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", 0, ssl=context, **options)
    server.made = made
    return server


async def connect(server, context, factory=Recorder, **options):
    """Connect to it."""
    options.setdefault("server_hostname", "localhost")
    return await asyncio.get_running_loop().create_connection(
        factory, *server.sockets[0].getsockname(), ssl=context, **options
    )


async def end(*protocols):
    """Close one side and wait for the other."""
    protocols[0].transport.close()
    for protocol in protocols:
        await protocol.lost


def test_talk(run, certificates):
    async def main():
        async with await serve(certificates.server_context()) as server:
            transport, client = await connect(server, certificates.client_context())
            served = await server.made.get()
            assert client.calls == ["connection_made"]
            transport.write(b"question")
            assert await served.received(8) == b"question"
            served.transport.write(b"answer")
            assert await client.received(6) == b"answer"
            transport.writelines([b"one", bytearray(b"two"), memoryview(b"three")])
            assert await served.received(11) == b"onetwothree"
            await end(client, served)
            assert served.calls[-2:] == ["eof_received", "connection_lost"]

    run(main())


def test_extra_info(run, certificates):
    async def main():
        server_context, client_context = (
            certificates.server_context(),
            certificates.client_context(),
        )
        async with await serve(server_context) as server:
            transport, client = await connect(server, client_context)
            served = await server.made.get()
            await served.made
            assert isinstance(transport, asyncio.Transport)
            assert transport.get_extra_info("sslcontext") is client_context
            assert served.transport.get_extra_info("sslcontext") is server_context
            ssl_object = transport.get_extra_info("ssl_object")
            assert isinstance(ssl_object, ssl.SSLObject)
            assert ssl_object.context is client_context
            assert ssl_object.server_hostname == "localhost"
            assert ssl_object.version() == "TLSv1.3"
            assert transport.get_extra_info("cipher") == ssl_object.cipher()
            assert transport.get_extra_info("compression") is None
            certificate = transport.get_extra_info("peercert")
            assert ("DNS", "localhost") in certificate["subjectAltName"]
            assert ssl_object.getpeercert(binary_form=True)
            assert served.transport.get_extra_info("peercert") is None
            assert transport.get_extra_info("peername") == server.sockets[0].getsockname()
            assert transport.get_extra_info("sockname")[0] == "127.0.0.1"
            assert transport.get_extra_info("socket").fileno() >= 0
            assert transport.get_extra_info("nonsense", 1) == 1
            await end(client, served)

    run(main())


def test_transport_methods(run, certificates):
    async def main():
        async with await serve(certificates.server_context()) as server:
            transport, client = await connect(server, certificates.client_context())
            served = await server.made.get()
            assert transport.get_protocol() is client
            assert transport.can_write_eof() is False
            with pytest.raises(NotImplementedError):
                transport.write_eof()
            assert transport.is_reading()
            assert transport.get_write_buffer_size() == 0
            assert transport.get_write_buffer_limits()[1] > 0
            transport.set_write_buffer_limits(high=1000)
            assert transport.get_write_buffer_limits() == (250, 1000)
            with pytest.raises(TypeError):
                transport.write("text")
            assert not transport.is_closing()
            transport.close()
            assert transport.is_closing()
            await client.lost
            await served.lost

    run(main())


@pytest.mark.parametrize("size", [1, 16_384, 16_385, 200_000, 5_000_000])
def test_sizes(run, certificates, size):
    async def main():
        data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        async with await serve(certificates.server_context()) as server:
            transport, client = await connect(server, certificates.client_context())
            served = await server.made.get()
            transport.write(data)
            assert await served.received(size) == data
            served.transport.write(data)
            assert await client.received(size) == data
            await end(client, served)

    run(main())


def test_many_small_writes(run, certificates):
    async def main():
        async with await serve(certificates.server_context()) as server:
            transport, client = await connect(server, certificates.client_context())
            served = await server.made.get()
            pieces = [b"%d," % number for number in range(5000)]
            for piece in pieces:
                transport.write(piece)
            expected = b"".join(pieces)
            assert await served.received(len(expected)) == expected
            await end(client, served)

    run(main())


class MemoryviewRecorder(BufferedRecorder):
    """The standard transport slices the buffer, and a slice of a bytearray is a copy."""

    def get_buffer(self, sizehint):
        return memoryview(super().get_buffer(sizehint))


def test_a_buffered_protocol(run, certificates):
    async def main():
        async with await serve(certificates.server_context(), MemoryviewRecorder) as server:
            transport, client = await connect(
                server, certificates.client_context(), lambda: MemoryviewRecorder(100)
            )
            served = await server.made.get()
            data = bytes(range(256)) * 1000
            transport.write(data)
            assert await served.received(len(data)) == data
            served.transport.write(data)
            assert await client.received(len(data)) == data
            await end(client, served)

    run(main())


def test_flow_control(run, certificates):
    async def main():
        async with await serve(certificates.server_context()) as server:
            transport, client = await connect(server, certificates.client_context())
            served = await server.made.get()
            await served.made
            served.transport.pause_reading()
            size = 0
            while "pause_writing" not in client.calls:
                transport.write(bytes(1_000_000))
                size += 1_000_000
                await asyncio.sleep(0)
                assert size < 200_000_000
            assert transport.get_write_buffer_size() > 0
            served.transport.resume_reading()
            await served.received(size)
            await client.called("resume_writing")
            await end(client, served)

    run(main())


def test_pause_reading(run, certificates):
    async def main():
        async with await serve(certificates.server_context()) as server:
            transport, client = await connect(server, certificates.client_context())
            served = await server.made.get()
            await served.made
            served.transport.pause_reading()
            assert not served.transport.is_reading()
            transport.write(b"x" * 100_000)
            await asyncio.sleep(0.005)
            assert served.data == b""
            served.transport.resume_reading()
            await served.received(100_000)
            await end(client, served)

    run(main())


# -- names and verification ---------------------------------------------------------------------


def test_the_certificate_is_checked(run, certificates):
    async def main():
        async with await serve(certificates.server_context()) as server:
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(server, ssl.create_default_context())
            with pytest.raises(ssl.SSLCertVerificationError, match="[Hh]ostname mismatch"):
                await connect(
                    server, certificates.client_context(), server_hostname="wrong.example"
                )
            transport, client = await connect(server, certificates.client_context())
            await end(client)

    run(main())


def test_ssl_true_uses_the_default_context(run, certificates):
    async def main():
        async with await serve(certificates.server_context()) as server:
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(server, True)

    run(main())


def test_without_checks(run, certificates):
    async def main():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        async with await serve(certificates.server_context()) as server:
            for name in ("anything.example", ""):
                transport, client = await connect(server, context, server_hostname=name)
                served = await server.made.get()
                assert transport.get_extra_info("peercert") in ({}, None)
                await end(client, served)

    run(main())


def test_the_host_is_the_default_name(run, certificates):
    async def main():
        async with await serve(certificates.server_context()) as server:
            loop = asyncio.get_running_loop()
            transport, client = await loop.create_connection(
                Recorder, *server.sockets[0].getsockname(), ssl=certificates.client_context()
            )
            assert transport.get_extra_info("ssl_object").server_hostname == "127.0.0.1"
            await end(client)

    run(main())


def test_server_name_indication(run, certificates):
    """The callback sees the name and may change the context in the middle of the handshake."""

    async def main():
        seen = []
        context, other = certificates.server_context(), certificates.other_server_context()

        def choose(ssl_object, name, given):
            seen.append((type(ssl_object), name, given is context))
            if name == "other.example":
                ssl_object.context = other
            elif name == "refused.example":
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            return None

        context.sni_callback = choose
        async with await serve(context) as server:
            for name in ("localhost", "other.example"):
                transport, client = await connect(
                    server, certificates.client_context(), server_hostname=name
                )
                names = transport.get_extra_info("peercert")["subjectAltName"]
                assert ("DNS", name) in names
                await end(client)
            # The alert or, if the server's socket is gone before it is read, a reset.
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await connect(
                    server, certificates.client_context(), server_hostname="refused.example"
                )
        assert [name for _, name, _ in seen] == ["localhost", "other.example", "refused.example"]
        assert all(issubclass(kind, ssl.SSLObject) and same for kind, _, same in seen)

    run(main())


def test_application_protocols(run, certificates):
    async def main():
        server_context, client_context = (
            certificates.server_context(),
            certificates.client_context(),
        )
        server_context.set_alpn_protocols(["h2", "http/1.1"])
        async with await serve(server_context) as server:
            for offered, chosen in ((["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "h2")):
                client_context.set_alpn_protocols(offered)
                transport, client = await connect(server, client_context)
                served = await server.made.get()
                await served.made
                for side in (transport, served.transport):
                    ssl_object = side.get_extra_info("ssl_object")
                    assert ssl_object.selected_alpn_protocol() == chosen
                await end(client, served)

    run(main())


def test_client_certificates(run, certificates):
    async def main():
        server_context, client_context = (
            certificates.server_context(),
            certificates.client_context(),
        )
        server_context.verify_mode = ssl.CERT_REQUIRED
        server_context.load_verify_locations(certificates.authority)
        client_context.load_cert_chain(certificates.client)
        async with await serve(server_context) as server:
            transport, client = await connect(server, client_context)
            served = await server.made.get()
            await served.made
            subject = dict(
                part[0] for part in served.transport.get_extra_info("peercert")["subject"]
            )
            assert subject == {"commonName": "a client"}
            await end(client, served)

    run(main())


def test_a_missing_client_certificate(run, certificates):
    async def main():
        server_context, client_context = (
            certificates.server_context(),
            certificates.client_context(),
        )
        server_context.verify_mode = ssl.CERT_REQUIRED
        server_context.load_verify_locations(certificates.authority)
        # With TLS 1.3 the client learns of it only when it reads.
        client_context.maximum_version = ssl.TLSVersion.TLSv1_2
        async with await serve(server_context) as server:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await connect(server, client_context)

    run(main())


def test_versions_and_ciphers(run, certificates):
    async def main():
        server_context, client_context = (
            certificates.server_context(),
            certificates.client_context(),
        )
        client_context.maximum_version = ssl.TLSVersion.TLSv1_2
        client_context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        async with await serve(server_context) as server:
            transport, client = await connect(server, client_context)
            ssl_object = transport.get_extra_info("ssl_object")
            assert ssl_object.version() == "TLSv1.2"
            assert transport.get_extra_info("cipher")[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"
            await end(client)

    run(main())


def test_no_version_in_common(run, certificates):
    async def main():
        server_context, client_context = (
            certificates.server_context(),
            certificates.client_context(),
        )
        server_context.minimum_version = ssl.TLSVersion.TLSv1_3
        client_context.maximum_version = ssl.TLSVersion.TLSv1_2
        async with await serve(server_context) as server:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await connect(server, client_context)

    run(main())


def test_session_details(run, certificates, tmp_path):
    """Key logging and channel binding need the real library underneath."""

    async def main():
        client_context = certificates.client_context()
        client_context.keylog_filename = str(tmp_path / "keys")
        async with await serve(certificates.server_context()) as server:
            transport, client = await connect(server, client_context)
            served = await server.made.get()
            await served.made
            mine = transport.get_extra_info("ssl_object")
            assert mine.get_channel_binding("tls-unique") is not None
            assert mine.pending() == 0
            await end(client, served)
        assert "CLIENT_HANDSHAKE_TRAFFIC_SECRET" in (tmp_path / "keys").read_text()

    run(main())


# -- what goes wrong ----------------------------------------------------------------------------


def test_a_server_that_speaks_no_tls(run, certificates):
    async def main():
        loop = asyncio.get_running_loop()

        class Plain(asyncio.Protocol):
            def connection_made(self, transport):
                transport.write(b"220 welcome to this server\r\n" * 10)

        async with await loop.create_server(Plain, "127.0.0.1", 0) as server:
            with pytest.raises(ssl.SSLError):
                await connect(server, certificates.client_context())

    run(main())


def test_a_client_that_speaks_no_tls(run, certificates):
    async def main():
        async with await serve(certificates.server_context()) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(10_000)
            writer.close()
            # And the server goes on.
            transport, client = await connect(server, certificates.client_context())
            await end(client)

    run(main())


def test_the_peer_leaves_during_the_handshake(run, certificates):
    async def main():
        loop = asyncio.get_running_loop()

        class Leaving(asyncio.Protocol):
            def connection_made(self, transport):
                transport.close()

        async with await loop.create_server(Leaving, "127.0.0.1", 0) as server:
            with pytest.raises(ConnectionError):
                await connect(server, certificates.client_context())

    run(main())


def test_the_handshake_takes_too_long(run, certificates):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            with pytest.raises(ConnectionAbortedError, match="SSL handshake is taking longer"):
                await loop.create_connection(
                    Recorder,
                    *silent.getsockname(),
                    ssl=certificates.client_context(),
                    server_hostname="localhost",
                    ssl_handshake_timeout=0.01,
                )

    run(main())


def test_the_handshake_takes_too_long_for_the_server(run, certificates):
    async def main():
        async with await serve(certificates.server_context(), ssl_handshake_timeout=0.01) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                assert await reader.read() == b""
            except ConnectionError:
                pass
            writer.close()

    run(main())


# The standard loop leaves the connected socket to the collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_timeouts_must_be_positive(run, certificates):
    async def main():
        loop = asyncio.get_running_loop()
        context = certificates.server_context()
        async with await serve(context) as server:
            for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
                with pytest.raises(ValueError, match="should be a positive number"):
                    await connect(server, certificates.client_context(), **{name: 0})
        assert loop.is_running()

    run(main())


def test_cancelled_during_the_handshake(run, certificates):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            task = asyncio.create_task(
                loop.create_connection(
                    Recorder,
                    *silent.getsockname(),
                    ssl=certificates.client_context(),
                    server_hostname="localhost",
                )
            )
            peer, _ = await asyncio.to_thread(silent.accept)
            with peer:
                assert await asyncio.to_thread(peer.recv, 1)  # the hello is there
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                while await asyncio.to_thread(peer.recv, 10_000):
                    pass  # it ends

    run(main())


def test_a_failing_data_received(run, certificates, reports):
    class Broken(Recorder):
        def data_received(self, data):
            raise ZeroDivisionError

    async def main():
        async with await serve(certificates.server_context(), Broken) as server:
            transport, client = await connect(server, certificates.client_context())
            served = await server.made.get()
            transport.write(b"x")
            error = await served.lost
            assert isinstance(error, ZeroDivisionError)
            await client.lost

    run(main())
    assert isinstance(reports.take_one()["exception"], ZeroDivisionError)


def test_memory_of_idle_connections(run, certificates):
    """The context is let go together with the last connection."""
    import gc
    import weakref

    async def main():
        context = certificates.client_context()
        reference = weakref.ref(context)
        async with await serve(certificates.server_context()) as server:
            for _ in range(3):
                transport, client = await connect(server, context)
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


def test_many_connections_at_once(run, certificates):
    async def main():
        context = certificates.client_context()
        async with await serve(certificates.server_context()) as server:

            async def one(number):
                transport, client = await connect(server, context)
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
