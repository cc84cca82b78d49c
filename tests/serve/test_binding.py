"""Where the server listens: TCP, Unix sockets, inherited descriptors, several at once."""

from __future__ import annotations

import os
import socket
import stat

import pytest
from support import serving
from support.http_wire import Wire

on_top = pytest.mark.skipif(serving.KIND != "vivace", reason="only vivace has --bind")


def test_a_free_port(server):
    assert server.port > 0
    assert server.get("/hello").body == b"hello"


def test_banner_names_the_host(start_server):
    server = start_server("apps.probe:app", "--host", "0.0.0.0")
    assert f"http://0.0.0.0:{server.port} (Press CTRL+C to quit)" in server.output()
    with Wire.connect(("127.0.0.1", server.port)) as wire:
        assert wire.get("/hello").body == b"hello"


def test_ipv6_banner(start_server):
    server = start_server("apps.probe:app", "--host", "::1")
    assert f"http://[::1]:{server.port} (Press CTRL+C to quit)" in server.output()


def test_localhost(start_server):
    server = start_server("apps.probe:app", "--host", "localhost")
    with Wire.connect(("127.0.0.1", server.port)) as wire:
        assert wire.get("/hello").body == b"hello"


class TestUnixSocket:
    def test_served(self, start_server, socket_path):
        server = start_server("apps.probe:app", "--uds", socket_path)
        assert server.get("/hello").body == b"hello"
        assert f"unix socket {socket_path} (Press CTRL+C to quit)" in server.output()

    def test_anybody_may_connect(self, start_server, socket_path):
        start_server("apps.probe:app", "--uds", socket_path)
        assert stat.S_IMODE(os.stat(socket_path).st_mode) == 0o666

    def test_removed_at_the_end(self, start_server, socket_path):
        server = start_server("apps.probe:app", "--uds", socket_path)
        server.stop()
        assert not os.path.exists(socket_path)

    def test_one_left_by_a_dead_server(self, start_server, socket_path):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(socket_path)
        server = start_server("apps.probe:app", "--uds", socket_path)
        assert server.get("/hello").body == b"hello"

    def test_access_line(self, start_server, socket_path):
        """There is no client address to show."""
        server = start_server("apps.probe:app", "--uds", socket_path)
        server.get("/hello")
        server.printed(r'"GET /hello HTTP/1\.1" 200 OK')


class TestInheritedDescriptor:
    def test_unix(self, launch_server, socket_path):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(socket_path)
            sock.listen()
            server = launch_server(
                "apps.probe:app", "--fd", str(sock.fileno()), pass_fds=(sock.fileno(),)
            )
            with Wire.connect(socket_path) as wire:
                assert wire.get("/hello").body == b"hello"
            server.printed("running on socket")
            server.stop()
        # Whoever made it removes it.
        assert os.path.exists(socket_path)

    @on_top
    def test_tcp(self, launch_server):
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            server = launch_server(
                "apps.probe:app", "--fd", str(sock.fileno()), pass_fds=(sock.fileno(),)
            )
            server.address = sock.getsockname()
            # The kernel accepts before the server does.
            assert server.get("/hello").body == b"hello"
            assert server.stop() is not None


@on_top
class TestBind:
    def test_several(self, start_server, socket_path):
        server = start_server(
            "apps.probe:app", "--bind", "127.0.0.1:0", "-b", f"unix:{socket_path}", "-b", "[::1]:0"
        )
        places = server.printed(r"running on (\S+ ?\S*)", count=3)
        assert len(places) == 3
        ports = {match[1] for match in server.printed(r"http://127\.0\.0\.1:(\d+)")}
        six = {match[1] for match in server.printed(r"http://\[::1\]:(\d+)")}
        with Wire.connect(("127.0.0.1", int(ports.pop()))) as wire:
            assert wire.get("/hello").body == b"hello"
        with Wire.connect(("::1", int(six.pop()))) as wire:
            assert wire.get("/hello").body == b"hello"
        with Wire.connect(socket_path) as wire:
            assert wire.get("/hello").body == b"hello"

    def test_one_of_them_is_taken(self, launch_server):
        """Nothing is served then."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            server = launch_server("apps.probe:app", "-b", "127.0.0.1:0", "-b", f"127.0.0.1:{port}")
            assert server.wait() == 3
            assert str(port) in server.output()


def test_a_port_left_by_a_server_that_ended(start_server):
    """A restart need not wait for TIME_WAIT."""
    first = start_server("apps.probe:app")
    with first.connect() as wire:
        assert wire.get("/hello").body == b"hello"
        port = first.port
        first.stop()
    second = start_server("apps.probe:app", "--port", str(port))
    assert second.get("/hello").body == b"hello"
