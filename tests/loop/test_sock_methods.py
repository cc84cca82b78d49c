"""The sock_* coroutines of the loop, on sockets that the caller owns."""

from __future__ import annotations

import asyncio
import socket

import pytest
from support.sockets import listener, refused_address, silent_address, tcp_pair


@pytest.fixture
def pair():
    """Two connected, non-blocking TCP sockets."""
    near, far = tcp_pair()
    near.setblocking(False)
    with near, far:
        yield near, far


@pytest.fixture
def datagram_pair():
    """Two bound, non-blocking UDP sockets."""
    with (
        socket.socket(type=socket.SOCK_DGRAM) as near,
        socket.socket(type=socket.SOCK_DGRAM) as far,
    ):
        for sock in (near, far):
            sock.setblocking(False)
            sock.bind(("127.0.0.1", 0))
        yield near, far


def test_they_are_coroutines(loop, pair):
    near, far = pair
    with listener() as server:
        makers = {
            "sock_recv": (near, 1),
            "sock_recv_into": (near, bytearray(1)),
            "sock_recvfrom": (near, 1),
            "sock_recvfrom_into": (near, bytearray(1)),
            "sock_sendall": (near, b""),
            "sock_sendto": (near, b"", ("127.0.0.1", 1)),
            "sock_accept": (server,),
            "sock_connect": (near, ("127.0.0.1", 1)),
        }
        for name, arguments in makers.items():
            coroutine = getattr(loop, name)(*arguments)
            assert asyncio.iscoroutine(coroutine), name
            coroutine.close()


def test_recv_and_sendall(run, pair):
    near, far = pair

    async def main():
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(near, b"hello")
        assert await loop.sock_recv(far, 3) == b"hel"
        assert await loop.sock_recv(far, 100) == b"lo"
        waiting = asyncio.create_task(loop.sock_recv(far, 100))
        await asyncio.sleep(0)
        await loop.sock_sendall(near, memoryview(b"later"))
        assert await waiting == b"later"
        near.close()
        assert await loop.sock_recv(far, 100) == b""

    run(main())


def test_the_first_system_call_is_in_the_first_step(run, pair):
    """What is there already needs no turn of the loop."""
    near, far = pair
    near.send(b"x")

    async def main():
        loop = asyncio.get_running_loop()
        coroutine = loop.sock_recv(far, 1)
        with pytest.raises(StopIteration) as stopped:
            coroutine.send(None)
        assert stopped.value.value == b"x"

    run(main())


def test_a_large_sendall(run, pair):
    near, far = pair
    data = bytes(range(256)) * 40_000

    async def main():
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(loop.sock_sendall(near, data))
        received = bytearray()
        while len(received) < len(data):
            received += await loop.sock_recv(far, 1 << 18)
        await sending
        assert received == data

    run(main())


def test_recv_into(run, pair):
    near, far = pair

    async def main():
        loop = asyncio.get_running_loop()
        buffer = bytearray(10)
        await loop.sock_sendall(near, b"hello")
        assert await loop.sock_recv_into(far, buffer) == 5
        assert buffer == b"hello\0\0\0\0\0"
        waiting = asyncio.create_task(loop.sock_recv_into(far, memoryview(buffer)[5:]))
        await asyncio.sleep(0)
        await loop.sock_sendall(near, b"world")
        assert await waiting == 5
        assert buffer == b"helloworld"

    run(main())


def test_accept_and_connect(run):
    async def main():
        loop = asyncio.get_running_loop()
        with listener() as server, socket.socket() as client:
            client.setblocking(False)
            accepting = asyncio.create_task(loop.sock_accept(server))
            await loop.sock_connect(client, server.getsockname())
            accepted, address = await accepting
            with accepted:
                assert address == client.getsockname()
                assert accepted.gettimeout() == 0
                await loop.sock_sendall(client, b"x")
                assert await loop.sock_recv(accepted, 1) == b"x"

    run(main())


def test_connect_is_refused(run):
    async def main():
        loop = asyncio.get_running_loop()
        with refused_address() as address, socket.socket() as client:
            client.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(client, address)

    run(main())


def test_connect_by_name(run):
    async def main():
        loop = asyncio.get_running_loop()
        with listener() as server, socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, ("localhost", server.getsockname()[1]))

    run(main())


def test_connect_to_a_unix_socket(run, socket_path):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind(socket_path)
            server.listen()
            server.setblocking(False)
            client.setblocking(False)
            await loop.sock_connect(client, socket_path)
            accepted, _ = await loop.sock_accept(server)
            accepted.close()

    run(main())


