"""How an answer leaves: its length or chunks, HEAD, 204 and 304, default headers, mismatches."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from email.utils import parsedate_to_datetime

import pytest
from support import serving
from support.http_wire import Truncated
from support.serving import unique


def test_length_of_the_application(wire):
    response = wire.get("/hello")
    assert (response.framing, response.body) == ("length", b"hello")
    assert b"transfer-encoding" not in response


def test_chunks(wire):
    """An empty part in the middle must not look like the last chunk."""
    response = wire.get("/chunks")
    assert response.framing == "chunked"
    assert response.body == b"onethree" + b"x" * 70_000 + b"end"
    assert b"" not in response.chunks
    assert response.trailers == []
    assert wire.is_open()


def test_each_part_leaves_at_once(server):
    """A part is not kept until there is more: a stream of events would stand still."""
    name = unique()
    with server.connect() as wire:
        wire.send(b"GET /sse?id=%b HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode())
        assert wire.head().framing == "none"
        chunks = wire.chunks()
        for _ in range(5):
            assert next(chunks) == b"data: x\n\n"
    assert server.seen(name).ended == "returned"


def test_without_length_or_body(wire):
    """One part is all there is: the answer says where it ends."""
    response = wire.get("/no-headers")
    assert (response.status, response.body) == (200, b"")
    assert response.framing in ("length", "chunked")
    assert wire.is_open()


def test_iterables(wire):
    response = wire.get("/iterables")
    assert (response[b"x-one"], response[b"x-two"]) == (b"value", b"value")
    assert response.body == b"one,two,three"


def test_headers_keep_their_order(wire):
    wanted = (
        "[(b'x-b',b'1'),(b'set-cookie',b'a=1'),(b'x-a',b'2'),(b'set-cookie',b'b=2'),(b'x-b',b'3')]"
    )
    headers = wire.get(f"/headers?h={wanted}").headers
    seen = [pair for pair in headers if pair[0].startswith((b"x-", b"set-"))]
    assert seen == [
        (b"x-b", b"1"),
        (b"set-cookie", b"a=1"),
        (b"x-a", b"2"),
        (b"set-cookie", b"b=2"),
        (b"x-b", b"3"),
    ]


def test_values_beyond_ascii(wire):
    assert wire.get("/headers?h=[(b'x-a',b'\\xe9\\xff')]")[b"x-a"] == b"\xe9\xff"


@pytest.mark.parametrize("status", [200, 201, 299, 404, 418, 451, 499, 500, 503, 599])
def test_status(wire, status):
    response = wire.get(f"/status/{status}")
    assert response.status == status
    if status in (200, 404, 500):
        assert (
            response.reason
            == {200: b"OK", 404: b"Not Found", 500: b"Internal Server Error"}[status]
        )
    assert wire.is_open()


def test_status_of_the_enumeration(wire):
    response = wire.get("/http-status")
    assert (response.status, response.reason) == (201, b"Created")


class TestNoBody:
    """HEAD, 204 and 304: no body, no matter what the application sends."""

    def test_head(self, wire):
        get, head = wire.get("/hello"), wire.request("HEAD", "/hello")
        assert [pair for pair in head.headers if pair[0] != b"date"] == [
            pair for pair in get.headers if pair[0] != b"date"
        ]
        assert wire.is_open()

    @pytest.mark.parametrize(
        "query", ["body=3", "body=3&length=100", "body=300&length=3", "body=0&length=5", "body=0"]
    )
    def test_head_and_what_the_application_sends(self, server, query):
        """A length that does not fit the body is no mistake here."""
        name = unique()
        with server.connect() as wire:
            response = wire.request("HEAD", f"/lengths?{query}&id={name}")
            assert response.status == 200
            if "length" in query:
                assert response[b"content-length"] == query.rpartition("=")[2].encode()
            assert wire.get("/hello").body == b"hello"
        assert server.seen(name).notes == ["sent"]

    def test_head_of_chunks(self, wire):
        response = wire.request("HEAD", "/chunks")
        assert b"content-length" not in response
        assert wire.get("/hello").body == b"hello"

    def test_204(self, wire):
        response = wire.get("/status/204")
        assert b"transfer-encoding" not in response
        assert wire.get("/hello").body == b"hello"

    def test_304(self, wire):
        response = wire.get("/status/304")
        assert b"transfer-encoding" not in response
        assert wire.get("/hello").body == b"hello"

    def test_304_with_the_length_of_what_it_stands_for(self, server):
        name = unique()
        with server.connect() as wire:
            response = wire.get(f"/lengths?status=304&length=1234&id={name}")
            assert response[b"content-length"] == b"1234"
            assert wire.get("/hello").body == b"hello"
        assert server.seen(name).notes == ["sent"]

    @pytest.mark.parametrize("status", [204, 304])
    def test_a_body_all_the_same(self, server, status):
        """It must not get onto the connection; whether `send` raises is the server's choice."""
        name = unique()
        with server.connect() as wire:
            wire.send(
                f"GET /lengths?status={status}&body=20&id={name} HTTP/1.1\r\nHost: a\r\n\r\n"
                "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n".encode()
            )
            assert wire.response().status == status
            try:
                following = wire.response()
            except Truncated as exc:
                assert exc.received == b""
            else:
                assert following.body == b"hello"


