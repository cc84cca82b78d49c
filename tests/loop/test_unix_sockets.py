"""Unix sockets: paths of every kind, abstract names, clean-up, errors."""

from __future__ import annotations

import asyncio
import os
import pathlib
import socket
import stat
import sys

import pytest
from support.protocols import Recorder


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def echo_once(path):
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"hello")
    answer = await reader.readexactly(5)
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("kind", [str, os.fsencode, pathlib.Path])
def test_kinds_of_paths(run, socket_path, kind):
    path = kind(socket_path)
    if isinstance(path, bytes):
        connect_to = os.fsdecode(path)
    else:
        connect_to = path

    async def main():
        loop = asyncio.get_running_loop()
        async with await loop.create_unix_server(Echo, path) as server:
            assert stat.S_ISSOCK(os.stat(socket_path).st_mode)
            (sock,) = server.sockets
            assert sock.family == socket.AF_UNIX
            assert sock.getsockname() == socket_path
            assert await echo_once(connect_to) == b"hello"

    run(main())


@pytest.mark.parametrize("kind", [str, os.fsencode])
def test_an_abstract_name(run, kind):
    name = kind(f"\0vivace-test-{os.getpid()}")

    async def main():
        loop = asyncio.get_running_loop()
        async with await loop.create_unix_server(Echo, name):
            assert await echo_once(name) == b"hello"

    run(main())


def test_extra_info(run, socket_path):
    async def main():
        loop = asyncio.get_running_loop()
        made = loop.create_future()

        class Served(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                made.set_result(self)

        async with await loop.create_unix_server(Served, socket_path):
            transport, client = await loop.create_unix_connection(Recorder, socket_path)
            served = await made
            assert transport.get_extra_info("peername") == socket_path
            assert transport.get_extra_info("sockname") == ""
            assert served.transport.get_extra_info("sockname") == socket_path
            raw = served.transport.get_extra_info("socket")
            credentials = raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            assert int.from_bytes(credentials[:4], sys.byteorder) == os.getpid()
            transport.write(b"question")
            assert await served.received(8) == b"question"
            served.transport.close()
            assert await client.lost is None
            await served.lost

    run(main())


def test_a_given_socket(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with far:
            transport, protocol = await loop.create_unix_connection(Recorder, sock=near)
            far.send(b"hello")
            assert await protocol.received(5) == b"hello"
            transport.close()
            await protocol.lost

    run(main())


def test_a_given_listening_socket(run, socket_path):
    async def main():
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(socket_path)
        async with await loop.create_unix_server(Echo, sock=sock):
            assert await echo_once(socket_path) == b"hello"

    run(main())


def test_nobody_listens(run, socket_path):
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(FileNotFoundError):
            await loop.create_unix_connection(Recorder, socket_path)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(socket_path)
        with pytest.raises(ConnectionRefusedError):
            await loop.create_unix_connection(Recorder, socket_path)

    run(main())


def test_a_stale_socket_is_replaced(run, socket_path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(socket_path)

    async def main():
        loop = asyncio.get_running_loop()
        async with await loop.create_unix_server(Echo, socket_path):
            assert await echo_once(socket_path) == b"hello"

    run(main())


def test_a_file_in_the_way(run, socket_path):
    pathlib.Path(socket_path).write_text("precious")

    async def main():
        with pytest.raises(OSError, match="is already in use"):
            await asyncio.get_running_loop().create_unix_server(Echo, socket_path)

    run(main())
    assert pathlib.Path(socket_path).read_text() == "precious"
    os.unlink(socket_path)


def test_a_folder_that_is_missing(run, socket_path):
    async def main():
        with pytest.raises(FileNotFoundError):
            await asyncio.get_running_loop().create_unix_server(Echo, socket_path + "/no/such")

    run(main())


def test_a_path_that_is_too_long(run, socket_path):
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(OSError):
            await loop.create_unix_server(Echo, socket_path + "x" * 200)
        with pytest.raises(OSError):
            await loop.create_unix_connection(Recorder, socket_path + "x" * 200)

    run(main())


def test_argument_checks(run, socket_path):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as sock, socket.socket() as internet:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
                for keywords in (
                    {},
                    {"path": socket_path, "sock": sock},
                    {"sock": internet},
                    {"sock": datagram},
                    {"path": socket_path, "ssl_handshake_timeout": 1},
                    {"path": socket_path, "ssl_shutdown_timeout": 1},
                ):
                    with pytest.raises(ValueError):
                        await loop.create_unix_server(Echo, **keywords)
                    with pytest.raises(ValueError):
                        await loop.create_unix_connection(Recorder, **keywords)
                with pytest.raises(ValueError):
                    await loop.create_unix_connection(Recorder, socket_path, server_hostname="x")
                with pytest.raises(ValueError):
                    await loop.create_unix_connection(Recorder, socket_path, ssl=True)
                with pytest.raises(TypeError):
                    await loop.create_unix_server(Echo, socket_path, ssl=True)

    run(main())
    assert not os.path.exists(socket_path)


# -- clean-up: on request everywhere, by default since 3.13 ------------------------------------

since_313 = pytest.mark.asyncio_since((3, 13), "cleanup_socket")


@since_313
def test_the_socket_is_removed(run, socket_path):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Echo, socket_path, cleanup_socket=True)
        assert os.path.exists(socket_path)
        server.close()
        await server.wait_closed()
        assert not os.path.exists(socket_path)

    run(main())


@since_313
def test_the_socket_is_kept_on_request(run, socket_path):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Echo, socket_path, cleanup_socket=False)
        server.close()
        await server.wait_closed()
        assert os.path.exists(socket_path)

    run(main())


@since_313
def test_a_given_socket_is_removed_too(run, socket_path):
    async def main():
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(socket_path)
        server = await loop.create_unix_server(Echo, sock=sock, cleanup_socket=True)
        server.close()
        await server.wait_closed()
        assert not os.path.exists(socket_path)

    run(main())


@since_313
def test_a_socket_of_somebody_else_is_left_alone(run, socket_path):
    """Another server has taken the path meanwhile."""

    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Echo, socket_path, cleanup_socket=True)
        os.unlink(socket_path)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(socket_path)
            server.close()
            await server.wait_closed()
            assert os.path.exists(socket_path)

    run(main())


@since_313
def test_a_socket_that_is_gone(run, socket_path):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Echo, socket_path, cleanup_socket=True)
        os.unlink(socket_path)
        server.close()
        await server.wait_closed()

    run(main())


def test_by_default_the_socket_is_removed_since_3_13(run, socket_path):
    """A program for an older Python removes it itself, and expects it to be there."""

    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Echo, socket_path)
        server.close()
        await server.wait_closed()
        assert os.path.exists(socket_path) is (sys.version_info < (3, 13))

    run(main())


@since_313
def test_an_abstract_socket_has_nothing_to_remove(run):
    async def main():
        loop = asyncio.get_running_loop()
        name = f"\0vivace-test-{os.getpid()}-{id(loop)}"
        server = await loop.create_unix_server(Echo, name, cleanup_socket=True)
        server.close()
        await server.wait_closed()

    run(main())


def test_streams(run, socket_path):
    async def handle(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async def main():
        async with await asyncio.start_unix_server(handle, socket_path):
            reader, writer = await asyncio.open_unix_connection(socket_path)
            writer.write(b"hello\n")
            assert await reader.read() == b"HELLO\n"
            writer.close()
            await writer.wait_closed()

    run(main())
