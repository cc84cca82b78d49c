"""create_server: every keyword and every error."""

from __future__ import annotations

import asyncio
import socket

import pytest
from support.protocols import Recorder
from support.sockets import has_ipv6, listener

ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on the loopback")


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def echo_once(address, data=b"hello"):
    """Connect, send, and return what comes back."""
    reader, writer = await asyncio.open_connection(*address[:2])
    writer.write(data)
    answer = await reader.readexactly(len(data))
    writer.close()
    await writer.wait_closed()
    return answer


def test_serve(run):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        assert isinstance(server, asyncio.AbstractServer)
        assert server.is_serving() and server.get_loop() is loop
        (sock,) = server.sockets
        assert isinstance(sock, asyncio.trsock.TransportSocket)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert sock.gettimeout() == 0.0
        for _ in range(3):
            assert await echo_once(sock.getsockname()) == b"hello"
        server.close()
        await server.wait_closed()

    run(main())


def test_one_protocol_for_each_connection(run):
    async def main():
        made = []

        def factory():
            made.append(Recorder())
            return made[-1]

        loop = asyncio.get_running_loop()
        async with await loop.create_server(factory, "127.0.0.1", 0) as server:
            clients = [socket.create_connection(server.sockets[0].getsockname()) for _ in range(5)]
            while len(made) < 5 or not all(protocol.calls for protocol in made):
                await asyncio.sleep(0.001)
            names = {client.getsockname() for client in clients}
            assert {p.transport.get_extra_info("peername") for p in made} == names
            for client in clients:
                client.close()
            for protocol in made:
                await protocol.lost

    run(main())