class TestMismatch:
    """The bytes on the connection are those that the length announced, or the connection ends."""

    def test_more_than_the_length(self, server):
        name = unique()
        with server.connect() as wire:
            wire.send(
                f"GET /lengths?length=2&body=9&id={name} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
            )
            received = wire.rest()
        # Either nothing of it left, or what fits; never more.
        head, _, body = received.partition(b"\r\n\r\n")
        assert head == b"" or head.startswith((b"HTTP/1.1 500", b"HTTP/1.1 200"))
        if head.startswith(b"HTTP/1.1 200"):
            assert len(body) <= 2
        assert server.seen(name).notes != ["sent"]

    def test_more_in_a_later_part(self, server):
        name = unique()
        with server.connect() as wire:
            path = f"/lengths?length=4&body=8&pieces=2&id={name}"
            wire.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            received = wire.rest()
        assert received.startswith(b"HTTP/1.1 200")
        assert len(received.partition(b"\r\n\r\n")[2]) <= 4
        assert server.seen(name).notes != ["sent"]

    @pytest.mark.parametrize("pieces", [1, 3])
    def test_less_than_the_length(self, server, pieces):
        name = unique()
        with server.connect() as wire:
            wire.send(
                f"GET /lengths?length=100&body=9&pieces={pieces}&id={name} HTTP/1.1\r\n"
                "Host: a\r\n\r\n".encode()
            )
            try:
                response = wire.response()
            except (Truncated, ConnectionResetError):
                response = None
        # The server may have noticed before anything had left.
        assert response is None or response.status == 500
        assert server.seen(name).notes != ["sent"]


class TestCodings:
    """The framing is the server's: a `transfer-encoding` of the application is left out."""

    @pytest.mark.parametrize("coding", ["chunked", "gzip", "gzip, chunked", "identity", ""])
    def test_without_length(self, wire, coding):
        response = wire.get(f"/headers?h=[(b'transfer-encoding',b'{coding}')]".replace(" ", "%20"))
        assert response.body == b"body"
        assert response.all(b"transfer-encoding") in ([], [b"chunked"])

    def test_with_length(self, wire):
        response = wire.get(
            "/headers?h=[(b'transfer-encoding',b'chunked'),(b'content-length',b'4')]"
        )
        assert (response.framing, response.body) == ("length", b"body")


class TestDefaultHeaders:
    def test_date_and_server(self, wire):
        response = wire.get("/hello")
        assert re.fullmatch(
            rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d GMT",
            response[b"date"],
        )
        parsedate_to_datetime(response[b"date"].decode())
        assert response[b"server"]

    def test_date_is_now(self, wire):
        import datetime

        sent = parsedate_to_datetime(wire.get("/hello")[b"date"].decode())
        assert abs(datetime.datetime.now(datetime.UTC) - sent) < datetime.timedelta(seconds=5)

    def test_turned_off(self, shared_server):
        server = shared_server("apps.probe:app", "--no-date-header", "--no-server-header")
        response = server.get("/hello")
        assert [name for name, _ in response.headers] == [b"content-length"]

    def test_others_added(self, shared_server):
        server = shared_server(
            "apps.probe:app", "--header", "X-One:1", "--header", "X-Two: a:b", "--header", "X-One:3"
        )
        response = server.get("/hello")
        assert response.all(b"x-one") == [b"1", b"3"]
        assert response[b"x-two"].strip() == b"a:b"
        assert response[b"content-length"] == b"5"
        # Those of the application are not replaced by them.
        both = server.get("/headers?h=[(b'x-two',b'own')]")
        assert b"own" in both.all(b"x-two")

    def test_server_replaced(self, shared_server):
        server = shared_server("apps.probe:app", "--header", "server:mine")
        assert server.get("/hello").all(b"server") == [b"mine"]


