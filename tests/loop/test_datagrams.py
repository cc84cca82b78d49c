"""create_datagram_endpoint and datagram transports."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

import pytest
from support.protocols import DatagramRecorder
from support.sockets import has_ipv6

ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on the loopback")
LOCAL = ("127.0.0.1", 0)


async def endpoint(**options):
    """Make an endpoint with a recording protocol."""
    loop = asyncio.get_running_loop()
    return await loop.create_datagram_endpoint(DatagramRecorder, **options)


async def close(*pairs):
    for transport, protocol in pairs:
        transport.close()
        assert await protocol.lost is None


def test_to_and_fro(run):
    async def main():
        server = await endpoint(local_addr=LOCAL)
        client = await endpoint(local_addr=LOCAL)
        address = server[0].get_extra_info("sockname")
        client[0].sendto(b"question", address)
        data, sender = await server[1].received.get()
        assert data == b"question" and type(data) is bytes
        assert sender == client[0].get_extra_info("sockname")
        server[0].sendto(b"answer", sender)
        assert await client[1].received.get() == (b"answer", address)
        await close(server, client)
        assert server[1].calls == ["connection_made", "connection_lost"]

    run(main())


def test_types_and_extra_info(run):
    async def main():
        transport, protocol = await endpoint(local_addr=LOCAL)
        assert isinstance(transport, asyncio.BaseTransport)
        assert transport.get_protocol() is protocol
        raw = transport.get_extra_info("socket")
        assert isinstance(raw, asyncio.trsock.TransportSocket)
        assert raw.type == socket.SOCK_DGRAM
        assert transport.get_extra_info("peername") is None
        assert transport.get_extra_info("nonsense", 1) == 1
        assert not transport.is_closing()
        assert transport.get_write_buffer_size() == 0
        assert "Datagram" in repr(transport)
        transport.close()
        assert transport.is_closing()
        await protocol.lost

    run(main())


@pytest.mark.asyncio_since((3, 12), "an asyncio.DatagramTransport")
def test_the_type(run):
    async def main():
        transport, protocol = await endpoint(local_addr=LOCAL)
        assert isinstance(transport, asyncio.DatagramTransport)
        await close((transport, protocol))

    run(main())


@pytest.mark.asyncio_since((3, 13), "empty datagrams")
def test_sending_an_empty_datagram(run):
    async def main():
        server = await endpoint(local_addr=LOCAL)
        client = await endpoint(remote_addr=server[0].get_extra_info("sockname"))
        client[0].sendto(b"")
        assert (await server[1].received.get())[0] == b""
        client[0].sendto(b"after")
        assert (await server[1].received.get())[0] == b"after"
        await close(server, client)

    run(main())


@pytest.mark.asyncio_since((3, 13), "empty datagrams")
@pytest.mark.parametrize("data", [b"", bytearray(), memoryview(b"")], ids=repr)
def test_an_empty_datagram_to_an_address(run, data):
    async def main():
        server = await endpoint(local_addr=LOCAL)
        client = await endpoint(local_addr=LOCAL)
        client[0].sendto(data, server[0].get_extra_info("sockname"))
        assert (await server[1].received.get())[0] == b""
        await close(server, client)

    run(main())


@pytest.mark.asyncio_since((3, 13), "empty datagrams")
def test_empty_datagrams_wait_their_turn(run, socket_path):
    """They wait for the socket as others do, count, and ask the protocol to pause."""

    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol, plain = await to_a_plain_socket(socket_path)
        with plain:
            transport.set_write_buffer_limits(high=100)
            count = 0
            while "pause_writing" not in protocol.calls:
                transport.sendto(b"")
                count += 1
            assert transport.get_write_buffer_size() > 100
            transport.sendto(b"last")
            for _ in range(count):
                assert await loop.sock_recv(plain, 10) == b""
            assert await loop.sock_recv(plain, 10) == b"last"
        transport.close()
        await protocol.lost

    run(main())


def test_receiving_an_empty_datagram(run):
    async def main():
        server = await endpoint(local_addr=LOCAL)
        with socket.socket(type=socket.SOCK_DGRAM) as plain:
            plain.bind(LOCAL)
            plain.sendto(b"", server[0].get_extra_info("sockname"))
            assert await server[1].received.get() == (b"", plain.getsockname())
        await close(server)

    run(main())


def test_many_datagrams_keep_order(run):
    async def main():
        server = await endpoint(local_addr=LOCAL)
        client = await endpoint(remote_addr=server[0].get_extra_info("sockname"))
        for start in range(0, 1000, 50):
            for number in range(start, start + 50):
                client[0].sendto(b"%d" % number)
            for number in range(start, start + 50):
                assert (await server[1].received.get())[0] == b"%d" % number
        await close(server, client)

    run(main())


@pytest.mark.parametrize("size", [1, 1400, 65507])
def test_sizes(run, size):
    async def main():
        server = await endpoint(local_addr=LOCAL)
        client = await endpoint(remote_addr=server[0].get_extra_info("sockname"))
        data = os.urandom(size)
        client[0].sendto(data)
        assert (await server[1].received.get())[0] == data
        await close(server, client)

    run(main())


def test_a_datagram_that_is_too_large(run):
    async def main():
        server = await endpoint(local_addr=LOCAL)
        client = await endpoint(remote_addr=server[0].get_extra_info("sockname"))
        client[0].sendto(b"x" * 70_000)
        error = await client[1].errors.get()
        assert error.errno == errno.EMSGSIZE
        client[0].sendto(b"goes on")
        assert (await server[1].received.get())[0] == b"goes on"
        await close(server, client)

    run(main())


def test_a_connected_endpoint(run):
    async def main():
        server = await endpoint(local_addr=LOCAL)
        address = server[0].get_extra_info("sockname")
        transport, protocol = await endpoint(remote_addr=address)
        assert transport.get_extra_info("peername") == address
        transport.sendto(b"without")
        transport.sendto(b"with", address)
        assert (await server[1].received.get())[0] == b"without"
        assert (await server[1].received.get())[0] == b"with"
        with pytest.raises(ValueError, match="Invalid address: must be None or"):
            transport.sendto(b"x", ("127.0.0.1", 9))
        await close(server, (transport, protocol))

    run(main())


def test_nobody_listens(run):
    async def main():
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.bind(LOCAL)
            address = sock.getsockname()
            # Bound to a peer of its own, it refuses what others send.
            sock.connect(("127.0.0.1", 9))
            transport, protocol = await endpoint(remote_addr=address)
            transport.sendto(b"x")
            error = await protocol.errors.get()
            assert isinstance(error, ConnectionRefusedError)
            transport.sendto(b"still open")
            assert isinstance(await protocol.errors.get(), ConnectionRefusedError)
            assert not transport.is_closing()
            await close((transport, protocol))

    run(main())


def test_an_error_from_an_unconnected_endpoint(run):
    """What the system refuses to send is told at once; what nobody wants is not told."""

    async def main():
        transport, protocol = await endpoint(local_addr=LOCAL)
        transport.sendto(b"x" * 70_000, ("127.0.0.1", 9))
        assert (await protocol.errors.get()).errno == errno.EMSGSIZE
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.bind(LOCAL)
            nobody = sock.getsockname()
        transport.sendto(b"x", nobody)
        transport.sendto(b"x", nobody)
        await asyncio.sleep(0.001)
        assert protocol.errors.empty()
        await close((transport, protocol))

    run(main())


def test_an_error_that_closes_the_endpoint(run):
    class Closing(DatagramRecorder):
        def error_received(self, exc):
            super().error_received(exc)
            self.transport.close()

    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.bind(LOCAL)
            sock.connect(("127.0.0.1", 9))
            transport, protocol = await loop.create_datagram_endpoint(
                Closing, remote_addr=sock.getsockname()
            )
            transport.sendto(b"x")
            assert isinstance(await protocol.errors.get(), ConnectionRefusedError)
            assert await protocol.lost is None
            assert protocol.calls == ["connection_made", "connection_lost"]

    run(main())


def test_an_error_received_that_fails(run, reports):
    class Broken(DatagramRecorder):
        def error_received(self, exc):
            raise ZeroDivisionError

    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.bind(LOCAL)
            sock.connect(("127.0.0.1", 9))
            transport, protocol = await loop.create_datagram_endpoint(
                Broken, remote_addr=sock.getsockname()
            )
            transport.sendto(b"x")
            while not (contexts := reports.take()):
                await asyncio.sleep(0)
            assert isinstance(contexts[0]["exception"], ZeroDivisionError)
            transport.close()
            await protocol.lost

    run(main())


def test_kinds_of_data(run):
    async def main():
        server = await endpoint(local_addr=LOCAL)
        client = await endpoint(remote_addr=server[0].get_extra_info("sockname"))
        for data in (b"one", bytearray(b"two"), memoryview(b"three")):
            client[0].sendto(data)
            assert (await server[1].received.get())[0] == bytes(data)
        for wrong in ("text", 5, None):
            with pytest.raises(TypeError, match="data argument must be a bytes-like object"):
                client[0].sendto(wrong)
        await close(server, client)

    run(main())


def test_broadcast(run):
    async def main():
        transport, protocol = await endpoint(local_addr=LOCAL, allow_broadcast=True)
        raw = transport.get_extra_info("socket")
        assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
        await close((transport, protocol))
        transport, protocol = await endpoint(local_addr=LOCAL)
        raw = transport.get_extra_info("socket")
        assert not raw.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
        await close((transport, protocol))

    run(main())


def test_broadcasting(run):
    """To the broadcast address of the loopback network."""

    async def main():
        server = await endpoint(local_addr=("0.0.0.0", 0))
        address = "127.255.255.255", server[0].get_extra_info("sockname")[1]
        allowed = await endpoint(local_addr=LOCAL, allow_broadcast=True)
        allowed[0].sendto(b"to all", address)
        assert await server[1].received.get() == (b"to all", allowed[0].get_extra_info("sockname"))
        # With a remote address the socket is not connected: answers come from another one.
        remote = await endpoint(remote_addr=address, allow_broadcast=True)
        assert remote[0].get_extra_info("peername") is None
        remote[0].sendto(b"to all again")
        data, sender = await server[1].received.get()
        assert data == b"to all again"
        server[0].sendto(b"answer", ("127.0.0.1", sender[1]))
        assert (await remote[1].received.get())[0] == b"answer"
        with pytest.raises(ValueError, match="Invalid address: must be None or"):
            remote[0].sendto(b"x", LOCAL)
        forbidden = await endpoint(local_addr=LOCAL)
        forbidden[0].sendto(b"x", address)
        assert isinstance(await forbidden[1].errors.get(), PermissionError)
        await close(server, allowed, remote, forbidden)

    run(main())


def test_reuse_port(run):
    async def main():
        first = await endpoint(local_addr=LOCAL, reuse_port=True)
        address = first[0].get_extra_info("sockname")
        second = await endpoint(local_addr=address, reuse_port=True)
        assert second[0].get_extra_info("sockname") == address
        with pytest.raises(OSError):
            await endpoint(local_addr=address)
        await close(first, second)

    run(main())


@ipv6
def test_ipv6(run):
    async def main():
        server = await endpoint(local_addr=("::1", 0))
        client = await endpoint(remote_addr=server[0].get_extra_info("sockname")[:2])
        client[0].sendto(b"x")
        data, sender = await server[1].received.get()
        assert data == b"x" and len(sender) == 4
        server[0].sendto(b"y", sender)
        assert (await client[1].received.get())[0] == b"y"
        await close(server, client)

    run(main())


def test_family_alone(run):
    async def main():
        transport, protocol = await endpoint(family=socket.AF_INET)
        raw = transport.get_extra_info("socket")
        assert raw.family == socket.AF_INET
        await close((transport, protocol))

    run(main())


def test_a_given_socket(run):
    async def main():
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(LOCAL)
        transport, protocol = await endpoint(sock=sock)
        assert transport.get_extra_info("sockname") == sock.getsockname()
        with socket.socket(type=socket.SOCK_DGRAM) as plain:
            plain.sendto(b"x", sock.getsockname())
        assert (await protocol.received.get())[0] == b"x"
        await close((transport, protocol))
        assert sock.fileno() == -1

    run(main())


def test_unix_datagrams(run, socket_path):
    async def main():
        server = await endpoint(local_addr=socket_path, family=socket.AF_UNIX)
        client = await endpoint(remote_addr=socket_path, family=socket.AF_UNIX)
        client[0].sendto(b"hello")
        assert (await server[1].received.get())[0] == b"hello"
        await close(server, client)

    run(main())


@pytest.mark.not_asyncio("only uvloop does")
def test_one_end_of_a_socket_pair(run):
    async def main():
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with far:
            transport, protocol = await endpoint(sock=near)
            far.send(b"there")
            assert await protocol.received.get() == (b"there", None)
            transport.sendto(b"back")
            assert far.recv(100) == b"back"
            await close((transport, protocol))

    run(main())


def test_argument_checks(run, socket_path):
    async def main():
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as sock:
            for keywords in (
                {},
                {"sock": stream},
                {"sock": sock, "local_addr": LOCAL},
                {"sock": sock, "remote_addr": ("127.0.0.1", 1)},
                {"sock": sock, "family": socket.AF_INET},
                {"sock": sock, "allow_broadcast": True},
                {"sock": sock, "reuse_port": True},
            ):
                with pytest.raises(ValueError):
                    await endpoint(**keywords)
            with pytest.raises(TypeError):
                await endpoint(local_addr="text")
            with pytest.raises(TypeError):
                await endpoint(local_addr=("127.0.0.1",))
            with pytest.raises(TypeError):
                await endpoint(local_addr=5, family=socket.AF_UNIX)

    run(main())


def test_an_address_in_use(run):
    async def main():
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.bind(LOCAL)
            with pytest.raises(OSError) as caught:
                await endpoint(local_addr=sock.getsockname())
            assert caught.value.errno == errno.EADDRINUSE

    run(main())


async def to_a_plain_socket(path):
    """Make an endpoint that sends to a plain Unix socket, which, unlike UDP, can fill up."""
    plain = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    plain.setblocking(False)
    plain.bind(path)
    transport, protocol = await endpoint(remote_addr=path, family=socket.AF_UNIX)
    return transport, protocol, plain


def test_flow_control(run, socket_path):
    async def main():
        transport, protocol, plain = await to_a_plain_socket(socket_path)
        with plain:
            transport.set_write_buffer_limits(high=10_000)
            count = 0
            while "pause_writing" not in protocol.calls:
                transport.sendto(b"%05d" % count + b"x" * 1000)
                count += 1
            assert transport.get_write_buffer_size() > 10_000
            loop = asyncio.get_running_loop()
            for number in range(count):
                data = await loop.sock_recv(plain, 2000)
                assert data.startswith(b"%05d" % number) and len(data) == 1005
            await asyncio.sleep(0)
            assert protocol.calls[-1] == "resume_writing"
            # Early versions of 3.13 count 8 bytes for each datagram and forget to take them off.
            if not isinstance(transport, asyncio.selector_events._SelectorDatagramTransport):
                assert transport.get_write_buffer_size() == 0
        transport.close()
        await protocol.lost

    run(main())


def test_close_sends_what_is_buffered(run, socket_path):
    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol, plain = await to_a_plain_socket(socket_path)
        with plain:
            count = 0
            while not transport.get_write_buffer_size():
                transport.sendto(b"x" * 1000)
                count += 1
            transport.close()
            for _ in range(count):
                assert len(await loop.sock_recv(plain, 2000)) == 1000
            assert await protocol.lost is None

    run(main())


def test_abort_drops_what_is_buffered(run, socket_path):
    async def main():
        transport, protocol, plain = await to_a_plain_socket(socket_path)
        with plain:
            count = 0
            while not transport.get_write_buffer_size():
                transport.sendto(b"x" * 1000)
                count += 1
            transport.abort()
            assert await protocol.lost is None
            received = 0
            while True:
                try:
                    plain.recv(2000)
                except BlockingIOError:
                    break
                received += 1
            assert 0 < received < count

    run(main())


def test_a_failing_datagram_received(run, reports):
    """It goes to the handler; UDP has no connection to end."""

    class Broken(DatagramRecorder):
        def datagram_received(self, data, addr):
            if data == b"bad":
                raise ZeroDivisionError
            super().datagram_received(data, addr)

    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(Broken, local_addr=LOCAL)
        with socket.socket(type=socket.SOCK_DGRAM) as plain:
            for data in (b"bad", b"good"):
                plain.sendto(data, transport.get_extra_info("sockname"))
        assert (await protocol.received.get())[0] == b"good"
        transport.close()
        await protocol.lost

    run(main())
    assert isinstance(reports.take_one()["exception"], ZeroDivisionError)


def test_sending_after_close(run):
    async def main():
        server = await endpoint(local_addr=LOCAL)
        transport, protocol = await endpoint(remote_addr=server[0].get_extra_info("sockname"))
        transport.abort()
        await protocol.lost
        for _ in range(10):
            transport.sendto(b"x")
        await close(server)

    run(main())


def test_a_name(run):
    async def main():
        server = await endpoint(local_addr=("localhost", 0), family=socket.AF_INET)
        client = await endpoint(
            remote_addr=("localhost", server[0].get_extra_info("sockname")[1]),
            family=socket.AF_INET,
        )
        client[0].sendto(b"x")
        assert (await server[1].received.get())[0] == b"x"
        await close(server, client)

    run(main())


@pytest.mark.asyncio_since((3, 14), "what has left is not counted any more")
def test_the_size_of_what_waits(run, socket_path):
    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol, plain = await to_a_plain_socket(socket_path)
        with plain:
            sent = 0
            while not transport.get_write_buffer_size():
                transport.sendto(bytes(1000))
                sent += 1
            # What a datagram takes besides its bytes counts as well.
            assert transport.get_write_buffer_size() == 1000 + 8
            transport.sendto(b"")
            assert transport.get_write_buffer_size() == 1000 + 16
            for _ in range(sent + 1):
                await loop.sock_recv(plain, 2000)
            while transport.get_write_buffer_size():
                await asyncio.sleep(0)
        transport.close()
        await protocol.lost

    run(main())


def test_what_waits_is_a_copy(run, socket_path):
    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol, plain = await to_a_plain_socket(socket_path)
        with plain:
            data = bytearray(b"x" * 1000)
            sent = 0
            while not transport.get_write_buffer_size():
                transport.sendto(data)
                sent += 1
            data[:] = b"y" * 1000
            for _ in range(sent):
                assert await loop.sock_recv(plain, 2000) == b"x" * 1000
        transport.close()
        await protocol.lost

    run(main())


@pytest.mark.not_asyncio("connection_lost() is called twice")
def test_abort_while_the_last_one_leaves(run, socket_path, reports):
    """resume_writing() ends an endpoint that is closing: it is told once."""

    class Impatient(DatagramRecorder):
        def resume_writing(self):
            super().resume_writing()
            self.transport.abort()

    async def main():
        loop = asyncio.get_running_loop()
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        plain.setblocking(False)
        with plain:
            plain.bind(socket_path)
            transport, protocol = await loop.create_datagram_endpoint(
                Impatient, remote_addr=socket_path, family=socket.AF_UNIX
            )
            transport.set_write_buffer_limits(high=10)
            sent = 0
            while not transport.get_write_buffer_size():
                transport.sendto(b"x" * 1000)
                sent += 1
            transport.close()
            for _ in range(sent):
                await loop.sock_recv(plain, 2000)
            await protocol.lost
            for _ in range(3):
                await asyncio.sleep(0)
        assert protocol.calls.count("connection_lost") == 1

    run(main())


@pytest.mark.not_asyncio("an AttributeError")
def test_sending_without_an_address_after_the_end(run):
    async def main():
        transport, protocol = await endpoint(local_addr=LOCAL)
        transport.abort()
        await protocol.lost
        for _ in range(10):
            transport.sendto(b"x", ("127.0.0.1", 9))

    run(main())


def test_closing_in_datagram_received(run):
    class Once(DatagramRecorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.close()

    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(Once, local_addr=LOCAL)
        with socket.socket(type=socket.SOCK_DGRAM) as plain:
            for number in range(3):
                plain.sendto(b"%d" % number, transport.get_extra_info("sockname"))
        assert await protocol.lost is None
        assert protocol.received.qsize() == 1

    run(main())


@pytest.mark.parametrize("method", ["add_reader", "add_writer", "remove_reader", "remove_writer"])
def test_the_descriptor_is_the_transports(run, method):
    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await endpoint(local_addr=LOCAL)
        fd = transport.get_extra_info("socket").fileno()
        arguments = (len, ()) if method.startswith("add") else ()
        with pytest.raises(RuntimeError, match="is used by transport"):
            getattr(loop, method)(fd, *arguments)
        await close((transport, protocol))

    run(main())


@pytest.mark.asyncio_since((3, 12), "a socket of a transport is refused")
def test_a_socket_of_another_transport(run):
    async def main():
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(LOCAL)
        transport, protocol = await endpoint(sock=sock)
        with pytest.raises(RuntimeError, match="is used by transport"):
            await endpoint(sock=sock)
        with socket.socket(type=socket.SOCK_DGRAM) as plain:
            plain.sendto(b"x", sock.getsockname())
        assert (await protocol.received.get())[0] == b"x"
        await close((transport, protocol))

    run(main())


def test_the_number_is_free_after_the_end(run):
    """Whoever gets the number next is not disturbed by the endpoint that had it."""

    async def main():
        for _ in range(20):
            transport, protocol = await endpoint(local_addr=LOCAL)
            address = transport.get_extra_info("sockname")
            transport.sendto(b"to itself", address)
            transport.abort()
            await protocol.lost
            near, far = socket.socketpair()
            with near, far:
                near.setblocking(False)
                far.send(b"x")
                loop = asyncio.get_running_loop()
                assert await loop.sock_recv(near, 10) == b"x"

    run(main())
