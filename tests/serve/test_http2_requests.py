"""HTTP/2: requests and responses, frame by frame; scope, bodies, trailers, files, windows."""

from __future__ import annotations

import ast

import pytest
from support.http2_wire import Http2Wire

INITIAL_WINDOW_SIZE = 4


@pytest.fixture
def server(shared_server):
    return shared_server("apps.probe:app", "--http2")


@pytest.fixture
def extensions(shared_server):
    return shared_server("apps.extensions:app", "--http2")


@pytest.fixture
def wire(server):
    with Http2Wire.connect(server) as wire:
        yield wire


def literal(answer):
    assert answer.status == 200, answer
    return ast.literal_eval(answer.body.decode())


def test_hello(wire):
    for _ in range(3):
        answer = wire.get("/hello")
        assert (answer.status, answer.body, answer.reset) == (200, b"hello", None)
        assert answer.values("content-length") == [b"5"]
        assert len(answer.values("date")) == 1
        assert answer.values("connection") == answer.values("transfer-encoding") == []


def test_http1_on_the_same_port(server):
    assert server.get("/hello").body == b"hello"


def test_a_preface_in_pieces(server):
    with Http2Wire.connect(server, begin=False) as wire:
        wire.h2.initiate_connection()
        data = wire.h2.data_to_send()
        for position in range(len(data)):
            wire.sock.sendall(data[position : position + 1])
        assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("first", [b"PRI", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"])
def test_what_is_nearly_a_preface_is_refused(server, first):
    with server.connect() as wire:
        wire.send(first)
        wire.send(b" / HTTP/1.1\r\n\r\n")
        assert wire.response().status in (400, 505)


def test_a_request_of_http1_may_begin_like_a_preface(server):
    with server.connect() as wire:
        wire.send(b"P")
        wire.send(b"OST /hello HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
        assert wire.response().body == b"hello"
        assert wire.get("/hello").body == b"hello"


def test_without_the_flag_it_is_not_spoken(shared_server):
    server = shared_server("apps.probe:app")
    with server.connect() as wire:
        wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert wire.response().status in (400, 505)


def test_scope(wire):
    fields = [("x-a", "1"), ("cookie", "a=1"), ("x-a", "2"), ("cookie", "b=2")]
    answer = wire.get("/scope/%C3%A9%2F?q=%20&r", *fields)
    scope = literal(answer)
    assert (scope["type"], scope["http_version"], scope["method"]) == ("http", "2", "GET")
    assert (scope["path"], scope["raw_path"]) == ("/scope/é/", b"/scope/%C3%A9%2F")
    assert scope["query_string"] == b"q=%20&r"
    assert scope["scheme"] == "http"
    assert scope["client"] == wire.sock.getsockname()
    assert scope["headers"][0] == (b"host", b"a.example")
    values = [value for name, value in scope["headers"] if name == b"cookie"]
    assert values == [b"a=1", b"b=2"]
    assert [value for name, value in scope["headers"] if name == b"x-a"] == [b"1", b"2"]
    assert not any(name.startswith(b":") for name, _ in scope["headers"])


def test_authority_replaces_host(wire):
    scope = literal(wire.get("/scope", ("host", "other.example")))
    assert [v for n, v in scope["headers"] if n == b"host"] == [b"a.example"]


def test_host_without_authority(wire):
    stream = wire.ask_with(
        [(":method", "GET"), (":scheme", "http"), (":path", "/scope"), ("host", "b.example")]
    )
    scope = literal(wire.answer(stream))
    assert scope["headers"] == [(b"host", b"b.example")]


def test_neither_host_nor_authority(wire):
    stream = wire.ask_with([(":method", "GET"), (":scheme", "http"), (":path", "/scope")])
    assert wire.answer(stream).status == 400
    assert wire.get("/hello").body == b"hello"


def test_scheme_is_that_of_the_connection_unless_a_proxy_is_trusted(shared_server):
    for flags, scheme in [(["--no-proxy-headers"], "http"), ([], "https")]:
        server = shared_server("apps.probe:app", "--http2", *flags)
        with Http2Wire.connect(server) as wire:
            fields = [(":method", "GET"), (":scheme", "https"), (":authority", "a")]
            stream = wire.ask_with([*fields, (":path", "/scope")])
            assert literal(wire.answer(stream))["scheme"] == scheme


@pytest.mark.parametrize(
    "fields",
    [
        [(":method", "GET"), (":scheme", "http"), (":authority", "a")],
        [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "")],
        [(":method", "GET"), (":authority", "a"), (":path", "/hello")],
        [(":scheme", "http"), (":authority", "a"), (":path", "/hello")],
    ],
    ids=["no path", "empty path", "no scheme", "no method"],
)
def test_missing_pseudo_headers_are_a_stream_error(wire, fields):
    assert wire.answer(wire.ask_with(fields)).reset == 1
    assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize(
    "more",
    [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("te", "gzip"),
        (":status", "200"),
        (":path", "/again"),
        ("upgrade", "websocket"),
    ],
    ids=lambda more: more[0],
)
def test_fields_that_must_not_be_there_are_a_stream_error(wire, more):
    assert wire.answer(wire.ask("/hello", more)).reset == 1
    assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("more", [("X-Upper", "1"), (":unknown", "1")], ids=lambda more: more[0])
def test_fields_that_cannot_be_end_the_connection(wire, more):
    wire.ask("/hello", more)
    wire.until_closed()
    assert wire.goaways == [1]


def test_a_body(wire):
    stream = wire.ask("/echo", ("content-length", "10"), method="POST", end=False)
    wire.send(stream, b"01234")
    wire.send(stream, b"56789", end=True)
    seen = literal(wire.answer(stream))
    assert (seen["method"], seen["body"], seen["version"]) == ("POST", b"0123456789", "2")


@pytest.mark.parametrize("length", ["3", "5"])
def test_a_body_that_is_not_as_long_as_it_says(wire, length):
    stream = wire.ask("/echo", ("content-length", length), method="POST", end=False)
    wire.send(stream, b"four", end=True)
    assert wire.answer(stream).reset == 1
    assert wire.get("/hello").body == b"hello"


def test_a_large_body_both_ways(wire):
    data = bytes(range(256)) * 4096
    stream = wire.ask("/count", method="POST", end=False)
    wire.send(stream, data, end=True)
    assert str(len(data)).encode() in wire.answer(stream).body


def test_a_body_comes_back_through_small_windows(server):
    with Http2Wire.connect(server, settings={INITIAL_WINDOW_SIZE: 1000}) as wire:
        data = bytes(range(256)) * 40
        stream = wire.ask("/back", method="POST", end=False)
        wire.send(stream, data, end=True)
        wire.until(lambda: len(wire.answers[stream].body) == 1000)
        # No byte beyond the window: the answer to a ping comes after all that was sent.
        wire.h2.ping(b"12345678")
        wire.flush()
        import h2.events

        wire.until(lambda: bool(wire.seen(h2.events.PingAckReceived)))
        assert len(wire.answers[stream].body) == 1000
        wire.open_window(1000, stream)
        assert wire.answer(stream).body == data


def test_the_window_is_opened_only_for_what_was_read(server, wire):
    name = "unread"
    wire.get("/hello")
    stream = wire.ask(f"/gated-read?id={name}", method="POST", end=False)
    room = wire.h2.local_flow_control_window(stream)
    wire.send(stream, b"x" * room)
    answer = wire.get("/hello")
    assert answer.body == b"hello"
    assert wire.h2.local_flow_control_window(stream) == 0
    server.open_gate(name)
    wire.until(lambda: wire.h2.local_flow_control_window(stream) > 0)
    wire.send(stream, b"", end=True)
    assert wire.answer(stream).status == 200


def test_many_at_once(wire):
    streams = [wire.ask(f"/hello?n={number}") for number in range(100)]
    for stream in reversed(streams):
        assert wire.answer(stream).body == b"hello"


def test_a_slow_one_does_not_hold_up_others(server, wire):
    slow = wire.ask("/gated?id=slow2")
    assert [wire.get("/hello").body for _ in range(20)] == [b"hello"] * 20
    server.open_gate("slow2")
    assert wire.answer(slow).status == 200


def test_more_streams_than_allowed_are_refused(server, wire):
    import h2.settings

    wire.get("/hello")
    limit = wire.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS]
    assert limit == 100
    wire.h2.remote_settings = h2.settings.Settings(client=False)
    streams = [wire.ask(f"/gated?id=many{number}") for number in range(limit + 1)]
    assert wire.answer(streams[-1]).reset == 7
    for number in range(limit):
        server.open_gate(f"many{number}")
    assert all(wire.answer(stream).status == 200 for stream in streams[:-1])


def test_head(wire):
    answer = wire.get("/hello", method="HEAD")
    assert (answer.status, answer.body, answer.ended) == (200, b"", True)


@pytest.mark.parametrize("status", [204, 304])
def test_no_content(wire, status):
    answer = wire.get(f"/lengths?status={status}&body=5")
    assert (answer.status, answer.body, answer.reset) == (status, b"", None)


@pytest.mark.parametrize("query", ["length=3&body=4", "length=5&body=4&pieces=2"])
def test_a_response_that_is_not_as_long_as_it_says(server, wire, query):
    answer = wire.get(f"/lengths?{query}")
    assert answer.reset == 2 or answer.status == 500
    assert wire.get("/hello").body == b"hello"


def test_unusual_headers(wire):
    wanted = "[(b'x-a',b'1'),(b'set-cookie',b'a'),(b'set-cookie',b'b'),(b'connection',b'close')]"
    answer = wire.get(f"/headers?h={wanted}".replace(" ", ""))
    assert answer.values("set-cookie") == [b"a", b"b"]
    assert answer.values("connection") == []
    assert wire.get("/hello").body == b"hello"


def test_an_exception_before_the_start(wire):
    answer = wire.get("/fail")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")


@pytest.mark.parametrize("path", ["/fail-late", "/leave-late"])
def test_an_end_in_the_middle_is_a_reset(wire, path):
    answer = wire.get(path)
    assert (answer.reset, answer.ended) == (2, False)
    assert wire.get("/hello").body == b"hello"


def test_an_answer_before_the_end_of_the_body(wire):
    stream = wire.ask("/refuse", method="POST", end=False)
    wire.send(stream, b"part")
    answer = wire.answer(stream)
    assert (answer.status, answer.body) == (413, b"too much")
    wire.until(lambda: answer.reset is not None)
    assert answer.reset == 0
    assert wire.get("/hello").body == b"hello"


def test_continue(wire):
    stream = wire.ask("/echo", ("expect", "100-continue"), method="POST", end=False)
    answer = wire.answers[stream]
    wire.until(lambda: bool(answer.hints))
    assert answer.hints[0] == [(b":status", b"100")]
    wire.send(stream, b"body", end=True)
    assert literal(wire.answer(stream))["body"] == b"body"


def test_trailers(extensions):
    with Http2Wire.connect(extensions) as wire:
        answer = wire.get("/trailers", ("te", "trailers"))
        assert (answer.body, answer.trailers) == (b"onetwo", [(b"x-sum", b"0")])
        answer = wire.get("/trailers")
        assert (answer.body, answer.trailers, answer.ended) == (b"onetwo", None, True)


def test_early_hints(extensions):
    with Http2Wire.connect(extensions) as wire:
        answer = wire.get("/early-hint")
        assert [dict(hint)[b":status"] for hint in answer.hints] == [b"103", b"103"]
        assert [v for n, v in answer.hints[1] if n == b"link"] == [b"</a>; rel=x", b"</b>; rel=y"]
        assert answer.body == b"after the hints"


@pytest.mark.parametrize("size", [10, 2_000_000])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_files(extensions, tmp_path, size, method):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(250)) * (size // 250) + b"x" * (size % 250))
    with Http2Wire.connect(extensions) as wire:
        answer = wire.get(f"/pathsend?path={path}", method=method)
        assert (answer.status, answer.ended, answer.reset) == (200, True, None)
        if method == "GET":
            assert answer.body == path.read_bytes()
            assert answer.values("content-length") == [b"%d" % size]
        assert answer.body == (path.read_bytes() if method == "GET" else b"")


def test_limit_body_size(shared_server):
    server = shared_server("apps.probe:app", "--http2", "--limit-body-size", "1000")
    with Http2Wire.connect(server) as wire:
        stream = wire.ask("/count", ("content-length", "1001"), method="POST", end=False)
        assert wire.answer(stream).status == 413
        stream = wire.ask("/count", method="POST", end=False)
        wire.send(stream, b"x" * 1001)
        assert wire.answer(stream).status == 413
        assert wire.get("/hello").body == b"hello"


def test_large_heads(wire):
    answer = wire.get("/hello", ("x-large", "y" * 10_000))
    assert answer.status == 200
    answer = wire.get("/hello", ("x-large", "y" * 70_000))
    assert answer.status == 431
    assert wire.get("/hello").status == 200
