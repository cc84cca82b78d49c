"""loop.sendfile over transports and loop.sock_sendfile over sockets."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import socket

import pytest
from support.protocols import Recorder
from support.sockets import tcp_pair

DATA = os.urandom(3_000_000)


@pytest.fixture
def file(tmp_path):
    """A file with a few megabytes."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with open(path, "rb") as file:
        yield file


@pytest.fixture
def pair():
    near, far = tcp_pair()
    near.setblocking(False)
    with near, far:
        yield near, far


async def read(sock, size):
    """Read exactly that much."""
    data = bytearray()
    while len(data) < size:
        part = await asyncio.get_running_loop().sock_recv(sock, 1 << 18)
        assert part
        data += part
    return bytes(data)


def test_sock_sendfile(run, pair, file):
    near, far = pair

    async def main():
        loop = asyncio.get_running_loop()
        reading = asyncio.create_task(read(near, len(DATA)))
        assert await loop.sock_sendfile(far, file) == len(DATA)
        assert await reading == DATA
        assert file.tell() == len(DATA)

    run(main())


def test_sock_sendfile_of_a_part(run, pair, file):
    near, far = pair

    async def main():
        loop = asyncio.get_running_loop()
        assert await loop.sock_sendfile(far, file, 1000, 500) == 500
        assert await read(near, 500) == DATA[1000:1500]
        assert file.tell() == 1500
        assert await loop.sock_sendfile(far, file, len(DATA) - 10, 500) == 10
        assert await read(near, 10) == DATA[-10:]
        assert await loop.sock_sendfile(far, file, len(DATA)) == 0

    run(main())


def test_an_empty_file(run, pair, tmp_path):
    near, far = pair
    (tmp_path / "empty").touch()

    async def main():
        with open(tmp_path / "empty", "rb") as empty:
            assert await asyncio.get_running_loop().sock_sendfile(far, empty) == 0

    run(main())


def test_fallback(run, pair):
    """What is no real file is read and sent, unless that is refused."""
    near, far = pair

    async def main():
        loop = asyncio.get_running_loop()
        reading = asyncio.create_task(read(near, len(DATA)))
        assert await loop.sock_sendfile(far, io.BytesIO(DATA)) == len(DATA)
        assert await reading == DATA
        with pytest.raises(asyncio.SendfileNotAvailableError, match="not a regular file"):
            await loop.sock_sendfile(far, io.BytesIO(DATA), fallback=False)

    run(main())


def test_sock_argument_checks(run, pair, file, tmp_path):
    near, far = pair

    async def main():
        loop = asyncio.get_running_loop()
        with open(tmp_path / "file") as text, pytest.raises(ValueError, match="binary mode"):
            await loop.sock_sendfile(far, text)
        with socket.socket(type=socket.SOCK_DGRAM) as datagram:
            datagram.setblocking(False)
            with pytest.raises(ValueError, match="only SOCK_STREAM"):
                await loop.sock_sendfile(datagram, file)
        for arguments in ((0, 0), (0, -1), (-1, 1)):
            with pytest.raises(ValueError):
                await loop.sock_sendfile(far, file, *arguments)
        for arguments in (("0", 1), (0, 1.5), (None, 1)):
            with pytest.raises((TypeError, ValueError)):
                await loop.sock_sendfile(far, file, *arguments)

    run(main())


def test_cancel_a_sock_sendfile(run, pair, file):
    near, far = pair

    async def main():
        loop = asyncio.get_running_loop()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        task = asyncio.create_task(loop.sock_sendfile(far, file))
        for _ in range(5):
            await asyncio.sleep(0)
        if task.done():
            pytest.skip("the kernel took the whole file")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop.remove_writer(far) is False

    run(main())


# -- transports ---------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def transport_pair():
    """A blocking end, and a transport with its protocol at the other; closed afterwards."""
    near, far = tcp_pair()
    near.setblocking(False)
    with near:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_accepted_socket(Recorder, far)
        yield near, transport, protocol
        transport.close()
        await protocol.lost


def test_sendfile(run, file):
    async def main():
        loop = asyncio.get_running_loop()
        async with transport_pair() as (near, transport, protocol):
            transport.write(b"before ")
            reading = asyncio.create_task(read(near, len(DATA) + 13))
            assert await loop.sendfile(transport, file) == len(DATA)
            transport.write(b" after")
            assert await reading == b"before " + DATA + b" after"
            assert file.tell() == len(DATA)
            # The transport reads as before.
            await loop.sock_sendall(near, b"answer")
            assert await protocol.received(6) == b"answer"

    run(main())


def test_sendfile_of_a_part(run, file):
    async def main():
        async with transport_pair() as (near, transport, _):
            assert await asyncio.get_running_loop().sendfile(transport, file, 100, 50) == 50
            assert await read(near, 50) == DATA[100:150]

    run(main())


def test_after_buffered_data(run, file):
    """What is buffered leaves first."""

    async def main():
        async with transport_pair() as (near, transport, _):
            size = 20_000_000
            transport.write(bytes(size))
            assert transport.get_write_buffer_size()
            reading = asyncio.create_task(read(near, size + len(DATA)))
            assert await asyncio.get_running_loop().sendfile(transport, file) == len(DATA)
            assert (await reading)[size:] == DATA

    run(main())


def test_sendfile_fallback(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with transport_pair() as (near, transport, _):
            with pytest.raises((RuntimeError, asyncio.SendfileNotAvailableError)):
                await loop.sendfile(transport, io.BytesIO(DATA), fallback=False)
            reading = asyncio.create_task(read(near, len(DATA)))
            assert await loop.sendfile(transport, io.BytesIO(DATA)) == len(DATA)
            assert await reading == DATA

    run(main())


def test_writing_during_sendfile(run, file):
    async def main():
        async with transport_pair() as (near, transport, _):
            size = 20_000_000
            transport.write(bytes(size))
            sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, file))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="unable to write; sendfile is in progress"):
                transport.write(b"x")
            await read(near, size + len(DATA))
            assert await sending == len(DATA)

    run(main())


def test_sendfile_on_a_closing_transport(run, file):
    async def main():
        async with transport_pair() as (_, transport, _protocol):
            transport.close()
            with pytest.raises(RuntimeError, match="Transport is closing"):
                await asyncio.get_running_loop().sendfile(transport, file)

    run(main())


def test_sendfile_over_tls(run, file, tls):
    """There is no sendfile through encryption: only the fallback."""

    async def main():
        loop = asyncio.get_running_loop()
        async with tls.pair() as pair:
            with pytest.raises(RuntimeError):
                await loop.sendfile(pair.transport, file, fallback=False)
            pair.transport.write(b"before ")
            assert await loop.sendfile(pair.transport, file) == len(DATA)
            pair.transport.write(b" after")
            expected = b"before " + DATA + b" after"
            assert await pair.served.received(len(expected)) == expected

    run(main())


def test_the_peer_goes_away(run, file, loop_name, reports):
    async def main():
        async with transport_pair() as (near, transport, _):
            transport.write(bytes(20_000_000))
            sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, file))
            await asyncio.sleep(0)
            near.close()
            with pytest.raises(ConnectionError):
                await sending
            if not transport.is_closing():
                transport.abort()

    run(main())
    if loop_name == "asyncio":
        reports.take()  # the standard transport calls connection_lost twice here


def test_a_datagram_transport(run, file):
    async def main():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        with pytest.raises(RuntimeError, match="sendfile is not supported for transport"):
            await loop.sendfile(transport, file)
        transport.close()
        await asyncio.sleep(0)

    run(main())
