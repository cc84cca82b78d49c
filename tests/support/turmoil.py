"""Random use of a loop in which every byte is checked: for tests/stress and tests/nightly.

Descriptors are opened, closed and cancelled in the middle all the time, so that their numbers are
used again at once. If the loop closed a number twice or kept a stale registration, somebody's
bytes would reach somebody else or an end would come unasked; every activity checks that it gets
its own bytes and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from support.certificates import Certificates
from support.patience import SECONDS
from support.sockets import tcp_pair

# What a disturbed activity may end with. Nothing else may come out of one.
EXPECTED = (asyncio.CancelledError, ConnectionError, TimeoutError, ssl.SSLError, EOFError)


class Mixed(AssertionError):
    """Bytes of one connection were seen on another."""


class Deliberate(Exception):
    """Raised by activities on purpose; must arrive where exceptions go."""


class Echo(asyncio.Protocol):
    """Sends every line back, with a failure now and then."""

    def __init__(self, turmoil: Turmoil) -> None:
        self._turmoil = turmoil

    def connection_made(self, transport: Any) -> None:
        # Not when it is made: a TLS handshake that fails never gets here.
        self._turmoil.served += 1
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._turmoil.random.random() < self._turmoil.failures:
            raise Deliberate
        self._transport.write(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._turmoil.served -= 1


class Turmoil:
    """A server and the activities around it, on the running loop.

    Attributes:
        random: Where all choices come from.
        failures: How often the server's protocol raises.
        done: How often each activity ran to its end.
        disturbed: How often it was cancelled or lost its connection.
    """

    def __init__(self, seed: int, certificates: Certificates, failures: float = 0.0) -> None:
        self.random = random.Random(seed)
        self.failures = failures
        self.served = 0
        self.done: Counter[str] = Counter()
        self.disturbed: Counter[str] = Counter()
        self._certificates = certificates
        self._server_context = certificates.server_context()
        self._client_context = certificates.client_context()
        self._tokens = 0
        self._children: set[asyncio.Task[None]] = set()
        self._canaries: list[tuple[int, int, os.stat_result, os.stat_result]] = []
        self._activities: list[Callable[[], Awaitable[None]]] = [
            self.connection,
            self.connection,
            self.tls_connection,
            self.upgraded_connection,
            self.abandoned_connect,
            self.plain_sockets,
            self.reader,
            self.pipe,
            self.abandoned_pipe,
            self.datagrams,
            self.short_server,
            self.child,
            self.thread,
        ]

    async def __aenter__(self) -> Turmoil:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Echo(self), "127.0.0.1", 0, backlog=500)
        self._tls_server = await loop.create_server(
            lambda: Echo(self), "127.0.0.1", 0, ssl=self._server_context, backlog=500
        )
        self._address = self._server.sockets[0].getsockname()
        self._tls_address = self._tls_server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        self._tls_server.close()
        while self._canaries:
            self._check_canary()
        if self._children:
            for child in (await asyncio.wait(self._children))[0]:
                if not child.cancelled():
                    child.result()
        # The clients are gone; the server's side learns of it.
        for _ in range(2000):
            if not self.served:
                break
            await asyncio.sleep(0.005)
        assert not self.served, f"{self.served} connections of the server were never lost"

    async def run(self, activities: int, at_once: int) -> None:
        """Start so many activities, so many at a time, and disturb some of them."""
        running: set[asyncio.Task[None]] = set()
        try:
            for _ in range(activities):
                await self._start(running, at_once)
            while running:
                await self._reap(running)
        finally:
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)

    async def run_for(self, seconds: float, at_once: int) -> None:
        """Do the same for a time."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            await self.run(at_once * 5, at_once)

    async def _start(self, running: set[asyncio.Task[None]], at_once: int) -> None:
        while len(running) >= at_once:
            await self._reap(running)
        activity = self.random.choice(self._activities)
        name = getattr(activity, "__name__", "?")
        running.add(asyncio.create_task(self._guarded(activity), name=name))
        if self.random.random() < 0.1:
            self._make_canary()
        if self.random.random() < 0.1:
            self._check_canary()
        if running and self.random.random() < 0.3:
            self.random.choice(sorted(running, key=lambda task: task.get_name())).cancel()
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)

    async def _reap(self, running: set[asyncio.Task[None]]) -> None:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            running.discard(task)
            if not task.cancelled():
                task.result()

    async def _guarded(self, activity: Callable[[], Awaitable[None]]) -> None:
        name = getattr(activity, "__name__", "?")
        try:
            async with asyncio.timeout(SECONDS):
                await activity()
        except TimeoutError as exc:
            raise AssertionError(f"{name} hung") from exc
        except EXPECTED:
            self.disturbed[name] += 1
            raise asyncio.CancelledError from None
        self.done[name] += 1

    def _token(self) -> bytes:
        """Bytes that nobody else sends, long enough not to come about by chance."""
        self._tokens += 1
        return (
            b"<%d:%d>"
            % (self._tokens, self.random.getrandbits(64))
            * self.random.choice((1, 1, 10, 1000))
        )

    # -- canaries: descriptors that nobody but us may touch -------------------------------------

    def _make_canary(self) -> None:
        near, far = os.pipe()
        self._canaries.append((near, far, os.fstat(near), os.fstat(far)))

    def _check_canary(self) -> None:
        if not self._canaries:
            return
        index = self.random.randrange(len(self._canaries))
        near, far, *stats = self._canaries.pop(index)
        for descriptor, before in zip((near, far), stats, strict=True):
            after = os.fstat(descriptor)
            if (after.st_dev, after.st_ino) != (before.st_dev, before.st_ino):
                raise Mixed(f"descriptor {descriptor} is another file now")
        token = self._token()[:4000]
        os.write(far, token)
        if os.read(near, 4096) != token:
            raise Mixed("a pipe of ours carried the bytes of another")
        os.close(near)
        os.close(far)

    # -- activities -----------------------------------------------------------------------------

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send tokens and see that exactly these come back; end in one of several ways."""
        try:
            for _ in range(self.random.randrange(4)):
                token = self._token()
                writer.write(token)
                received = await reader.readexactly(len(token))
                if received != token:
                    raise Mixed(f"sent {token[:40]!r}, received {received[:40]!r}")
            if self.random.random() < 0.3:
                writer.write(self._token())  # and leave before the answer
        finally:
            if self.random.random() < 0.5:
                writer.transport.abort()
            else:
                writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    async def connection(self) -> None:
        """A TCP connection to the echo server."""
        await self._talk(*await asyncio.open_connection(*self._address))

    async def tls_connection(self) -> None:
        """The same over TLS."""
        await self._talk(
            *await asyncio.open_connection(
                *self._tls_address, ssl=self._client_context, server_hostname="localhost"
            )
        )

    async def upgraded_connection(self) -> None:
        """A pair of sockets that start plain and become encrypted."""
        loop = asyncio.get_running_loop()
        near, far = tcp_pair()
        near.setblocking(False)
        served = asyncio.create_task(
            loop.connect_accepted_socket(lambda: Echo(self), far, ssl=self._server_context)
        )
        try:
            reader, writer = await asyncio.open_connection(sock=near)
            try:
                await writer.start_tls(self._client_context, server_hostname="localhost")
            except BaseException:
                writer.transport.abort()
                raise
            await self._talk(reader, writer)
        finally:
            served.cancel()
            with contextlib.suppress(*EXPECTED):
                transport, _ = await served
                transport.abort()

    async def abandoned_connect(self) -> None:
        """A connect that is cancelled after a random number of turns."""
        task = asyncio.create_task(asyncio.open_connection(*self._address))
        try:
            for _ in range(self.random.randrange(6)):
                await asyncio.sleep(0)
        finally:
            task.cancel()
        try:
            _, writer = await task
        except asyncio.CancelledError:
            return
        writer.transport.abort()

    async def plain_sockets(self) -> None:
        """Sockets of our own through sock_recv and sock_sendall."""
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        with near, far:
            token = self._token()
            sending = asyncio.create_task(loop.sock_sendall(near, token))
            try:
                received = b""
                while len(received) < len(token):
                    received += await loop.sock_recv(far, 65536)
                if received != token:
                    raise Mixed("plain sockets received the bytes of others")
            finally:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await sending

    async def reader(self) -> None:
        """A descriptor with add_reader, closed before or after its removal."""
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        number = far.fileno()
        token = self._token()[:1000]
        received: asyncio.Future[bytes] = loop.create_future()

        def readable() -> None:
            data = far.recv(2000)
            if not received.done():
                received.set_result(data)

        loop.add_reader(far, readable)
        try:
            near.send(token)
            if await received != token:
                raise Mixed("a reader got the bytes of others")
        finally:
            if self.random.random() < 0.5:
                loop.remove_reader(number)
                far.close()
            else:
                far.close()
                loop.remove_reader(number)
            near.close()

    async def pipe(self) -> None:
        """A pipe as two transports."""
        loop = asyncio.get_running_loop()
        near, far = os.pipe()
        read_file, write_file = os.fdopen(near, "rb", 0), os.fdopen(far, "wb", 0)
        reader = asyncio.StreamReader()
        transports: list[Any] = []
        try:
            transport: Any
            transport, _ = await loop.connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), read_file
            )
            transports.append(transport)
            transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, write_file)
            transports.append(transport)
            token = self._token()
            transport.write(token)
            transport.close()
            received = await reader.read()
            if received != token:
                raise Mixed("a pipe carried the bytes of others")
        finally:
            for transport in transports:
                transport.close()
            if len(transports) < 2:
                write_file.close()
            if not transports:
                read_file.close()

    async def abandoned_pipe(self) -> None:
        """A pipe whose connection is cancelled after a random number of turns."""
        loop = asyncio.get_running_loop()
        near, far = os.pipe()
        read_file = os.fdopen(near, "rb", 0)
        task = asyncio.create_task(loop.connect_read_pipe(asyncio.Protocol, read_file))
        try:
            for _ in range(self.random.randrange(4)):
                await asyncio.sleep(0)
        finally:
            task.cancel()
            os.close(far)
            try:
                transport, _ = await task
                transport.close()
            except asyncio.CancelledError:
                read_file.close()

    async def datagrams(self) -> None:
        """A datagram endpoint that talks to itself."""
        loop = asyncio.get_running_loop()
        received: asyncio.Future[bytes] = loop.create_future()

        class Protocol(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                if not received.done():
                    received.set_result(data)

        transport, _ = await loop.create_datagram_endpoint(Protocol, local_addr=("127.0.0.1", 0))
        try:
            token = self._token()[:5000]
            transport.sendto(token, transport.get_extra_info("sockname"))
            if await received != token:
                raise Mixed("an endpoint got the datagram of another")
        finally:
            transport.close()

    async def short_server(self) -> None:
        """A server that comes and goes."""
        loop = asyncio.get_running_loop()
        # asyncio's create_server, cancelled in its last step, leaves a server that nobody knows.
        making = asyncio.create_task(loop.create_server(lambda: Echo(self), "127.0.0.1", 0))
        try:
            server = await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(lambda task: task.result().close())
            raise
        try:
            await self._talk(*await asyncio.open_connection(*server.sockets[0].getsockname()))
        finally:
            server.close()

    async def child(self) -> None:
        """A child process; seldom, because starting one costs more than all the rest."""
        if self.random.random() > 0.2:
            return
        # Whoever is cancelled a second time, while it waits for the end of its child, leaves the
        # child behind: this task is cancelled once.
        child = asyncio.create_task(self._child())
        self._children.add(child)
        try:
            await asyncio.shield(child)
        except asyncio.CancelledError:
            child.cancel()
            raise
        self._children.discard(child)

    async def _child(self) -> None:
        process = await asyncio.create_subprocess_exec(
            "cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            token = self._token()
            out, _ = await process.communicate(token)
            if out != token:
                raise Mixed("a child gave back the bytes of others")
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def thread(self) -> None:
        """A function in a thread, and a call back from it."""
        loop = asyncio.get_running_loop()
        called = asyncio.Event()
        token = self._token()

        def work() -> bytes:
            loop.call_soon_threadsafe(called.set)
            return token

        if await asyncio.to_thread(work) is not token:
            raise Mixed("a thread returned the result of another")
        await called.wait()
