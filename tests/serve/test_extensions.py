"""The extensions of ASGI that the server offers: each as the specification describes it."""

from __future__ import annotations

import ast
import os
from urllib.parse import quote

import pytest
from support.http_wire import Truncated
from support.serving import unique


@pytest.fixture
def server(shared_server):
    return shared_server("apps.extensions:app")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a file é"
    path.write_bytes(bytes(range(256)) * 4)
    return path


def test_names(server):
    offered = ast.literal_eval(server.get("/names").body.decode())
    assert offered["http.response.pathsend"] == {}
    assert offered["http.response.trailers"] == {}
    assert "tls" not in offered


class TestPathsend:
    def test_whole_file(self, server, wire, file):
        name = unique()
        response = wire.get(f"/pathsend?id={name}&path={quote(str(file))}")
        assert response.body == file.read_bytes()
        assert response.framing in ("length", "chunked")
        assert server.seen(name).notes == ["sent", "http.disconnect"]
        assert wire.get("/names").status == 200

    def test_with_length(self, wire, file):
        response = wire.get(f"/pathsend?length=1024&path={quote(str(file))}")
        assert (response.framing, response.body) == ("length", file.read_bytes())

    @pytest.mark.parametrize("size", [0, 1, 65536, 5_000_001])
    def test_sizes(self, wire, tmp_path, size):
        path = tmp_path / "file"
        data = os.urandom(size)
        path.write_bytes(data)
        for _ in range(2):
            assert wire.get(f"/pathsend?length={size}&path={path}").body == data
            assert wire.get(f"/pathsend?path={path}").body == data

    def test_head(self, wire, file):
        response = wire.request("HEAD", f"/pathsend?length=1024&path={quote(str(file))}")
        assert response[b"content-length"] == b"1024"
        assert wire.get("/names").status == 200

    @pytest.mark.parametrize("size", [0, 1024, 5_000_001])
    def test_head_without_length(self, wire, tmp_path, size):
        """A file has a size, which a GET would be told."""
        path = tmp_path / "file"
        with path.open("wb") as file:
            file.truncate(size)
        response = wire.request("HEAD", f"/pathsend?path={path}")
        assert response[b"content-length"] == str(size).encode()
        assert wire.get("/names").status == 200

    def test_http_1_0(self, wire, file):
        wire.send(f"GET /pathsend?path={quote(str(file))} HTTP/1.0\r\n\r\n".encode())
        assert wire.response().body == file.read_bytes()

    def test_pipelined(self, wire, file):
        one = f"GET /pathsend?path={quote(str(file))} HTTP/1.1\r\nhost: a\r\n\r\n".encode()
        wire.send(one * 20)
        for _ in range(20):
            assert wire.response().body == file.read_bytes()

    def test_slow_reader(self, server, tmp_path):
        """The file is larger than what the kernel takes at once."""
        path = tmp_path / "large"
        with path.open("wb") as file:
            file.truncate(64 << 20)
        with server.connect(receive_buffer=65536) as wire:
            response = wire.get(f"/pathsend?length={64 << 20}&path={path}")
            assert len(response.body) == 64 << 20
            assert not response.body.strip(b"\0")

    def test_client_that_leaves(self, server, tmp_path):
        name, path = unique(), tmp_path / "large"
        with path.open("wb") as file:
            file.truncate(64 << 20)
        with server.connect(receive_buffer=65536) as wire:
            wire.send(f"GET /pathsend?id={name}&path={path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            wire.head()
            wire.reset()
        # `send` may have returned before that: the file is then sent by the server alone.
        last = server.seen(name).notes[-1]
        assert last == "http.disconnect" or "OSError" in last[1].split()
        # No descriptor of the file is left open.
        folder = f"/proc/{server.pid}/fd"
        open_files = [os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)]
        assert str(path) not in open_files

    def test_file_that_is_not_there(self, server, tmp_path):
        name = unique()
        response = server.get(f"/pathsend?id={name}&path={tmp_path}/missing")
        assert response.status == 500
        (_, kinds), *_ = server.seen(name).notes
        assert "Exception" in kinds.split()

    def test_folder(self, server, tmp_path):
        assert server.get(f"/pathsend?path={tmp_path}").status == 500

    def test_fifo(self, server, tmp_path):
        """Nobody writes into it: opening it must not stop the server."""
        os.mkfifo(tmp_path / "fifo")
        assert server.get(f"/pathsend?path={tmp_path}/fifo").status == 500
        assert server.get("/pathsend?path=/dev/zero").status == 500

    def test_file_shorter_than_the_length(self, wire, file):
        """It must not look like the whole file."""
        path = f"/pathsend?length=2000&path={quote(str(file))}"
        wire.send(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        with pytest.raises((Truncated, ConnectionResetError)):
            response = wire.response()
            # Noticed before the start is sent is better still.
            assert response.status == 500
            raise Truncated("nothing", b"")

    def test_file_longer_than_the_length(self, wire, file):
        wire.send(
            f"GET /pathsend?length=24&path={quote(str(file))} HTTP/1.1\r\nhost: a\r\n\r\n".encode()
        )
        head, _, data = wire.rest().partition(b"\r\n\r\n")
        assert head == b"" or head.startswith((b"HTTP/1.1 500", b"HTTP/1.1 200"))
        if head.startswith(b"HTTP/1.1 200"):
            assert len(data) <= 24

    @pytest.mark.parametrize("kind", ["first", "after body", "without path", "number"])
    def test_messages_that_do_not_go_together(self, server, file, kind):
        name = unique()
        with server.connect() as wire:
            wire.send(
                f"GET /pathsend-mixed?id={name}&kind={quote(kind)}&path={quote(str(file))} "
                "HTTP/1.1\r\nhost: a\r\n\r\n".encode()
            )
            wire.rest()
        assert server.seen(name).notes[0][0] == "raised"

    def test_body_afterwards(self, server, wire, file):
        name = unique()
        response = wire.get(f"/pathsend-then-body?id={name}&path={quote(str(file))}")
        assert response.body == file.read_bytes()
        assert len(server.seen(name).notes) == 1
        assert wire.get("/names").status == 200


class TestTrailers:
    wanted = [(b"te", b"trailers"), (b"connection", b"te")]

    @pytest.mark.parametrize("parts", [1, 3])
    def test_for_a_client_that_wants_them(self, server, wire, parts):
        name = unique()
        response = wire.get(f"/trailers?id={name}&parts={parts}", self.wanted)
        assert response.body == b"onetwo"
        assert response.trailers == [(b"x-sum", b"%d" % number) for number in range(parts)]
        assert response[b"trailer"] == b"x-sum"
        assert server.seen(name).notes == ["sent", "http.disconnect"]
        assert wire.get("/names").status == 200

    def test_for_a_client_that_does_not(self, server, wire):
        """They are left out; the answer is complete all the same."""
        name = unique()
        response = wire.get(f"/trailers?id={name}")
        assert (response.body, response.trailers) == (b"onetwo", [])
        assert server.seen(name).notes == ["sent", "http.disconnect"]

    def test_the_answer_is_complete_only_with_them(self, server, wire):
        name = unique()
        wire.send(
            f"GET /trailers?gated=1&id={name} HTTP/1.1\r\nhost: a\r\nte: trailers\r\n"
            "connection: te\r\n\r\n".encode()
        )
        server.seen(name, 1)
        wire.head()
        data, chunks = b"", wire.chunks()
        while len(data) < 6:
            data += next(chunks)
        assert data == b"onetwo"
        # The last chunk may have left, the end of the trailers has not.
        assert wire.read(2) == b"\r\n"
        before = wire.some() if wire.is_readable() else b""
        assert before in (b"", b"0\r\n")
        server.open_gate(name)
        assert before + wire.read_until(b"\r\n\r\n") == b"0\r\nx-sum: 0\r\n\r\n"

    def test_http_1_0(self, wire):
        wire.send(b"GET /trailers HTTP/1.0\r\nte: trailers\r\n\r\n")
        assert wire.response().body == b"onetwo"

    def test_head(self, wire):
        wire.request("HEAD", "/trailers", self.wanted)
        assert wire.get("/names").status == 200

    def test_announced_and_missing(self, wire):
        """The application has left before the answer was complete."""
        wire.send(
            b"GET /trailers-missing HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\n\r\n"
        )
        with pytest.raises((Truncated, ConnectionResetError)):
            wire.response()

    def test_not_announced(self, server, wire):
        """The answer was complete before."""
        name = unique()
        response = wire.get(f"/trailers-not-announced?id={name}", self.wanted)
        assert (response.body, response.trailers) == (b"body", [])
        assert len(server.seen(name).notes) == 1
        assert wire.get("/names").status == 200

    def test_injection(self, server, wire):
        name = unique()
        wire.send(
            f"GET /trailers-bad?id={name} HTTP/1.1\r\nhost: a\r\nte: trailers\r\n"
            "connection: te\r\n\r\n".encode()
        )
        assert b"x-injected" not in wire.rest()
        assert server.seen(name).notes[0][0] == "raised"


class TestEarlyHint:
    def test_hints(self, server, wire):
        """A 103 for each, or none at all where the server does not offer them."""
        name = unique()
        wire.send(f"GET /early-hint?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        answers = [wire.response(interim=True)]
        while answers[-1].status < 200:
            answers.append(wire.response(interim=True))
        assert answers.pop().body == b"after the hints"
        assert all(answer.status == 103 for answer in answers)
        links = [link for answer in answers for link in answer.all(b"link")]
        if links:
            assert b", ".join(links) == (
                b"</style.css>; rel=preload; as=style, </a>; rel=x, </b>; rel=y"
            )

    def test_not_for_http_1_0(self, wire):
        """RFC 9110, 15.2: a client of HTTP/1.0 does not know of interim answers."""
        wire.send(b"GET /early-hint HTTP/1.0\r\n\r\n")
        assert wire.response(interim=True).status == 200

    def test_too_late(self, wire):
        assert wire.get("/early-hint-late").body == b"ok"

    def test_injection(self, server):
        with server.connect() as wire:
            wire.send(b"GET /early-hint-bad HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert b"\r\nx-injected" not in wire.rest()
