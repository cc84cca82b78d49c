"""create_connection: every keyword, every error, and cancellation at each stage."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import weakref
from asyncio import staggered

import pytest
from support.cancelling import cancel_after
from support.patience import SECONDS
from support.protocols import Recorder
from support.sockets import has_ipv6, listener, refused_address, silent_address, tcp_pair

ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on the loopback")


def test_connect_and_talk(run):
    async def main():
        loop = asyncio.get_running_loop()
        with listener() as sock:
            transport, protocol = await loop.create_connection(Recorder, *sock.getsockname())
            assert protocol.calls == ["connection_made"] and protocol.transport is transport
            peer, _ = await loop.sock_accept(sock)
            with peer:
                transport.write(b"to the peer")
                assert await loop.sock_recv(peer, 100) == b"to the peer"
                await loop.sock_sendall(peer, b"from the peer")
                assert await protocol.received(13) == b"from the peer"
        assert await protocol.lost is None
        assert protocol.calls == [
            "connection_made",
            "data_received",
            "eof_received",
            "connection_lost",
        ]
        assert transport.is_closing()

    run(main())


def test_the_factory_is_called_once_the_socket_is_connected(run):
    async def main():
        loop = asyncio.get_running_loop()
        made = []

        def factory():
            made.append(Recorder())
            return made[-1]

        with refused_address() as address, pytest.raises(ConnectionRefusedError):
            await loop.create_connection(factory, *address)
        assert made == []
        with listener() as sock:
            transport, protocol = await loop.create_connection(factory, *sock.getsockname())
            assert made == [protocol]
            transport.abort()
            await protocol.lost

    run(main())


def test_a_factory_that_fails(run):
    async def main():
        loop = asyncio.get_running_loop()

        def factory():
            raise ZeroDivisionError

        near, far = tcp_pair()
        with near, far, pytest.raises(ZeroDivisionError):
            await loop.create_connection(factory, sock=near)

    run(main())


@pytest.mark.asyncio_since((3, 14, 8), "the socket is closed if there cannot be a transport")
def test_a_factory_that_fails_closes_the_socket(run):
    async def main():
        loop = asyncio.get_running_loop()

        def factory():
            raise ZeroDivisionError

        with listener() as sock:
            before = os.listdir("/proc/self/fd")
            with pytest.raises(ZeroDivisionError):
                await loop.create_connection(factory, *sock.getsockname())
            assert os.listdir("/proc/self/fd") == before

    run(main())


@pytest.mark.not_asyncio("old versions do not refuse it, new ones close it")
def test_a_socket_of_another_transport(run):
    """It is refused, and stays open for the transport whose it is."""

    async def main():
        loop = asyncio.get_running_loop()
        near, far = tcp_pair()
        with near:
            transport, protocol = await loop.create_connection(Recorder, sock=far)
            with pytest.raises(RuntimeError, match="is used by transport"):
                await loop.create_connection(Recorder, sock=far)
            near.send(b"hello")
            assert await protocol.received(5) == b"hello"
            transport.close()
            await protocol.lost

    run(main())


def test_refused(run):
    async def main():
        with refused_address() as (host, port):
            with pytest.raises(ConnectionRefusedError) as caught:
                await asyncio.get_running_loop().create_connection(Recorder, host, port)
            assert caught.value.errno
            assert f"'{host}', {port}" in str(caught.value)

    run(main())


def test_connection_made_that_fails(run, reports):
    """It is told to the handler, and the connection stands all the same."""

    class Broken(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            raise ZeroDivisionError

    async def main():
        loop = asyncio.get_running_loop()
        with listener() as sock:
            transport, protocol = await loop.create_connection(Broken, *sock.getsockname())
            peer, _ = await loop.sock_accept(sock)
            with peer:
                await loop.sock_sendall(peer, b"x")
                assert await protocol.received(1) == b"x"
            transport.abort()
            await protocol.lost

    run(main())
    assert isinstance(reports.take_one()["exception"], ZeroDivisionError)


def test_argument_checks(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as sock, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            wrong = [
                {"host": "127.0.0.1", "port": 1, "sock": sock},
                {},
                {"sock": datagram},
                {"host": "127.0.0.1", "port": 1, "server_hostname": "x"},
                {"host": "127.0.0.1", "port": 1, "ssl_handshake_timeout": 1},
                {"host": "127.0.0.1", "port": 1, "ssl_shutdown_timeout": 1},
                {"host": "", "port": 1, "ssl": True},
                {"sock": sock, "ssl": True},
            ]
            for keywords in wrong:
                with pytest.raises(ValueError):
                    await loop.create_connection(Recorder, **keywords)
            with pytest.raises(TypeError):
                await loop.create_connection(Recorder, "127.0.0.1", 1, nonsense=1)

    run(main())


def test_a_given_socket(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = tcp_pair()
        with far:
            near.setblocking(True)
            transport, protocol = await loop.create_connection(Recorder, sock=near)
            assert near.getblocking() is False
            assert transport.get_extra_info("socket").fileno() == near.fileno()
            await loop.sock_sendall(far, b"hello")
            assert await protocol.received(5) == b"hello"
            transport.close()
            await protocol.lost
            assert near.fileno() == -1

    run(main())


def test_a_unix_socket_as_given_socket(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with far:
            transport, protocol = await loop.create_connection(Recorder, sock=near)
            far.send(b"hello")
            assert await protocol.received(5) == b"hello"
            transport.close()
            await protocol.lost

    run(main())


def test_local_addr(run):
    async def main():
        loop = asyncio.get_running_loop()
        with listener() as sock:
            transport, protocol = await loop.create_connection(
                Recorder, *sock.getsockname(), local_addr=("127.0.0.2", 0)
            )
            assert transport.get_extra_info("sockname")[0] == "127.0.0.2"
            transport.abort()
            await protocol.lost

    run(main())


def test_local_addr_in_use(run):
    async def main():
        loop = asyncio.get_running_loop()
        with listener() as sock:
            with pytest.raises(OSError, match="error while attempting to bind on address"):
                await loop.create_connection(
                    Recorder, *sock.getsockname(), local_addr=sock.getsockname()
                )

    run(main())


@ipv6
def test_local_addr_of_another_family(run):
    async def main():
        loop = asyncio.get_running_loop()
        with listener() as sock, pytest.raises(OSError):
            await loop.create_connection(Recorder, *sock.getsockname(), local_addr=("::1", 0))

    run(main())


def test_a_name(run):
    async def main():
        loop = asyncio.get_running_loop()
        with listener() as sock:
            transport, protocol = await loop.create_connection(
                Recorder, "localhost", sock.getsockname()[1], family=socket.AF_INET
            )
            assert transport.get_extra_info("peername") == sock.getsockname()
            transport.abort()
            await protocol.lost

    run(main())


def test_a_name_that_does_not_exist(run):
    async def main():
        with pytest.raises(socket.gaierror):
            await asyncio.get_running_loop().create_connection(Recorder, "name.invalid", 80)

    run(main())


def test_a_name_without_addresses(run):
    async def main():
        loop = asyncio.get_running_loop()

        async def nothing(*args, **kwargs):
            return []

        loop.getaddrinfo = nothing
        with pytest.raises(OSError, match=r"getaddrinfo\(\) returned empty list"):
            await loop.create_connection(Recorder, "somewhere", 80)

    run(main())


@ipv6
def test_ipv6(run):
    async def main():
        loop = asyncio.get_running_loop()
        with listener(family=socket.AF_INET6) as sock:
            transport, protocol = await loop.create_connection(
                Recorder, "::1", sock.getsockname()[1]
            )
            assert transport.get_extra_info("peername")[:2] == sock.getsockname()[:2]
            assert len(transport.get_extra_info("peername")) == 4
            transport.abort()
            await protocol.lost

    run(main())


def test_port_as_text(run):
    async def main():
        loop = asyncio.get_running_loop()
        with listener() as sock:
            host, port = sock.getsockname()
            transport, protocol = await loop.create_connection(Recorder, host, str(port))
            transport.abort()
            await protocol.lost

    run(main())


def test_no_delay_is_on(run):
    async def main():
        loop = asyncio.get_running_loop()
        with listener() as sock:
            transport, protocol = await loop.create_connection(Recorder, *sock.getsockname())
            raw = transport.get_extra_info("socket")
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert raw.gettimeout() == 0.0
            transport.abort()
            await protocol.lost

    run(main())


def addresses(*pairs):
    """Make a replacement of getaddrinfo that returns these addresses, in this order."""

    async def getaddrinfo(host, port, *, family=0, type=0, proto=0, flags=0):
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, number, 0, 0) if ":" in address else (address, number),
            )
            for address, number in pairs
        ]

    return getaddrinfo


def test_the_next_address_after_a_refusal(run):
    async def main():
        loop = asyncio.get_running_loop()
        with refused_address() as refused, listener() as sock:
            loop.getaddrinfo = addresses(refused, sock.getsockname())
            for options in ({}, {"happy_eyeballs_delay": 5}, {"interleave": 1}):
                transport, protocol = await loop.create_connection(Recorder, "x", 1, **options)
                assert transport.get_extra_info("peername") == sock.getsockname()
                transport.abort()
                await protocol.lost

    run(main())


def test_several_failures(run):
    async def main():
        loop = asyncio.get_running_loop()
        with refused_address() as first, refused_address() as second:
            loop.getaddrinfo = addresses(first, second)
            with pytest.raises(OSError) as caught:
                await loop.create_connection(Recorder, "x", 1)
            # Different ports make different texts, and these are joined.
            assert str(caught.value).startswith("Multiple exceptions: ")
            loop.getaddrinfo = addresses(first, first)
            with pytest.raises(ConnectionRefusedError):
                await loop.create_connection(Recorder, "x", 1)

    run(main())


@pytest.mark.asyncio_since((3, 12), "all_errors")
def test_all_errors(run):
    async def main():
        loop = asyncio.get_running_loop()
        with refused_address() as first, refused_address() as second:
            loop.getaddrinfo = addresses(first, second)
            with pytest.raises(ExceptionGroup) as caught:
                await loop.create_connection(Recorder, "x", 1, all_errors=True)
            kinds = [type(error) for error in caught.value.exceptions]
            assert kinds == [ConnectionRefusedError] * 2
            loop.getaddrinfo = addresses(first)
            with pytest.raises(ExceptionGroup):
                await loop.create_connection(Recorder, "x", 1, all_errors=True)

    run(main())


@pytest.mark.asyncio_since((3, 12), "all_errors")
def test_all_errors_with_happy_eyeballs(run):
    async def main():
        loop = asyncio.get_running_loop()
        with refused_address() as first, refused_address() as second:
            loop.getaddrinfo = addresses(first, second)
            with pytest.raises(ExceptionGroup, match="create_connection failed") as caught:
                await loop.create_connection(
                    Recorder, "x", 1, all_errors=True, happy_eyeballs_delay=5
                )
            kinds = [type(error) for error in caught.value.exceptions]
            assert kinds == [ConnectionRefusedError] * 2

    run(main())


@pytest.mark.asyncio_since((3, 12), "all_errors")
def test_all_errors_of_what_connects(run):
    async def main():
        loop = asyncio.get_running_loop()
        with refused_address() as refused, listener() as sock:
            loop.getaddrinfo = addresses(refused, sock.getsockname())
            transport, protocol = await loop.create_connection(Recorder, "x", 1, all_errors=True)
            assert transport.get_extra_info("peername") == sock.getsockname()
            transport.abort()
            await protocol.lost

    run(main())


def test_the_error_holds_no_cycle(run):
    """Who drops it, drops it: the frames of the attempts do not live until the next collection."""

    async def main():
        loop = asyncio.get_running_loop()
        with refused_address() as first, refused_address() as second:
            loop.getaddrinfo = addresses(first, second)
            for options in ({}, {"happy_eyeballs_delay": 1}):
                gc.collect()
                gc.disable()
                try:
                    marker = Marker()
                    reference = weakref.ref(marker)
                    try:
                        await failing(loop, options, marker)
                    except OSError:
                        pass
                    del marker
                    await asyncio.sleep(0)
                    assert reference() is None
                finally:
                    gc.enable()

    async def failing(loop, options, marker):
        await loop.create_connection(Recorder, "x", 1, **options)

    class Marker:
        pass

    run(main())


def test_happy_eyeballs_starts_the_second_while_the_first_hangs(run):
    async def main():
        loop = asyncio.get_running_loop()
        with silent_address() as silent, listener() as sock:
            loop.getaddrinfo = addresses(silent, sock.getsockname())
            before = loop.time()
            transport, protocol = await loop.create_connection(
                Recorder, "x", 1, happy_eyeballs_delay=0.01
            )
            assert transport.get_extra_info("peername") == sock.getsockname()
            assert 0.01 <= loop.time() - before < SECONDS
            transport.abort()
            await protocol.lost

    run(main())


def test_happy_eyeballs_all_fail(run):
    async def main():
        loop = asyncio.get_running_loop()
        with refused_address() as first, refused_address() as second:
            loop.getaddrinfo = addresses(first, second)
            with pytest.raises(OSError):
                await loop.create_connection(Recorder, "x", 1, happy_eyeballs_delay=0.01)

    run(main())


@pytest.mark.not_asyncio("the attempts that are late may go on")
def test_happy_eyeballs_leaves_nothing_running(run):
    async def main():
        loop = asyncio.get_running_loop()
        with silent_address() as silent, listener() as sock:
            loop.getaddrinfo = addresses(silent, silent, sock.getsockname())
            transport, protocol = await loop.create_connection(
                Recorder, "x", 1, happy_eyeballs_delay=0.001
            )
            assert asyncio.all_tasks() == {asyncio.current_task()}
            transport.abort()
            await protocol.lost

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
@pytest.mark.asyncio_since((3, 14), "the race works with eager tasks")
def test_happy_eyeballs_with_eager_tasks(run):
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        with refused_address() as refused, silent_address() as silent, listener() as sock:
            loop.getaddrinfo = addresses(refused, silent, sock.getsockname())
            transport, protocol = await loop.create_connection(
                Recorder, "x", 1, happy_eyeballs_delay=0.01
            )
            assert transport.get_extra_info("peername") == sock.getsockname()
            transport.abort()
            await protocol.lost

    run(main())


def test_happy_eyeballs_with_a_race_of_ones_own(run, monkeypatch):
    """Whoever replaces asyncio's race is asked, and may find nobody."""

    async def main():
        loop = asyncio.get_running_loop()

        async def the_last(attempts, delay, *, loop=None):
            *_, last = attempts
            asked.append((delay, loop))
            return await last(), 1, []

        async def nobody(attempts, delay, *, loop=None):
            return None, None, []

        asked = []
        with listener() as first, listener() as last:
            loop.getaddrinfo = addresses(first.getsockname(), last.getsockname())
            monkeypatch.setattr(staggered, "staggered_race", the_last)
            transport, protocol = await loop.create_connection(
                Recorder, "x", 1, happy_eyeballs_delay=7
            )
            assert transport.get_extra_info("peername") == last.getsockname()
            assert asked == [(7, loop)]
            transport.abort()
            await protocol.lost
            monkeypatch.setattr(staggered, "staggered_race", nobody)
            # Before 3.14 asyncio looks for the first of no errors.
            with pytest.raises((TimeoutError, IndexError)):
                await loop.create_connection(Recorder, "x", 1, happy_eyeballs_delay=7)

    run(main())


