"""Cancelled at any await, what makes a connection, a server or a pipe leaves nothing behind.

Nothing behind: no descriptor is open, none is watched, none was closed twice, and nobody has to
wait for the garbage collector.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket

import pytest
from support.cancelling import MOMENTS, cancelled_at
from support.patience import SECONDS
from support.protocols import DatagramRecorder, Recorder
from support.sockets import listener, tcp_pair

LOCAL = ("127.0.0.1", 0)


class Remembering:
    """A factory of protocols that remembers them, to wait for their end."""

    def __init__(self, kind):
        self.kind = kind
        self.made = []

    def __call__(self):
        self.made.append(self.kind())
        return self.made[-1]


def end(result):
    """Close what an operation has made that came to its end."""
    first = result[0] if isinstance(result, tuple) else result
    if hasattr(first, "abort"):
        first.abort()
    else:
        first.close()


async def check(operation, moment, protocol=Recorder):
    """Cancel an operation at its first await, at its second, and so on until there is no more."""
    loop = asyncio.get_running_loop()
    # What is made once stays: threads of the executor, for instance.
    await loop.getaddrinfo("localhost", 0)
    for number in range(100):
        gc.disable()
        try:
            factory = Remembering(protocol)
            before = set(os.listdir("/proc/self/fd"))
            reached = True
            coroutine, cleanup = operation(loop, factory)
            try:
                end(await cancelled_at(coroutine, number, moment))
                reached = False
            except asyncio.CancelledError:
                pass
            for made in factory.made:
                if made.calls:
                    await made.lost
            cleanup()
            # A peer in this process closes its own end a little later.
            deadline = loop.time() + SECONDS
            while set(os.listdir("/proc/self/fd")) != before:
                assert loop.time() < deadline, f"left open, cancelled at await {number}"
                await asyncio.sleep(0)
        finally:
            gc.enable()
        if not reached:
            assert number > 0, "it has no await"
            return
    pytest.fail("it has no end")


def nothing():
    """What an operation that needs no clean-up returns."""


def resolve_both(loop):
    """Have every name mean two addresses, found after a turn."""

    async def getaddrinfo(host, port, **options):
        await asyncio.sleep(0)
        kind = options.get("type") or socket.SOCK_STREAM
        return [(socket.AF_INET, kind, 0, "", (address, port)) for address in found]

    found = ["127.0.0.1", "127.0.0.2"]
    loop.getaddrinfo = getaddrinfo


moments = pytest.mark.parametrize("moment", MOMENTS)


@moments
@pytest.mark.not_asyncio("the listening socket stays open when the last step is cancelled")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ["127.0.0.1", "127.0.0.2"], None])
def test_create_server(run, moment, host):
    def operation(loop, factory):
        return loop.create_server(factory, host, 0), nothing

    run(check(operation, moment))


@moments
@pytest.mark.not_asyncio("the listening socket stays open when the last step is cancelled")
def test_create_server_on_a_given_socket(run, moment):
    """It belongs to the server: it is closed as well."""

    def operation(loop, factory):
        sock = socket.socket()
        sock.bind(LOCAL)
        return loop.create_server(factory, sock=sock), nothing

    run(check(operation, moment))


@moments
@pytest.mark.not_asyncio("the listening socket stays open when the last step is cancelled")
def test_create_unix_server(run, moment, socket_path):
    def operation(loop, factory):
        return loop.create_unix_server(factory, socket_path, cleanup_socket=True), nothing

    run(check(operation, moment))
    assert not os.path.exists(socket_path)


@moments
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_create_connection(run, moment, host):
    def operation(loop, factory):
        port = sock.getsockname()[1]
        return loop.create_connection(factory, host, port, family=socket.AF_INET), nothing

    with listener() as sock:
        run(check(operation, moment))


@moments
def test_create_connection_from_a_local_address(run, moment):
    def operation(loop, factory):
        port = sock.getsockname()[1]
        coroutine = loop.create_connection(
            factory, "localhost", port, family=socket.AF_INET, local_addr=("localhost", 0)
        )
        return coroutine, nothing

    with listener() as sock:
        run(check(operation, moment))


@moments
@pytest.mark.not_asyncio("a connected socket is left to the collector when the race is cancelled")
def test_create_connection_with_happy_eyeballs(run, moment):
    def operation(loop, factory):
        resolve_both(loop)
        port = sock.getsockname()[1]
        return loop.create_connection(factory, "x", port, happy_eyeballs_delay=0), nothing

    with socket.socket() as sock:
        sock.bind(("0.0.0.0", 0))
        sock.listen()
        run(check(operation, moment))


@moments
def test_create_connection_with_tls(run, moment, certificates):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, *LOCAL, ssl=certificates.server_context())
        port = server.sockets[0].getsockname()[1]
        context = certificates.client_context()

        def operation(loop, factory):
            return loop.create_connection(factory, "localhost", port, ssl=context), nothing

        try:
            await check(operation, moment)
        finally:
            server.close()

    run(main())


@moments
def test_create_connection_over_a_given_socket(run, moment):
    def operation(loop, factory):
        near, far = tcp_pair()
        return loop.create_connection(factory, sock=far), near.close

    run(check(operation, moment))


@moments
def test_create_unix_connection(run, moment, socket_path):
    def operation(loop, factory):
        return loop.create_unix_connection(factory, socket_path), nothing

    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(socket_path)
        sock.listen(100)
        run(check(operation, moment))


@moments
def test_connect_accepted_socket(run, moment):
    def operation(loop, factory):
        near, far = tcp_pair()
        return loop.connect_accepted_socket(factory, far), near.close

    run(check(operation, moment))


@moments
@pytest.mark.parametrize(
    "options",
    [
        {"local_addr": LOCAL},
        {"local_addr": ("localhost", 0), "family": socket.AF_INET},
        {"remote_addr": ("127.0.0.1", 9)},
        {"local_addr": ("x", 0), "remote_addr": ("x", 9)},
        {"family": socket.AF_INET},
    ],
    ids=["local", "local name", "remote", "both names", "family"],
)
def test_create_datagram_endpoint(run, moment, options):
    def operation(loop, factory):
        resolve_both(loop)
        return loop.create_datagram_endpoint(factory, **options), nothing

    run(check(operation, moment, DatagramRecorder))


@moments
@pytest.mark.parametrize("method", ["connect_read_pipe", "connect_write_pipe"])
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_pipes(run, moment, method, kind):
    def operation(loop, factory):
        if kind == "socket":
            near, far = socket.socketpair()
        else:
            read, write = os.pipe()
            near, far = os.fdopen(read, "rb", 0), os.fdopen(write, "wb", 0)
            if method == "connect_write_pipe":
                near, far = far, near
        return getattr(loop, method)(factory, near), far.close

    run(check(operation, moment))


@moments
def test_start_tls(run, moment, certificates):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, *LOCAL, ssl=certificates.server_context())
        address = server.sockets[0].getsockname()
        context = certificates.client_context()

        async def upgraded():
            # Not the factory's: a protocol below TLS is not told of the end.
            transport, protocol = await loop.create_connection(Recorder, *address)
            try:
                upgraded = await loop.start_tls(
                    transport, protocol, context, server_hostname="localhost"
                )
            except BaseException:
                transport.abort()
                raise
            return upgraded, protocol

        def operation(loop, factory):
            return upgraded(), nothing

        try:
            await check(operation, moment)
        finally:
            server.close()

    run(main())


leaves_it = pytest.mark.not_asyncio("the accepted socket is left to the collector")


@moments
@pytest.mark.parametrize(
    "method",
    [
        "sock_recv",
        "sock_recvfrom",
        pytest.param("sock_accept", marks=leaves_it),
        "sock_connect",
    ],
)
def test_socks(run, moment, method):
    """The socket stays the caller's, and is watched no longer."""

    def operation(loop, factory):
        kind = socket.SOCK_DGRAM if method == "sock_recvfrom" else socket.SOCK_STREAM
        sock, other = socket.socket(type=kind), socket.socket(type=kind)
        for each in (sock, other):
            each.setblocking(False)
        if method == "sock_recv":
            sock.close()
            other.close()
            sock, other = socket.socketpair()
            sock.setblocking(False)
        elif method != "sock_connect":
            sock.bind(LOCAL)
            if method == "sock_accept":
                sock.listen()

        def answer():
            if other.fileno() == -1:
                pass  # Cancelled before.
            elif method == "sock_accept":
                other.connect_ex(sock.getsockname())
            elif method == "sock_recv":
                other.send(b"x")
            elif method == "sock_recvfrom":
                other.sendto(b"x", sock.getsockname())

        async def waits():
            loop.call_soon(answer)
            if method == "sock_connect":
                await loop.sock_connect(sock, ("localhost", target.getsockname()[1]))
            elif method == "sock_accept":
                return await loop.sock_accept(sock)
            else:
                await getattr(loop, method)(sock, 10)
            return other

        def cleanup():
            assert not loop.remove_reader(sock)
            assert not loop.remove_writer(sock)
            sock.close()
            other.close()

        return waits(), cleanup

    with listener() as target:
        run(check(operation, moment))
