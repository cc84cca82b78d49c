"""TLS handshakes that fail, take too long or are given up; how a server reports them."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import os
import socket
import ssl

import pytest
from support.cancelling import cancel_after
from support.patience import SECONDS
from support.protocols import Recorder
from support.sockets import listener
from support.tls import end

FAILED = "Error on transport creation for incoming connection"


class Plain(asyncio.Protocol):
    """A server that speaks no TLS."""

    def connection_made(self, transport):
        transport.write(b"220 welcome to this server\r\n" * 10)


class Leaving(asyncio.Protocol):
    """A server that wants nobody."""

    def connection_made(self, transport):
        transport.close()


@pytest.mark.parametrize(("kind", "error"), [(Plain, ssl.SSLError), (Leaving, ConnectionError)])
def test_a_server_that_does_something_else(run, certificates, kind, error):
    async def main():
        loop = asyncio.get_running_loop()
        async with await loop.create_server(kind, "127.0.0.1", 0) as server:
            with pytest.raises(error):
                await loop.create_connection(
                    Recorder,
                    *server.sockets[0].getsockname(),
                    ssl=certificates.client_context(),
                    server_hostname="localhost",
                )

    run(main())


@pytest.fixture
def silent():
    """A listening socket where nobody answers the handshake."""
    with listener() as sock:
        sock.setblocking(True)
        yield sock


def test_it_takes_too_long(run, certificates, silent):
    async def main():
        with pytest.raises(ConnectionAbortedError, match="SSL handshake is taking longer"):
            await asyncio.get_running_loop().create_connection(
                Recorder,
                *silent.getsockname(),
                ssl=certificates.client_context(),
                server_hostname="localhost",
                ssl_handshake_timeout=0.01,
            )

    run(main())


# The standard loop leaves the connected socket to the collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_timeouts_must_be_positive(run, tls):
    async def main():
        async with tls.serve() as server:
            for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
                with pytest.raises(ValueError, match="should be a positive number"):
                    await tls.connect(server, **{name: 0})

    run(main())


def test_cancelled_in_the_middle(run, certificates, silent):
    async def main():
        task = asyncio.create_task(
            asyncio.get_running_loop().create_connection(
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


@pytest.mark.parametrize("turns", range(0, 24, 2))
def test_cancelled_after_any_number_of_turns(run, tls, turns):
    """Whatever the stage, both ends are over and nothing stays open."""

    async def main():
        async with tls.serve() as server:
            before = set(os.listdir("/proc/self/fd"))
            await cancel_after(turns, lambda make: tls.connect(server, factory=make), Recorder)
            while set(os.listdir("/proc/self/fd")) != before:
                await asyncio.sleep(0.001)

    run(main())


# -- the server ---------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def raw_connection(server):
    """A blocking client that speaks no TLS, or not yet."""
    with socket.create_connection(server.address, timeout=SECONDS) as sock:
        yield sock


async def until_closed(sock):
    """Read until the server ends the connection."""
    with contextlib.suppress(ConnectionError):
        while await asyncio.to_thread(sock.recv, 10_000):
            pass


async def reported(reports):
    """Wait for the one report."""
    while not (contexts := reports.take()):
        await asyncio.sleep(0.001)
    (context,) = contexts
    assert context["message"] == FAILED
    return context


def test_a_client_that_speaks_no_tls(run, tls, reports):
    async def main():
        async with tls.serve() as server:
            async with raw_connection(server) as sock:
                sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
                await until_closed(sock)
            # And the server goes on.
            _, client = await tls.connect(server)
            await end(client)
            assert not (await server.made.get()).calls

    run(main())
    assert not reports.take(), "outside of debug mode nobody is told"


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize(
    ("sent", "error"),
    [(b"GET / HTTP/1.0\r\n\r\n", ssl.SSLError), (b"\x16\x03\x01\x02", ConnectionResetError)],
    ids=["nonsense", "half a hello"],
)
def test_debug_mode_reports_a_failed_handshake(run, tls, reports, sent, error):
    async def main():
        async with tls.serve() as server:
            async with raw_connection(server) as sock:
                sock.sendall(sent)
                sock.shutdown(socket.SHUT_WR)
                context = await reported(reports)
                await until_closed(sock)
            assert type(context["exception"]) is error or isinstance(context["exception"], error)
            assert context["protocol"] is await server.made.get()
            assert context["transport"].is_closing()

    run(main(), debug=True)


def test_debug_mode_reports_a_handshake_that_takes_too_long(run, tls, reports):
    async def main():
        async with tls.serve(ssl_handshake_timeout=0.01) as server:
            async with raw_connection(server) as sock:
                context = await reported(reports)
                await until_closed(sock)
            assert isinstance(context["exception"], ConnectionAbortedError)
            assert "SSL handshake is taking longer than 0.01 seconds" in str(context["exception"])
            assert context["protocol"] is await server.made.get()

    run(main(), debug=True)


def test_a_handshake_that_takes_too_long_is_ended(run, tls, reports):
    async def main():
        async with tls.serve(ssl_handshake_timeout=0.01) as server:
            async with raw_connection(server) as sock:
                await until_closed(sock)
            assert not (await server.made.get()).calls

    run(main())
    assert not reports.take()


# The standard loop leaves the accepted socket to the collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("options", [{}, {"ssl_handshake_timeout": 0}], ids=["factory", "timeout"])
def test_debug_mode_reports_what_keeps_a_connection_from_being_made(run, tls, reports, options):
    class Unmade(Exception):
        pass

    made = []

    def factory():
        if not options:
            raise Unmade
        made.append(asyncio.Protocol())
        return made[-1]

    async def main():
        async with tls.serve(factory=factory, **options) as server:
            async with raw_connection(server):
                context = await reported(reports)
            return type(context["exception"]), context.get("protocol"), "transport" in context

    seen = run(main(), debug=True)
    assert seen == ((ValueError, made[0], False) if made else (Unmade, None, False))


def test_debug_mode_logs_new_connections(run, tls, caplog):
    async def main():
        async with tls.pair() as pair:
            return pair.transport.get_extra_info("sockname")

    with caplog.at_level(logging.DEBUG, "asyncio"):
        address = run(main(), debug=True)
    (message,) = (text for text in caplog.messages if "got a new connection" in text)
    assert message.startswith("<Server sockets=")
    assert f" got a new connection from {address!r}: <socket.socket " in message


@pytest.mark.parametrize("encrypted", [False, True])
def test_each_connection_has_a_context_of_its_own(run, tls, encrypted):
    """What the factory sets in it, the callbacks see, and no other connection."""
    number = contextvars.ContextVar("number", default=0)
    seen = []

    class Numbered(Recorder):
        def __init__(self):
            super().__init__()
            seen.append(("made", number.get()))
            number.set(len(seen))

        def connection_made(self, transport):
            seen.append(("connected", number.get()))
            super().connection_made(transport)

    async def main():
        loop = asyncio.get_running_loop()
        number.set(-1)
        if encrypted:
            async with tls.pair(Numbered, Recorder), tls.pair(Numbered, Recorder):
                return
        async with await loop.create_server(Numbered, "127.0.0.1", 0) as server:
            for _ in range(2):
                _, client = await loop.create_connection(Recorder, *server.sockets[0].getsockname())
                await end(client)
                await asyncio.sleep(0.001)
                while len(seen) % 2:
                    await asyncio.sleep(0)

    run(main())
    assert seen == [("made", -1), ("connected", 1), ("made", -1), ("connected", 3)]


def test_a_program_sees_no_task_of_an_accepted_connection(run, tls, loop_name):
    """The standard loop has one for each."""
    counts = []

    class Counting(Recorder):
        def __init__(self):
            super().__init__()
            counts.append(len(asyncio.all_tasks()))

    async def main():
        before = len(asyncio.all_tasks())
        async with tls.pair(Counting, Recorder):
            pass
        assert counts == [before + (loop_name == "asyncio")]

    run(main())


# The standard loop leaves the accepted socket and its task to the collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_an_interrupt_by_the_factory_leaves_the_loop(loop, tls, reports):

    async def serve():
        return await tls.serve(factory=interrupt).__aenter__()

    def interrupt():
        raise KeyboardInterrupt

    server = loop.run_until_complete(serve())
    with socket.create_connection(server.address, timeout=SECONDS):
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(asyncio.sleep(10))
    loop.run_until_complete(server.__aexit__(None, None, None))
    gc.collect()
    reports.take()
