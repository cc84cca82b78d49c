"""How long a connection lives: keep-alive, HTTP/1.0, pipelining, idle connections."""

from __future__ import annotations

import time

import pytest
from support.http_wire import Truncated
from support.serving import unique

GET = b"GET /hello HTTP/1.1\r\nHost: a\r\n"


def test_many_requests_on_one_connection(wire):
    for _ in range(200):
        assert wire.get("/hello").body == b"hello"
    assert wire.is_open()


def test_close_is_announced(wire):
    wire.send(GET + b"Connection: close\r\n\r\n")
    assert wire.response().closes
    assert wire.ends()


def test_what_follows_close_is_not_served(server):
    first, second = unique(), unique()
    with server.connect() as wire:
        for name, connection in ((first, b"close"), (second, b"keep-alive")):
            wire.send(
                b"GET /hello?id=%b HTTP/1.1\r\nHost: a\r\nConnection: %b\r\n\r\n"
                % (name.encode(), connection)
            )
        assert wire.response().closes
        wire.ends()  # by an RST, where the second arrived after the close
    assert server.seen(first).notes == ["called"]
    assert server.get(f"/hello?id={second}").status == 200
    assert server.seen(second).notes == ["called"]


def test_the_application_closes(server):
    """A `connection: close` among its headers is done, not only sent."""
    with server.connect() as wire:
        response = wire.get("/headers?h=[(b'connection',b'close'),(b'content-length',b'4')]")
        assert response.all(b"connection") == [b"close"]
        assert response.body == b"body"
        assert wire.ends()


class TestHttp10:
    def test_closes(self, wire):
        wire.send(b"GET /hello HTTP/1.0\r\n\r\n")
        assert wire.response().body == b"hello"
        assert wire.ends()

    def test_keep_alive_is_answered_or_not_taken(self, wire):
        """Kept open only if the answer says so: a client of HTTP/1.0 waits for the end else."""
        wire.send(b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        response = wire.response()
        if response.closes:
            assert wire.ends()
        else:
            wire.send(b"GET /hello HTTP/1.0\r\n\r\n")
            assert wire.response().body == b"hello"
            assert wire.ends()

    def test_body_of_unknown_length(self, wire):
        """It is ended by the end of the connection, whatever the client asked for."""
        wire.send(b"GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        response = wire.response()
        assert response.framing == "close"
        assert response.body == b"onethree" + b"x" * 70_000 + b"end"

    def test_expectations_are_not_for_it(self, wire):
        """RFC 9110, 10.1.1: no 100 for a client of HTTP/1.0."""
        wire.send(b"POST /count HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        wire.send(b"hi")
        assert wire.response(interim=True).body.startswith(b"2 in ")


class TestPipelining:
    def test_answers_in_order(self, wire):
        count = 50
        wire.send(
            b"".join(
                b"GET /echo?%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(count)
            )
        )
        for number in range(count):
            assert b"'query': b'%d'" % number in wire.response().body

    def test_the_second_waits_for_the_first(self, server):
        """Answers cannot overtake: the second is not even begun, or held back."""
        first, second = unique(), unique()
        with server.connect() as wire:
            wire.send(
                b"GET /gated?id=%b HTTP/1.1\r\nHost: a\r\n\r\n" % first.encode()
                + b"GET /hello?id=%b HTTP/1.1\r\nHost: a\r\n\r\n" % second.encode()
            )
            server.seen(first, 1)
            assert wire.is_open()
            server.open_gate(first)
            assert wire.response().body == b"went through the gate"
            assert wire.response().body == b"hello"

    def test_more_than_is_kept_while_one_waits(self, server, wire):
        """The connection is not read meanwhile, and is read again afterwards."""
        name, count = unique(), 2500
        wire.send(f"GET /gated?id={name} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        server.seen(name, 1)
        wire.send((GET + b"\r\n") * count)
        server.open_gate(name)
        assert wire.response().body == b"went through the gate"
        for _ in range(count):
            assert wire.response().body == b"hello"
        assert wire.get("/hello").body == b"hello"

    def test_bodies(self, wire):
        wire.send(
            b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
            b"POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nthree\r\n0\r\n\r\n"
            b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        assert wire.response().body.startswith(b"3 in ")
        assert wire.response().body.startswith(b"5 in ")
        assert wire.response().body == b"hello"

    def test_heads_and_bodies_without_bodies(self, wire):
        """What has no body must not shift the answers."""
        wire.send(
            b"HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /status/204 HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /status/304 HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        assert wire.response("HEAD")[b"content-length"] == b"5"
        assert wire.response().status == 204
        assert wire.response().status == 304
        assert wire.response().body == b"hello"

    def test_an_unread_body_is_not_taken_for_a_request(self, wire):
        """The application answered without reading: the body is read past, or it was the last."""
        inner = GET + b"\r\n"
        wire.send(
            b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner
        )
        assert wire.response().status == 413
        wire.send_what_is_taken(b"GET /echo?after HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            assert b"'query': b'after'" in wire.response().body
        except (Truncated, ConnectionResetError) as exc:
            assert not getattr(exc, "received", b"")

    def test_the_connection_ends_while_requests_wait(self, server):
        """Those that have not begun are not begun for a client that has gone."""
        first, last = unique(), unique()
        with server.connect() as wire:
            wire.send(
                b"GET /until-disconnect?id=%b HTTP/1.1\r\nHost: a\r\n\r\n" % first.encode()
                + b"GET /hello?id=%b HTTP/1.1\r\nHost: a\r\n\r\n" % last.encode()
            )
            server.seen(first, 1)
            wire.reset()
        assert server.seen(first).ended == "returned"
        assert server.get(f"/hello?id={last}").status == 200
        assert server.seen(last).notes == ["called"]


class TestTimeout:
    flags = ("--timeout-keep-alive", "1")

    def test_idle_connection_is_closed(self, shared_server):
        with shared_server("apps.probe:app", *self.flags).connect() as wire:
            assert wire.get("/hello").status == 200
            assert wire.ends()

    def test_not_while_a_request_runs(self, shared_server):
        server, name = shared_server("apps.probe:app", *self.flags), unique()
        with server.connect() as wire, server.connect() as idle:
            wire.send(b"GET /gated?id=%b HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode())
            server.seen(name, 1)
            assert idle.get("/hello").status == 200
            # When the idle one is closed, the time of the other, begun before, is over as well.
            assert idle.ends()
            assert wire.is_open()
            server.open_gate(name)
            assert wire.response().body == b"went through the gate"

    def test_begins_anew_with_each_request(self, shared_server):
        server = shared_server("apps.probe:app", "--timeout-keep-alive", "2.5")
        with server.connect() as wire:
            begin = time.monotonic()
            while time.monotonic() - begin < 3:
                assert wire.get("/hello").status == 200
                time.sleep(0.2)
            assert wire.get("/hello").status == 200


@pytest.mark.parametrize("path", ["/hello", "/chunks", "/status/204", "/status/404"])
def test_an_answer_ends_where_it_says(wire, path):
    """Nothing comes after it until the next request."""
    for _ in range(3):
        wire.get(path)
        assert wire.is_open()
