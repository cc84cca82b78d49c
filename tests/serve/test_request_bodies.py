"""Bodies on their way in: pieces, backpressure, 100-continue, early answers, half-closes."""

from __future__ import annotations

import ast
import contextlib
import select
import time

import pytest
from support.http_wire import Truncated
from support.patience import SECONDS
from support.serving import unique


def head(path: str, *fields: bytes, method: bytes = b"POST", version: bytes = b"HTTP/1.1") -> bytes:
    lines = [b"%b %b %b" % (method, path.encode(), version), b"host: a", *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def length(size: int) -> bytes:
    return b"content-length: %d" % size


CHUNKED = b"transfer-encoding: chunked"
EXPECT = b"expect: 100-continue"


def body_of(notes: list[dict]) -> bytes:
    assert all(note["type"] == "http.request" for note in notes)
    return b"".join(note.get("body", b"") for note in notes)


def sent_until_stuck(sock, data: bytes, seconds: float = 1.0) -> int:
    """Send until the server takes no more for a while; return how much it was."""
    sent = 0
    sock.setblocking(False)
    try:
        while sent < len(data) and select.select([], [sock], [], seconds)[1]:
            with contextlib.suppress(BlockingIOError):
                sent += sock.send(data[sent : sent + 262144])
    finally:
        sock.settimeout(SECONDS)
    return sent


class TestMessages:
    def test_no_body(self, server, wire):
        name = unique()
        wire.send(head(f"/pieces?id={name}", method=b"GET"))
        assert wire.response().body == b"read"
        (message,) = server.seen(name).notes
        assert message["type"] == "http.request"
        assert message.get("body", b"") == b""
        assert not message.get("more_body", False)

    @pytest.mark.parametrize("field", [length(0), CHUNKED])
    def test_empty_body(self, server, wire, field):
        name = unique()
        wire.send(head(f"/pieces?id={name}", field) + (b"0\r\n\r\n" if field == CHUNKED else b""))
        assert wire.response().body == b"read"
        notes = server.seen(name).notes
        assert body_of(notes) == b""
        assert not notes[-1].get("more_body", False)

    def test_pieces_arrive_as_they_are_sent(self, server, wire):
        """The application does not wait for the whole of a body."""
        name = unique()
        wire.send(head(f"/pieces?id={name}", length(6)) + b"one")
        first = server.seen(name, 1).notes
        while not body_of(first):  # a message without data may come first
            first = server.seen(name, len(first) + 1).notes
        assert (body_of(first), first[-1]["more_body"]) == (b"one", True)
        wire.send(b"two")
        assert wire.response().body == b"read"
        notes = server.seen(name).notes
        assert body_of(notes) == b"onetwo"
        assert not notes[-1].get("more_body", False)
        assert all(note["more_body"] for note in notes[:-1])

    def test_chunks_arrive_as_they_are_sent(self, server, wire):
        name = unique()
        wire.send(head(f"/pieces?id={name}", CHUNKED) + b"3\r\none\r\n")
        first = server.seen(name, 1).notes
        while not body_of(first):
            first = server.seen(name, len(first) + 1).notes
        assert (body_of(first), first[-1]["more_body"]) == (b"one", True)
        wire.send(b"3\r\ntwo\r\n0\r\n\r\n")
        assert wire.response().body == b"read"
        assert body_of(server.seen(name).notes) == b"onetwo"

    def test_the_head_alone_starts_the_application(self, server, wire):
        name = unique()
        wire.send(head(f"/gated?id={name}", length(5)))
        assert server.seen(name, 1).notes == ["called"]
        server.open_gate(name)
        assert wire.response().body == b"went through the gate"

    @pytest.mark.parametrize("framing", ["length", "chunked"])
    def test_large(self, wire, framing):
        data = bytes(range(256)) * 64 * 1024  # 16 MiB
        if framing == "length":
            wire.send(head("/count", length(len(data))) + data)
        else:
            wire.send(head("/count", CHUNKED))
            for start in range(0, len(data), 100_000):
                piece = data[start : start + 100_000]
                wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            wire.send(b"0\r\n\r\n")
        assert wire.response().body.startswith(b"%d in " % len(data))

    @pytest.mark.parametrize("framing", ["length", "chunked"])
    def test_large_and_back(self, server, framing):
        """Both directions at the same time."""
        import threading

        data = bytes(range(256)) * 16 * 1024
        with server.connect() as wire:

            def upload() -> None:
                if framing == "length":
                    wire.send(head("/back", length(len(data))) + data)
                else:
                    wire.send(head("/back", CHUNKED))
                    for start in range(0, len(data), 4093):
                        piece = data[start : start + 4093]
                        wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                    wire.send(b"0\r\n\r\n")

            uploading = threading.Thread(target=upload)
            uploading.start()
            response = wire.response()
            uploading.join()
        assert response.body == data

    def test_tiny_chunks(self, wire):
        """A chunk for each byte costs time, not correctness; they need not be messages each."""
        wire.send(head("/count", CHUNKED) + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
        size, _, pieces = wire.response().body.partition(b" in ")
        assert size == b"20000"
        assert int(pieces) <= 20_001

    def test_trailers_end_the_body(self, wire):
        wire.send(head("/echo", CHUNKED) + b"2\r\nhi\r\n0\r\nx-sum: 1\r\nhost: evil\r\n\r\n")
        seen = ast.literal_eval(wire.response().body.decode())
        assert seen["body"] == b"hi"
        assert seen["headers"] == [(b"host", b"a"), (b"transfer-encoding", b"chunked")]
        assert wire.get("/hello").body == b"hello"


class TestBackpressure:
    def test_an_application_that_does_not_read(self, server):
        """The server stops reading; when the application reads, nothing is missing."""
        name, size = unique(), 64 << 20
        data = b"d" * size
        with server.connect() as wire:
            wire.send(head(f"/count?gated&id={name}", length(size)))
            server.seen(name, 1)
            sent = sent_until_stuck(wire.sock, data)
            # The kernel's buffers on the loopback hold some megabytes.
            assert sent < size / 2
            server.open_gate(name)
            wire.send(data[sent:])
            assert wire.response().body.startswith(b"%d in " % size)

    def test_others_are_served_meanwhile(self, server):
        name, size = unique(), 64 << 20
        with server.connect() as wire:
            wire.send(head(f"/count?gated&id={name}", length(size)))
            server.seen(name, 1)
            sent_until_stuck(wire.sock, b"d" * size, 0.2)
            assert server.get("/hello").body == b"hello"
            wire.reset()
        server.open_gate(name)
        assert server.seen(name).notes[-1][0] == "disconnected"

    def test_a_client_that_does_not_read(self, server):
        """`send` waits; when the client reads, nothing is missing."""
        name = unique()
        with server.connect(receive_buffer=65536) as wire:
            wire.send(head(f"/flood?id={name}", method=b"GET"))
            server.seen(name, 1)
            for _ in range(50):
                server.get("/hello")
            notes = server.seen(name, 1).notes
            assert "sent" not in notes
            assert max(notes) < 32 << 20
            assert wire.response().body == b"f" * (64 << 20)
        assert server.seen(name).notes[-1] == "sent"

    def test_pipelined_requests_are_not_read_without_end(self, server):
        """While the first is served the others wait in the kernel."""
        name = unique()
        with server.connect() as wire:
            wire.send(head(f"/gated?id={name}", method=b"GET"))
            server.seen(name, 1)
            one = head("/hello", b"x-padding: " + b"p" * 4000, method=b"GET")
            sent = sent_until_stuck(wire.sock, one * 8000)  # 32 MB
            assert sent < 20 << 20
            wire.reset()
        server.open_gate(name)
        server.seen(name)


class TestContinue:
    """100 is sent when the application first wants the body, not before."""

    def test_lazily(self, server, wire):
        name = unique()
        wire.send(head(f"/gated-read?id={name}", length(5), EXPECT))
        server.seen(name, 1)
        assert wire.is_open()
        server.open_gate(name)
        interim = wire.response(interim=True)
        assert (interim.status, interim.reason) == (100, b"Continue")
        assert wire.is_open()
        wire.send(b"hello")
        final = wire.response(interim=True)
        assert (final.status, final.body) == (200, b"hello")
        assert wire.get("/hello").body == b"hello"

    def test_with_chunks(self, wire):
        wire.send(head("/count", CHUNKED, EXPECT))
        assert wire.response(interim=True).status == 100
        wire.send(b"5\r\nhello\r\n0\r\n\r\n")
        assert wire.response(interim=True).body.startswith(b"5 in ")

    def test_in_other_letters(self, wire):
        wire.send(head("/count", length(2), b"Expect: 100-Continue"))
        assert wire.response(interim=True).status == 100
        wire.send(b"hi")
        assert wire.response(interim=True).body.startswith(b"2 in ")

    def test_once(self, wire):
        """The application asks for pieces several times."""
        wire.send(head("/count", length(6), EXPECT))
        assert wire.response(interim=True).status == 100
        for piece in (b"on", b"et", b"wo"):
            assert wire.is_open()
            wire.send(piece)
        assert wire.response(interim=True).body.startswith(b"6 in ")

    def test_not_if_the_application_does_not_read(self, server, wire):
        """The client must not send the body: the connection cannot go on."""
        wire.send(head("/refuse", length(5), EXPECT))
        response = wire.response(interim=True)
        assert response.status == 413
        assert response.closes
        assert wire.ends()

    def test_client_that_does_not_wait(self, wire):
        """The body is there already: 100 may be sent or not."""
        wire.send(head("/count", length(2), EXPECT) + b"hi")
        assert wire.response().body.startswith(b"2 in ")
        assert wire.get("/hello").body == b"hello"

    def test_without_a_body(self, wire):
        wire.send(head("/count", length(0), EXPECT))
        assert wire.response().body.startswith(b"0 in ")
        assert wire.get("/hello").body == b"hello"

    def test_another_expectation(self, wire):
        """RFC 9110, 10.1.1: 417, or ignored."""
        wire.send(head("/count", length(2), b"expect: a-miracle") + b"hi")
        assert wire.response().status in (200, 417)

    def test_second_request(self, wire):
        for _ in range(3):
            wire.send(head("/count", length(2), EXPECT))
            assert wire.response(interim=True).status == 100
            wire.send(b"hi")
            assert wire.response(interim=True).body.startswith(b"2 in ")


class TestEarlyAnswer:
    """The application answers while the body still arrives. The client must be able to read it."""

    @pytest.mark.parametrize("size", [100, 10_000, 300_000])
    def test_client_that_sends_everything_first(self, server, size):
        """Such a client loses the answer if the server closes with unread bytes."""
        for _ in range(10):
            with server.connect() as wire:
                wire.send(head("/refuse", length(size)))
                for start in range(0, size, 10_000):
                    wire.send(b"x" * min(10_000, size - start))
                response = wire.response()
                assert (response.status, response.body) == (413, b"too much")

    @pytest.mark.parametrize("size", [100, 10_000, 70_000, 100_000, 250_000, 1_000_000])
    def test_the_answer_says_whether_the_connection_goes_on(self, wire, size):
        """A client that keeps connections would send its next request into the end of this one."""
        wire.send(head("/refuse", length(size)) + b"x" * size)
        response = wire.response()
        assert response.status == 413
        if response.closes:
            assert wire.ends()
        else:
            assert wire.get("/hello").body == b"hello"

    @pytest.mark.parametrize("size", [70_000, 250_000])
    def test_a_slow_rest(self, wire, size):
        """The connection was promised, so it waits for a client that takes its time."""
        wire.send(head("/refuse", length(size)) + b"x" * 1000)
        response = wire.response()
        assert (response.status, response.closes) == (413, False)
        for _ in range(3):
            time.sleep(0.9)
            wire.send(b"x" * 1000)
        wire.send(b"x" * (size - 4000))
        assert wire.get("/hello").body == b"hello"

    def test_answer_comes_at_once(self, wire):
        wire.send(head("/refuse", length(1_000_000)) + b"some of it")
        response = wire.response()
        assert (response.status, response.body) == (413, b"too much")

    def test_chunks(self, wire):
        wire.send(head("/refuse", CHUNKED) + b"5\r\nhello\r\n")
        assert wire.response().status == 413
        wire.send_what_is_taken(b"5\r\nworld\r\n0\r\n\r\n")

    def test_in_the_middle(self, server, wire):
        name = unique()
        wire.send(head(f"/refuse-in-the-middle?id={name}", length(200_000)) + b"x" * 100_000)
        assert wire.response().status == 413
        assert server.seen(name).ended == "returned"

    def test_the_connection_is_used_again_only_after_the_body(self, wire):
        """Whatever the server does, the rest of the body is not taken for a request."""
        wire.send(head("/refuse", length(50)))
        response = wire.response()
        assert response.status == 413
        evil = head("/hello", method=b"GET").ljust(50, b"x")[:50]
        wire.send_what_is_taken(evil + head("/echo", method=b"GET"))
        with contextlib.suppress(Truncated, ConnectionResetError):
            following = wire.response()
            assert not response.closes
            assert b"'path': '/echo'" in following.body

    def test_the_rest_is_not_read_for_ever(self, server):
        """A body without end is not drained without end."""
        with server.connect() as wire:
            wire.send(head("/refuse", CHUNKED))
            assert wire.response().status == 413
            sent = 0
            piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
            while sent < 256 << 20 and wire.send_what_is_taken(piece):
                sent += len(piece)
            assert sent < 256 << 20


class TestClientsThatLeave:
    def test_in_the_middle_of_a_body(self, server, wire):
        name = unique()
        wire.send(head(f"/echo?id={name}", length(100)) + b"part")
        server.seen(name, 1)
        wire.close()
        seen = server.seen(name)
        assert (seen.notes, seen.ended) == (["called", "disconnected"], "returned")

    def test_in_the_middle_of_chunks(self, server, wire):
        name = unique()
        wire.send(head(f"/echo?id={name}", CHUNKED) + b"5\r\nhel")
        server.seen(name, 1)
        wire.reset()
        assert server.seen(name).notes == ["called", "disconnected"]

    def test_in_the_middle_of_a_head(self, server):
        """Nobody is called, nothing is answered, nothing is logged as an error."""
        before = len(server.output())
        for place in (1, 10, 30):
            with server.connect() as wire:
                wire.send(head("/hello", method=b"GET")[:place])
                server.get("/hello")
                wire.half_close()
                wire.rest()
        assert "rror" not in server.output(before)

    def test_at_once(self, server):
        for _ in range(50):
            with server.connect() as wire:
                wire.reset()
        for _ in range(50):
            server.connect().close()
        assert server.get("/hello").body == b"hello"


class TestHalfClose:
    """A client may say that it has nothing more to send and wait for the answer: RFC 9112, 9.6."""

    def test_after_a_request(self, wire):
        wire.send(head("/hello", method=b"GET"))
        wire.half_close()
        assert wire.response().body == b"hello"
        assert wire.ends()

    def test_while_the_application_works(self, server, wire):
        name = unique()
        wire.send(head(f"/gated?id={name}", method=b"GET"))
        server.seen(name, 1)
        wire.half_close()
        server.get("/hello")
        server.open_gate(name)
        assert wire.response().body == b"went through the gate"
        assert wire.ends()

    def test_after_a_body(self, server, wire):
        name = unique()
        wire.send(head(f"/gated-read?id={name}", length(5)) + b"hello")
        server.seen(name, 1)
        wire.half_close()
        server.get("/hello")
        server.open_gate(name)
        assert wire.response().body == b"hello"
        assert wire.ends()

    def test_pipelined(self, wire):
        wire.send(head("/hello", method=b"GET") * 3)
        wire.half_close()
        for _ in range(3):
            assert wire.response().body == b"hello"
        assert wire.ends()

    def test_in_the_middle_of_a_body(self, server, wire):
        """That request can never be complete."""
        name = unique()
        wire.send(head(f"/echo?id={name}", length(100)) + b"part")
        server.seen(name, 1)
        wire.half_close()
        assert server.seen(name).notes == ["called", "disconnected"]
        with contextlib.suppress(Truncated):
            assert wire.response().status >= 400
        assert wire.ends()

    def test_idle(self, wire):
        assert wire.get("/hello").status == 200
        wire.half_close()
        assert wire.ends()
