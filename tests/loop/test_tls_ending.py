"""How TLS connections end: in order, half, torn, and too slowly."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading

import pytest
from support.patience import SECONDS, SLACK
from support.protocols import Recorder
from support.sockets import listener


class BlockingPeer:
    """A TLS server in a thread, with the blocking module ssl: full control over its end."""

    def __init__(self, certificates, act):
        self._context = certificates.server_context()
        self._act = act
        self.error = None
        self._listener = listener()
        self._listener.setblocking(True)
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            raw, _ = self._listener.accept()
            raw.settimeout(SECONDS)
            with self._context.wrap_socket(
                raw, server_side=True, suppress_ragged_eofs=False
            ) as sock:
                self._act(sock)
        except Exception as exc:
            self.error = exc

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._thread.join()
        self._listener.close()


def connect(peer, certificates, factory=Recorder, **options):
    return asyncio.get_running_loop().create_connection(
        factory,
        *peer.address,
        ssl=certificates.client_context(),
        server_hostname="localhost",
        **options,
    )


def test_abort_drops_nothing_that_the_kernel_would_have_taken(run, certificates):
    seen = []

    def act(sock):
        seen.append(sock.recv(10))
        with pytest.raises((ssl.SSLError, OSError)):
            sock.recv(10)  # no goodbye

    async def main():
        with BlockingPeer(certificates, act) as peer:
            transport, protocol = await connect(peer, certificates)
            transport.write(b"last")
            transport.abort()
            assert await asyncio.wait_for(protocol.lost, SECONDS) is None
        assert peer.error is None
        assert seen == [b"last"]

    run(main())


def test_close_says_goodbye(run, certificates):
    """The peer sees a TLS end, not a torn connection."""
    seen = []

    def act(sock):
        seen.append(sock.recv(10))
        seen.append(sock.recv(10))  # with suppress_ragged_eofs=False a torn one would raise
        sock.unwrap()

    async def main():
        with BlockingPeer(certificates, act) as peer:
            transport, protocol = await connect(peer, certificates)
            transport.write(b"last")
            transport.close()
            assert await protocol.lost is None
        assert peer.error is None

    run(main())
    assert seen == [b"last", b""]


def test_the_peer_says_goodbye(run, certificates):
    def act(sock):
        sock.sendall(b"last")
        sock.unwrap()

    async def main():
        with BlockingPeer(certificates, act) as peer:
            transport, protocol = await connect(peer, certificates)
            assert await protocol.lost is None
            assert protocol.data == b"last"
            assert protocol.calls[-2:] == ["eof_received", "connection_lost"]
        assert peer.error is None

    run(main())


def test_an_answer_to_the_goodbye(run, certificates):
    """What is written in eof_received() leaves before our own end."""
    received = []

    class Polite(Recorder):
        def eof_received(self):
            super().eof_received()
            self.transport.write(b"good")
            self.transport.write(b"bye")

    def act(sock):
        sock.setblocking(False)
        try:
            sock.unwrap()
        except ssl.SSLWantReadError:
            pass  # said, and not answered yet
        sock.settimeout(SECONDS)
        with pytest.raises(ssl.SSLZeroReturnError):  # the end, in order
            while True:
                received.append(sock.recv(100))

    async def main():
        with BlockingPeer(certificates, act) as peer:
            _, protocol = await connect(peer, certificates, Polite)
            assert await protocol.lost is None
        assert peer.error is None

    run(main())
    assert b"".join(received) == b"goodbye"


def test_a_torn_record(run, certificates):
    """The connection ends in the middle of a record: nothing of it is delivered."""

    class Peer(BlockingPeer):
        def _run(self):
            raw, _ = self._listener.accept()
            raw.settimeout(SECONDS)
            sock = self._context.wrap_socket(raw, server_side=True)
            sock.sendall(b"whole")
            sock.recv(10)
            with socket.socket(fileno=sock.detach()) as plain:
                plain.sendall(b"\x17\x03\x03\x10\x00" + bytes(100))

    async def main():
        with Peer(certificates, None) as peer:
            transport, protocol = await connect(peer, certificates)
            assert await protocol.received(5) == b"whole"
            transport.write(b"go")
            await protocol.lost
            assert not protocol.data
            assert protocol.calls[-2:] == ["eof_received", "connection_lost"]

    run(main())


def test_a_torn_connection(run, certificates):
    """The peer closes the socket without a TLS end: data, the end, and it is over."""

    def act(sock):
        sock.sendall(b"last")

    class Peer(BlockingPeer):
        def _run(self):
            raw, _ = self._listener.accept()
            raw.settimeout(SECONDS)
            sock = self._context.wrap_socket(raw, server_side=True)
            sock.sendall(b"last")
            sock.recv(10)
            sock.close()

    async def main():
        with Peer(certificates, act) as peer:
            transport, protocol = await connect(peer, certificates)
            assert await protocol.received(4) == b"last"
            transport.write(b"go")
            await protocol.lost
            assert "eof_received" in protocol.calls
            assert transport.is_closing()

    run(main())


def test_abort(run, certificates):
    def act(sock):
        sock.recv(10)

    async def main():
        with BlockingPeer(certificates, act) as peer:
            transport, protocol = await connect(peer, certificates)
            transport.abort()
            assert transport.is_closing()
            assert await protocol.lost is None
            assert protocol.calls == ["connection_made", "connection_lost"]
        assert isinstance(peer.error, (ssl.SSLError, OSError))

    run(main())


def test_close_sends_what_is_buffered(run, certificates):
    received = []

    def act(sock):
        size = 0
        while part := sock.recv(1 << 16):
            size += len(part)
        received.append(size)
        sock.unwrap()

    async def main():
        with BlockingPeer(certificates, act) as peer:
            transport, protocol = await connect(peer, certificates)
            transport.write(bytes(20_000_000))
            transport.close()
            assert await protocol.lost is None
        assert peer.error is None

    run(main())
    assert received == [20_000_000]


def test_close_during_a_download(run, certificates):
    """A peer that goes on sending must not keep a closed connection alive."""
    released = threading.Event()

    def act(sock):
        try:
            while not released.is_set():
                sock.sendall(bytes(1 << 16))
        except OSError:
            pass

    async def main():
        loop = asyncio.get_running_loop()
        with BlockingPeer(certificates, act) as peer:
            transport, protocol = await connect(peer, certificates, ssl_shutdown_timeout=0.5)
            await protocol.received(100_000)
            before = loop.time()
            transport.close()
            await protocol.lost
            assert loop.time() - before < SLACK
            released.set()

    run(main())


def test_a_peer_that_never_answers_the_end(run, certificates, loop_name, reports):
    released = threading.Event()

    def act(sock):
        released.wait(SECONDS)

    async def main():
        with BlockingPeer(certificates, act) as peer:
            transport, protocol = await connect(peer, certificates, ssl_shutdown_timeout=0.02)
            transport.close()
            error = await protocol.lost
            assert error is None or isinstance(error, TimeoutError)
            released.set()

    run(main())
    reports.take()


def test_nothing_arrives_after_close(run, certificates):
    ready = threading.Event()

    def act(sock):
        ready.wait(10)
        sock.sendall(b"late")
        sock.recv(10)

    async def main():
        with BlockingPeer(certificates, act) as peer:
            transport, protocol = await connect(peer, certificates)
            transport.close()
            ready.set()
            await protocol.lost
            assert protocol.data == b""

    run(main())


def test_writing_after_close(run, certificates):
    def act(sock):
        sock.recv(10)
        sock.unwrap()

    async def main():
        with BlockingPeer(certificates, act) as peer:
            transport, protocol = await connect(peer, certificates)
            transport.close()
            transport.write(b"too late")
            await protocol.lost
            transport.write(b"much too late")

    run(main())


def test_a_corrupted_record(run, certificates, reports):
    """Nonsense instead of a record is a protocol error, told as the reason of the end."""

    class Peer(BlockingPeer):
        def _run(self):
            raw, _ = self._listener.accept()
            raw.settimeout(SECONDS)
            sock = self._context.wrap_socket(raw, server_side=True)
            sock.sendall(b"fine")
            sock.recv(10)
            with socket.socket(fileno=sock.detach()) as plain:
                plain.sendall(b"this is no TLS record" * 100)
                try:
                    while plain.recv(1000):
                        pass
                except OSError:
                    pass

    async def main():
        with Peer(certificates, None) as peer:
            transport, protocol = await connect(peer, certificates)
            assert await protocol.received(4) == b"fine"
            transport.write(b"go")
            error = await protocol.lost
            assert isinstance(error, ssl.SSLError)

    run(main())
    reports.take()