class TestFailures:
    def test_before_the_start(self, server):
        name = unique()
        with server.connect() as wire:
            response = wire.get(f"/fail?id={name}")
            assert (response.status, response.body) == (500, b"Internal Server Error")
            assert response[b"content-type"].startswith(b"text/plain")
        assert server.seen(name).raised[0] == "ValueError"
        server.printed("Exception in ASGI application")
        server.printed("ValueError: raised before the start")

    @pytest.mark.parametrize("path", ["/exit-before", "/exit-later"])
    def test_system_exit_ends_the_request_alone(self, server, path):
        response = server.get(path)
        assert (response.status, response.body) == (500, b"Internal Server Error")
        server.printed("SystemExit: 5")
        assert server.get("/hello").status == 200

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in 3.12")
    def test_system_exit_under_an_eager_task_factory(self, start_server):
        server = start_server("apps.probe:app")
        assert server.get("/eager-factory").body == b"set"
        assert server.get("/exit-later").status == 500
        assert server.get("/hello").body == b"hello"

    def test_a_cancellation_of_the_applications_own(self, server):
        """Nobody has cancelled the request: it has failed, and the log says where."""
        response = server.get("/cancel-itself")
        assert (response.status, response.body) == (500, b"Internal Server Error")
        server.printed(r"in cancel_itself\n.*\n(.*\n)*asyncio\.exceptions\.CancelledError")

    def test_between_start_and_body(self, wire):
        """The head has not left yet, so there may be a proper answer; never a whole 200."""
        wire.send(b"GET /fail-started HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            response = wire.response()
        except (Truncated, ConnectionResetError):
            return
        assert response.status == 500

    @pytest.mark.parametrize("path", ["/fail-late", "/leave-late"])
    @pytest.mark.parametrize("framing", ["length", "chunks"])
    def test_in_the_middle(self, server, path, framing):
        """The client must see that something is missing."""
        with server.connect() as wire:
            wire.send(f"GET {path}?{framing} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            with pytest.raises((Truncated, ConnectionResetError)):
                wire.response()
        assert server.get("/hello").status == 200

    def test_in_the_middle_for_http_1_0(self, wire):
        """Only an RST tells such a client; a FIN would be the end of the body."""
        wire.send(b"GET /fail-late HTTP/1.0\r\n\r\n")
        try:
            assert b"part" in wire.rest()
        except ConnectionResetError:
            return

    def test_after_the_answer(self, server, wire):
        """The client has it all, and need not pay for it with its connection."""
        for _ in range(3):
            response = wire.get("/fail-afterwards")
            assert (response.status, response.body) == (500, b"an error of the framework")
        server.printed("ValueError: raised after the answer")

    def test_no_answer(self, server):
        response = server.get("/leave")
        assert (response.status, response.body) == (500, b"Internal Server Error")
        server.printed("ASGI callable returned without starting response")

    def test_only_a_start(self, server, wire):
        """The client has seen nothing of it, and gets a whole answer."""
        wire.send(b"GET /leave-started HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            response = wire.response()
        except (Truncated, ConnectionResetError):
            assert serving.KIND != "vivace"
            return
        assert (response.status, response.body) == (500, b"Internal Server Error")
        server.printed("ASGI callable returned without completing response")

    def test_the_last_part_is_missing_but_the_length_is_reached(self, wire):
        """The client has it all; the connection may live on, and nothing hangs."""
        wire.send(b"GET /leave-drawn-out HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.response().body == b"part"
        wire.send_what_is_taken(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            data = wire.some()
            assert data == b"" or data.startswith(b"HTTP/1.1 200")

    def test_others_are_not_disturbed(self, server):
        with server.connect() as wire, server.connect() as other:
            assert wire.get("/fail").status == 500
            assert other.get("/hello").body == b"hello"


def test_send_raises_as_soon_as_a_write_has_failed(start_server, tmp_path):
    """The loop had no occasion to say that the connection is lost: the first write finds out."""
    server = start_server("apps.probe:app")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    name = unique()
    with server.connect() as wire:
        wire.send(f"GET /blind?id={name}&pipe={pipe} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        # Open as soon as the handler waits for it.
        with pipe.open("wb"):
            wire.reset()
    # The first write finds out that the connection is gone, the next one says so.
    assert server.seen(name, 1).notes == [1]
    assert "raised exception" not in server.output()


def test_large_answer_to_a_slow_reader(server):
    """64 MiB through a small window, in full."""
    name = unique()
    with server.connect(receive_buffer=65536) as wire:
        wire.send(b"GET /flood?id=%b HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode())
        response = wire.response()
        assert response.body == b"f" * (64 << 20)
    assert server.seen(name).notes[-1] == "sent"