def test_datagrams(run, datagram_pair):
    near, far = datagram_pair

    async def main():
        loop = asyncio.get_running_loop()
        assert await loop.sock_sendto(near, b"hello", far.getsockname()) == 5
        assert await loop.sock_recvfrom(far, 100) == (b"hello", near.getsockname())
        buffer = bytearray(10)
        waiting = asyncio.create_task(loop.sock_recvfrom_into(far, buffer))
        await asyncio.sleep(0)
        await loop.sock_sendto(near, b"again", far.getsockname())
        assert await waiting == (5, near.getsockname())
        assert buffer[:5] == b"again"
        waiting = asyncio.create_task(loop.sock_recvfrom_into(far, buffer, 2))
        await asyncio.sleep(0)
        await loop.sock_sendto(near, b"xyz", far.getsockname())
        assert (await waiting)[0] == 2

    run(main())


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("sock_recv", (1,)),
        ("sock_recv_into", (bytearray(1),)),
        ("sock_sendall", (b"x",)),
        ("sock_recvfrom", (1,)),
        ("sock_recvfrom_into", (bytearray(1),)),
        ("sock_sendto", (b"x", ("127.0.0.1", 1))),
        ("sock_accept", ()),
        ("sock_connect", (("127.0.0.1", 1),)),
    ],
)
def test_a_blocking_socket_in_debug_mode(run, method, arguments):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            with pytest.raises(ValueError, match="the socket must be non-blocking"):
                await getattr(loop, method)(sock, *arguments)

    run(main(), debug=True)


def test_cancel(run, pair):
    near, far = pair

    async def main():
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(loop.sock_recv(far, 100))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The descriptor is free for the next one, and nothing was eaten.
        await loop.sock_sendall(near, b"kept")
        assert await loop.sock_recv(far, 100) == b"kept"
        assert loop.remove_reader(far) is False

    run(main())


def test_cancel_a_connect(run):
    async def main():
        loop = asyncio.get_running_loop()
        with silent_address() as address, socket.socket() as client:
            client.setblocking(False)
            task = asyncio.create_task(loop.sock_connect(client, address))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert loop.remove_writer(client) is False

    run(main())


def test_cancel_an_accept(run):
    async def main():
        loop = asyncio.get_running_loop()
        with listener() as server:
            task = asyncio.create_task(loop.sock_accept(server))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with socket.create_connection(server.getsockname()):
                accepted, _ = await loop.sock_accept(server)
                accepted.close()

    run(main())


def test_a_timeout(run, pair):
    near, far = pair

    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(loop.sock_recv(far, 100), 0.001)
        near.send(b"x")
        assert await loop.sock_recv(far, 100) == b"x"

    run(main())


def test_reading_and_writing_at_once(run, pair):
    near, far = pair

    async def main():
        loop = asyncio.get_running_loop()
        size = 10_000_000

        async def drain(sock):
            received = 0
            while received < size:
                received += len(await loop.sock_recv(sock, 1 << 18))
            return received

        results = await asyncio.gather(
            loop.sock_sendall(near, bytes(size)),
            loop.sock_sendall(far, bytes(size)),
            drain(near),
            drain(far),
        )
        assert results == [None, None, size, size]

    run(main())


def test_a_reset(run, pair):
    import struct

    near, far = pair

    async def main():
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(loop.sock_recv(far, 100))
        await asyncio.sleep(0)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        near.close()
        with pytest.raises(ConnectionResetError):
            await task

    run(main())


def test_a_socket_that_belongs_to_a_transport(run, pair):
    near, far = pair

    async def main():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, far)
        same = socket.socket(fileno=transport.get_extra_info("socket").fileno())
        try:
            same.setblocking(False)
            with pytest.raises(RuntimeError, match="is used by transport"):
                await loop.sock_recv(same, 1)
        finally:
            same.detach()
        transport.close()
        await asyncio.sleep(0)

    run(main())


def test_ssl_sockets_are_refused(run, certificates):
    import ssl

    async def main():
        loop = asyncio.get_running_loop()
        with certificates.client_context().wrap_socket(
            socket.socket(), server_hostname="localhost", do_handshake_on_connect=False
        ) as sock:
            assert isinstance(sock, ssl.SSLSocket)
            with pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"):
                await loop.sock_recv(sock, 1)

    run(main())


def test_many_waiting_sockets(run):
    async def main():
        loop = asyncio.get_running_loop()
        pairs = [socket.socketpair() for _ in range(100)]
        for near, far in pairs:
            near.setblocking(False)
            far.setblocking(False)
        tasks = [asyncio.create_task(loop.sock_recv(far, 10)) for _, far in pairs]
        await asyncio.sleep(0)
        for number, (near, _) in reversed(list(enumerate(pairs))):
            near.send(b"%d" % number)
        assert await asyncio.gather(*tasks) == [b"%d" % number for number in range(100)]
        for near, far in pairs:
            near.close()
            far.close()

    run(main())
