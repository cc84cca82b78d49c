"""Binding: sockets that do not listen yet, one port for all, files that are ours to remove."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Callable, Iterator

import pytest

import vivace
from vivace.serve._addresses import Descriptor, TcpAddress, UnixAddress
from vivace.serve._binding import BindError, Binding, SharedSocket, another, bind_all, describe

Bind = Callable[..., Binding]


@pytest.fixture
def bind() -> Iterator[Bind]:
    """Like `bind_all`; what it has bound is closed in the end."""
    bindings: list[Binding] = []

    def bind(*addresses, **options):
        bindings.append(bind_all(addresses, **options))
        return bindings[-1]

    yield bind
    for binding in bindings:
        binding.close()
        binding.remove_paths()


class TestTcp:
    def test_bound_and_not_listening(self, bind):
        (sock,) = bind(TcpAddress("127.0.0.1", 0)).sockets
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(sock.getsockname())
        sock.listen()
        socket.create_connection(sock.getsockname()).close()
        assert not sock.getblocking()

    def test_an_address_in_use(self, bind):
        taken = bind(TcpAddress("127.0.0.1", 0)).sockets[0]
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BindError) as caught:
            bind(TcpAddress("127.0.0.1", port))
        assert str(caught.value).endswith(
            f"error while attempting to bind on address ('127.0.0.1', {port}): "
            "address already in use"
        )

    def test_nothing_stays_bound_if_one_fails(self, bind, tmp_path):
        path = str(tmp_path / "s")
        with pytest.raises(BindError):
            bind(UnixAddress(path), TcpAddress("192.0.2.1", 0))
        assert not os.path.exists(path)

    def test_a_name_with_several_addresses_gets_one_port(self, bind, monkeypatch):
        def resolve(host, port, **options):
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port)),
            ]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        one, other = bind(TcpAddress("name.example", 0)).sockets
        assert one.getsockname()[0] != other.getsockname()[0]
        assert one.getsockname()[1] == other.getsockname()[1]

    def test_an_address_that_the_machine_has_not_is_left_out_of_a_name(self, bind, monkeypatch):
        def resolve(host, port, **options):
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port)),
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
            ]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        (sock,) = bind(TcpAddress("name.example", 0)).sockets
        assert sock.getsockname()[0] == "127.0.0.1"

    def test_an_unknown_name(self, bind, monkeypatch):
        def resolve(host, port, **options):
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with pytest.raises(BindError, match="no address for the host 'nowhere.invalid'"):
            bind(TcpAddress("nowhere.invalid", 0))


class TestWorkersSockets:
    def test_the_same_address_again(self, bind):
        binding = bind(TcpAddress("127.0.0.1", 0), reuse_port=True)
        copy = another(binding.bound[0])
        try:
            assert copy.sockets[0].getsockname() == binding.sockets[0].getsockname()
        finally:
            copy.close()

    def test_not_shared_with_another_server(self, bind):
        """With SO_REUSEPORT alone, the same command given twice would run twice."""
        binding = bind(TcpAddress("127.0.0.1", 0), reuse_port=True)
        binding.sockets[0].listen()
        port = binding.sockets[0].getsockname()[1]
        with pytest.raises(BindError, match="already in use"):
            bind(TcpAddress("127.0.0.1", port), reuse_port=True)


class TestUnix:
    def test_everybody_may_connect(self, bind, tmp_path):
        path = tmp_path / "s"
        bind(UnixAddress(str(path)))
        assert stat.S_IMODE(path.stat().st_mode) == 0o666

    def test_what_a_dead_server_left_is_replaced(self, bind, tmp_path):
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        path.chmod(0o600)
        bind(UnixAddress(str(path)))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_what_a_living_server_uses_is_left_alone(self, bind, tmp_path):
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as living:
            living.bind(str(path))
            living.listen()
            with pytest.raises(BindError, match="already in use"):
                bind(UnixAddress(str(path)))
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))

    def test_another_file_is_left_alone(self, bind, tmp_path):
        path = tmp_path / "s"
        path.write_text("precious")
        with pytest.raises(BindError, match="there is a file that is no socket"):
            bind(UnixAddress(str(path)))
        assert path.read_text() == "precious"

    def test_removed_in_the_end(self, bind, tmp_path):
        path = tmp_path / "s"
        binding = bind(UnixAddress(str(path)))
        binding.close()
        binding.remove_paths()
        assert not path.exists()

    def test_not_removed_if_somebody_has_replaced_it(self, bind, tmp_path):
        path = tmp_path / "s"
        binding = bind(UnixAddress(str(path)))
        path.rename(tmp_path / "old")
        path.write_text("another's")
        binding.remove_paths()
        assert path.read_text() == "another's"


class TestDescriptor:
    def test_the_original_stays_open(self, bind):
        with socket.create_server(("127.0.0.1", 0)) as given:
            binding = bind(Descriptor(given.fileno()))
            assert binding.sockets[0].getsockname() == given.getsockname()
            assert binding.sockets[0].family == socket.AF_INET
            binding.close()
            socket.create_connection(given.getsockname()).close()

    def test_none_of_that_number(self, bind):
        with pytest.raises(BindError, match="descriptor 999 cannot be served: bad file descriptor"):
            bind(Descriptor(999))

    def test_no_socket(self, bind):
        with open(os.devnull) as file, pytest.raises(BindError, match="cannot be served"):
            bind(Descriptor(file.fileno()))

    def test_a_datagram_socket(self, bind):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            with pytest.raises(BindError, match="is no stream socket"):
                bind(Descriptor(sock.fileno()))


class TestSharedSockets:
    def test_the_queue_stays_as_long_as_it_is(self, bind, socket_path):
        """Whoever begins to accept from it takes one at a time, and turns nobody away."""
        (sock,) = bind(UnixAddress(socket_path)).sockets
        sock.listen(100)

        async def main():
            shared = SharedSocket.of(sock.dup(), 100)
            loop = asyncio.get_running_loop()
            server = await loop.create_server(asyncio.Protocol, sock=shared, backlog=1)
            with contextlib.ExitStack() as stack:
                for _ in range(20):
                    client = stack.enter_context(socket.socket(socket.AF_UNIX))
                    client.setblocking(False)
                    client.connect(socket_path)
            server.close()

        vivace.run(main())


class TestDescriptions:
    def test_tcp(self, bind):
        bound = bind(TcpAddress("127.0.0.1", 0)).bound[0]
        form, arguments = describe(bound, "https")
        assert form % tuple(arguments) == f"https://127.0.0.1:{bound.sockets[0].getsockname()[1]}"

    def test_unix(self, bind, tmp_path):
        path = str(tmp_path / "s")
        form, arguments = describe(bind(UnixAddress(path)).bound[0], "http")
        assert form % tuple(arguments) == f"unix socket {path}"