def test_happy_eyeballs_checks_its_arguments(run, certificates):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            for host, keywords in (
                ("127.0.0.1", {"sock": sock}),
                ("127.0.0.1", {"server_hostname": "x"}),
                ("127.0.0.1", {"ssl_handshake_timeout": 1}),
                ("127.0.0.1", {"ssl_shutdown_timeout": 1}),
                (None, {"ssl": certificates.client_context()}),
            ):
                with pytest.raises(ValueError):
                    await loop.create_connection(
                        Recorder, host, 1, happy_eyeballs_delay=1, **keywords
                    )
        loop.getaddrinfo = addresses()
        with pytest.raises(OSError, match="returned empty list"):
            await loop.create_connection(Recorder, "x", 1, happy_eyeballs_delay=1)

    run(main())


def test_happy_eyeballs_with_tls_and_a_local_address(run, certificates):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            Recorder, "127.0.0.1", 0, ssl=certificates.server_context()
        )
        async with server:
            transport, protocol = await loop.create_connection(
                Recorder,
                "localhost",
                server.sockets[0].getsockname()[1],
                ssl=certificates.client_context(),
                local_addr=("127.0.0.1", 0),
                family=socket.AF_INET,
                happy_eyeballs_delay=1,
            )
            assert transport.get_extra_info("ssl_object").server_hostname == "localhost"
            transport.close()
            await protocol.lost

    run(main())