def test_accepted_sockets(run):
    async def main():
        loop = asyncio.get_running_loop()
        made = loop.create_future()

        class Protocol(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                made.set_result(self)

        async with await loop.create_server(Protocol, "127.0.0.1", 0) as server:
            with socket.create_connection(server.sockets[0].getsockname()) as client:
                protocol = await made
                transport = protocol.transport
                assert isinstance(transport, asyncio.Transport)
                raw = transport.get_extra_info("socket")
                assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert raw.gettimeout() == 0.0
                assert transport.get_extra_info("sockname") == client.getpeername()
                assert transport.get_extra_info("peername") == client.getsockname()
            await protocol.lost

    run(main())


def test_several_hosts(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with await loop.create_server(Echo, ["127.0.0.1", "127.0.0.2"], 0) as server:
            assert {sock.getsockname()[0] for sock in server.sockets} == {"127.0.0.1", "127.0.0.2"}
            for sock in server.sockets:
                assert await echo_once(sock.getsockname()) == b"hello"

    run(main())


@pytest.mark.parametrize("host", ["", None])
def test_all_interfaces(run, host):
    async def main():
        loop = asyncio.get_running_loop()
        async with await loop.create_server(Echo, host, 0) as server:
            families = {sock.family for sock in server.sockets}
            assert socket.AF_INET in families
            for sock in server.sockets:
                if sock.family == socket.AF_INET:
                    assert sock.getsockname()[0] == "0.0.0.0"
                    assert await echo_once(("127.0.0.1", sock.getsockname()[1])) == b"hello"

    run(main())


@ipv6
def test_ipv6_is_ipv6_only(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with await loop.create_server(Echo, "::1", 0) as server:
            (sock,) = server.sockets
            assert sock.family == socket.AF_INET6
            assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            assert await echo_once(sock.getsockname()) == b"hello"

    run(main())


def test_family_and_flags(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with await loop.create_server(
            Echo, "localhost", 0, family=socket.AF_INET, flags=socket.AI_PASSIVE
        ) as server:
            assert [sock.family for sock in server.sockets] == [socket.AF_INET]

    run(main())


def test_a_given_socket(run):
    async def main():
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        async with await loop.create_server(Echo, sock=sock) as server:
            assert server.sockets[0].fileno() == sock.fileno()
            assert await echo_once(sock.getsockname()) == b"hello"
        assert sock.fileno() == -1

    run(main())


def test_a_listening_socket(run):
    async def main():
        loop = asyncio.get_running_loop()
        sock = listener()
        async with await loop.create_server(Echo, sock=sock):
            assert await echo_once(sock.getsockname()) == b"hello"

    run(main())


def test_start_serving_later(run):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0, start_serving=False)
        assert not server.is_serving()
        address = server.sockets[0].getsockname()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        await server.start_serving()
        assert server.is_serving()
        await server.start_serving()
        assert await echo_once(address) == b"hello"
        server.close()
        await server.wait_closed()

    run(main())


def test_reuse_port(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with await loop.create_server(Echo, "127.0.0.1", 0, reuse_port=True) as server:
            address = server.sockets[0].getsockname()
            async with await loop.create_server(Echo, *address, reuse_port=True) as second:
                assert second.sockets[0].getsockname() == address
                assert server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
            assert await echo_once(address) == b"hello"

    run(main())


def test_reuse_address_off(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with await loop.create_server(Echo, "127.0.0.1", 0, reuse_address=False) as server:
            assert not server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)

    run(main())


@pytest.mark.asyncio_since((3, 13), "keep_alive")
def test_keep_alive(run):
    class Accepted(asyncio.Protocol):
        def connection_made(self, transport):
            made.put_nowait(transport)

    made = asyncio.Queue()

    async def main():
        loop = asyncio.get_running_loop()
        for wanted in (True, False, None):
            server = await loop.create_server(Accepted, "127.0.0.1", 0, keep_alive=wanted)
            async with server:
                (sock,) = server.sockets
                assert bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is bool(wanted)
                with socket.create_connection(sock.getsockname()):
                    transport = await made.get()
                # What it accepts inherits it.
                accepted = transport.get_extra_info("socket")
                assert bool(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is bool(
                    wanted
                )
                transport.abort()
        # As in asyncio, a given socket is left as it is.
        sock = listener()
        async with await loop.create_server(Echo, sock=sock, keep_alive=True):
            assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    run(main())


def test_port_in_use(run):
    async def main():
        loop = asyncio.get_running_loop()
        with listener() as sock:
            with pytest.raises(
                OSError, match="error while attempting to bind on address"
            ) as caught:
                await loop.create_server(Echo, *sock.getsockname())
            assert "address already in use" in str(caught.value).lower()

    run(main())


def test_an_address_that_is_not_ours(run):
    async def main():
        with pytest.raises(OSError):
            await asyncio.get_running_loop().create_server(Echo, "192.0.2.1", 0)

    run(main())


def test_argument_checks(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as sock, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            for keywords in (
                {"host": "127.0.0.1", "port": 0, "sock": sock},
                {},
                {"sock": datagram},
                {"host": "127.0.0.1", "port": 0, "ssl_handshake_timeout": 1},
                {"host": "127.0.0.1", "port": 0, "ssl_shutdown_timeout": 1},
            ):
                with pytest.raises(ValueError):
                    await loop.create_server(Echo, **keywords)
            with pytest.raises(TypeError):
                await loop.create_server(Echo, "127.0.0.1", 0, ssl=True)
            with pytest.raises(TypeError):
                await loop.create_server(Echo, "127.0.0.1", 0, nonsense=1)

    run(main())


# The standard loop leaves the accepted socket to the collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_factory_that_fails(run, reports):
    """One bad connection does not stop the server."""

    def factory():
        if not failed:
            failed.append(1)
            raise ZeroDivisionError
        return Echo()

    failed = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_debug(True)  # the standard loop keeps silent otherwise
        async with await loop.create_server(factory, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            with socket.create_connection(address):
                while not (contexts := reports.take()):
                    await asyncio.sleep(0.001)
            assert ZeroDivisionError in [type(context["exception"]) for context in contexts]
            assert await echo_once(address) == b"hello"

    run(main())


@pytest.mark.asyncio_since((3, 14), "it accepts without a backlog")
def test_no_backlog(run):
    """0 asks the kernel for the shortest queue; connections are accepted all the same."""

    async def main():
        loop = asyncio.get_running_loop()
        async with await loop.create_server(Echo, "127.0.0.1", 0, backlog=0) as server:
            assert await echo_once(server.sockets[0].getsockname()) == b"hello"

    run(main())


def test_a_burst_of_connections(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with await loop.create_server(Echo, "127.0.0.1", 0, backlog=100) as server:
            address = server.sockets[0].getsockname()
            answers = await asyncio.gather(*(echo_once(address, b"%d" % n) for n in range(100)))
            assert answers == [b"%d" % n for n in range(100)]

    run(main())


def test_a_large_echo(run):
    async def main():
        loop = asyncio.get_running_loop()
        data = bytes(range(256)) * 20_000  # 5 MB
        async with await loop.create_server(Echo, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())

            async def send():
                writer.write(data)
                await writer.drain()

            sending = asyncio.create_task(send())
            assert await reader.readexactly(len(data)) == data
            await sending
            writer.close()
            await writer.wait_closed()

    run(main())