@ipv6
def test_interleave_changes_the_order(run):
    async def main():
        loop = asyncio.get_running_loop()
        tried = []

        async def sock_connect(sock, address):
            tried.append(address[0])
            raise OSError("not today")

        loop.sock_connect = sock_connect
        loop.getaddrinfo = addresses(("::1", 1), ("::1", 2), ("127.0.0.1", 3), ("127.0.0.1", 4))
        with pytest.raises(OSError):
            await loop.create_connection(Recorder, "x", 1, interleave=1)
        assert tried == ["::1", "127.0.0.1", "::1", "127.0.0.1"]

    run(main())


def test_cancelled_while_connecting(run):
    async def main():
        loop = asyncio.get_running_loop()
        with silent_address() as silent:
            before = set(os.listdir("/proc/self/fd"))
            task = asyncio.create_task(loop.create_connection(Recorder, *silent))
            for _ in range(5):
                await asyncio.sleep(0)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            del task
            await asyncio.sleep(0)
            assert set(os.listdir("/proc/self/fd")) == before

    run(main())


def test_cancelled_while_looking_up(run):
    async def main():
        loop = asyncio.get_running_loop()
        never = loop.create_future()

        async def getaddrinfo(*args, **kwargs):
            return await never

        loop.getaddrinfo = getaddrinfo
        task = asyncio.create_task(loop.create_connection(Recorder, "x", 1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert never.cancelled()

    run(main())


@pytest.mark.parametrize("turns", range(12))
def test_cancelled_after_any_number_of_turns(run, turns):
    """Whatever the stage, nothing stays open and the peer sees an end."""

    async def main():
        loop = asyncio.get_running_loop()
        with listener() as sock:
            before = set(os.listdir("/proc/self/fd"))
            await cancel_after(
                turns, lambda make: loop.create_connection(make, *sock.getsockname()), Recorder
            )
            for _ in range(3):
                await asyncio.sleep(0)
            assert set(os.listdir("/proc/self/fd")) == before

    run(main())


def test_a_timeout_while_connecting(run):
    async def main():
        with silent_address() as silent:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005):
                    await asyncio.get_running_loop().create_connection(Recorder, *silent)

    run(main())


def test_many_at_once(run):
    async def main():
        loop = asyncio.get_running_loop()
        with listener(300) as sock:
            made = await asyncio.gather(
                *(loop.create_connection(Recorder, *sock.getsockname()) for _ in range(200))
            )
            assert len({transport.get_extra_info("sockname") for transport, _ in made}) == 200
            for transport, _ in made:
                transport.abort()
            await asyncio.gather(*(protocol.lost for _, protocol in made))

    run(main())


def test_connect_accepted_socket(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = tcp_pair()
        with near:
            transport, protocol = await loop.connect_accepted_socket(Recorder, far)
            assert isinstance(transport, asyncio.Transport)
            near.send(b"hello")
            assert await protocol.received(5) == b"hello"
            transport.write(b"answer")
            near.settimeout(SECONDS)
            assert await asyncio.to_thread(near.recv, 100) == b"answer"
            transport.close()
            assert await protocol.lost is None
        with socket.socket(type=socket.SOCK_DGRAM) as datagram, pytest.raises(ValueError):
            await loop.connect_accepted_socket(Recorder, datagram)
        with socket.socket() as plain, pytest.raises(ValueError):
            await loop.connect_accepted_socket(Recorder, plain, ssl_handshake_timeout=1)

    run(main())
