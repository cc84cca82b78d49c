"""Requests with the freedoms that RFC 9112 gives: what the application sees of them.

Each is sent whole, in every two parts and byte by byte. h11 reads the same bytes; where it reads
something else the table says why.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from urllib.parse import unquote

import pytest
from support import h11_opinion
from support.splits import byte_by_byte, each_split

Headers = list[tuple[bytes, bytes]]

HOST = (b"host", b"a")
CHUNKED = (b"transfer-encoding", b"chunked")


@dataclass
class Seen:
    """What the application sees of one request."""

    method: str = "GET"
    target: bytes = b"/echo"
    headers: Headers = field(default_factory=lambda: [HOST])
    body: bytes = b""
    version: str = "1.1"
    path: str | None = None
    raw_path: bytes | None = None

    def scope(self) -> dict[str, object]:
        raw_path, _, query = self.target.partition(b"?")
        return {
            "method": self.method,
            "path": self.path or unquote(raw_path.decode("ascii")),
            "raw_path": self.raw_path or raw_path,
            "query": query,
            "version": self.version,
            "headers": self.headers,
            "body": self.body,
        }


@dataclass
class Case:
    """Some bytes, the requests that they are, and whether the connection ends after them."""

    raw: bytes
    requests: list[Seen]
    closes: bool = False
    h11: str | None = None


def get(headers: bytes, *pairs: tuple[bytes, bytes], **options) -> Case:
    raw = b"GET /echo HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n"
    return Case(raw, [Seen(headers=[HOST, *pairs])], **options)


def line(text: bytes, seen: Seen, **options) -> Case:
    return Case(text + b"\r\nHost: a\r\n\r\n", [seen], **options)


def chunks(data: bytes, body: bytes, *more: tuple[bytes, bytes]) -> Case:
    raw = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + data
    return Case(raw, [Seen("POST", headers=[HOST, CHUNKED, *more], body=body)])


def post(header: tuple[bytes, bytes], body: bytes) -> Case:
    name, value = header
    raw = b"POST /echo HTTP/1.1\r\nHost: a\r\n" + name + b": " + value + b"\r\n\r\n" + body
    seen = Seen("POST", headers=[HOST, (name.lower(), value)], body=body)
    return Case(raw, [seen])


CASES = {
    "simple": get(b""),
    "query": line(b"GET /echo?a=b&c=%20 HTTP/1.1", Seen(target=b"/echo?a=b&c=%20")),
    "escapes": line(b"GET /echo/%41%2f%c3%a9 HTTP/1.1", Seen(target=b"/echo/%41%2f%c3%a9")),
    "every character of a path": line(
        b"GET /echo/-._~!$&'()*+,;=:@/%00 HTTP/1.1", Seen(target=b"/echo/-._~!$&'()*+,;=:@/%00")
    ),
    "unknown method": line(b"BREW /echo HTTP/1.1", Seen("BREW")),
    "method of every character": line(
        b"M-!#$%&'*+.^_`|~9 /echo HTTP/1.1", Seen("M-!#$%&'*+.^_`|~9")
    ),
    "no space after the colon": get(b"X:y\r\n", (b"x", b"y")),
    "white space around a value": get(b"X: \t  y z\t \r\n", (b"x", b"y z")),
    "tab in a value": get(b"X: y\tz\r\n", (b"x", b"y\tz")),
    "empty value": get(b"X:\r\n", (b"x", b"")),
    "value of spaces": get(b"X:   \r\n", (b"x", b"")),
    "colons in a value": get(b"X: a:b: c\r\n", (b"x", b"a:b: c")),
    "value beyond ASCII": get(b"X: \xe9\xff\x80\r\n", (b"x", b"\xe9\xff\x80")),
    "name of every character": get(b"!#$%&'*+-.^_`|~09aZ: y\r\n", (b"!#$%&'*+-.^_`|~09az", b"y")),
    "duplicates": get(
        b"X: 1\r\nY: 2\r\nX: 3\r\nx: 1\r\n", (b"x", b"1"), (b"y", b"2"), (b"x", b"3"), (b"x", b"1")
    ),
    "cookies": get(b"Cookie: a=1\r\nCookie: b=2\r\n", (b"cookie", b"a=1"), (b"cookie", b"b=2")),
    "an upgrade that nobody knows": get(
        b"Connection: Upgrade\r\nUpgrade: foo/2\r\n",
        (b"connection", b"Upgrade"),
        (b"upgrade", b"foo/2"),
    ),
    "an upgrade to HTTP/2": get(
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        (b"connection", b"Upgrade, HTTP2-Settings"),
        (b"upgrade", b"h2c"),
        (b"http2-settings", b"AAMAAABk"),
    ),
    "upgrade without a connection header": get(
        b"Upgrade: websocket\r\n", (b"upgrade", b"websocket")
    ),
    "empty line first": Case(
        b"\r\nGET /echo HTTP/1.1\r\nHost: a\r\n\r\n",
        [Seen()],
        h11="RFC 9112, 2.2: at least one empty line SHOULD be ignored",
    ),
    "empty Host": Case(b"GET /echo HTTP/1.1\r\nHost:\r\n\r\n", [Seen(headers=[(b"host", b"")])]),
    "Host with a port": Case(
        b"GET /echo HTTP/1.1\r\nHost: a.example:8000\r\n\r\n",
        [Seen(headers=[(b"host", b"a.example:8000")])],
    ),
    "Host with an IPv6 address": Case(
        b"GET /echo HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", [Seen(headers=[(b"host", b"[::1]:80")])]
    ),
    "Host with an underscore": Case(
        b"GET /echo HTTP/1.1\r\nHost: a_b\r\n\r\n", [Seen(headers=[(b"host", b"a_b")])]
    ),
    "absolute form": line(
        b"GET http://a/echo?x=http://b/ HTTP/1.1",
        Seen(target=b"/echo?x=http://b/"),
        h11="h11 leaves the target to the application",
    ),
    "absolute form with a port": Case(
        b"GET http://a:80/echo HTTP/1.1\r\nHost: a:80\r\n\r\n",
        [Seen(headers=[(b"host", b"a:80")])],
        h11="h11 leaves the target to the application",
    ),
    "HTTP/1.0": Case(b"GET /echo HTTP/1.0\r\n\r\n", [Seen(headers=[], version="1.0")], closes=True),
    "HTTP/1.0 with a body": Case(
        b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
        [Seen("POST", headers=[(b"content-length", b"5")], version="1.0", body=b"hello")],
        closes=True,
    ),
    "close": get(b"Connection: close\r\n", (b"connection", b"close"), closes=True),
    "close in capitals": get(b"Connection: CLOSE\r\n", (b"connection", b"CLOSE"), closes=True),
    "close among others": get(
        b"Connection: x, close ,y\r\n", (b"connection", b"x, close ,y"), closes=True
    ),
    "close in a second header": get(
        b"Connection: x\r\nConnection: close\r\n",
        (b"connection", b"x"),
        (b"connection", b"close"),
        closes=True,
    ),
    "closed is not close": get(b"Connection: closed\r\n", (b"connection", b"closed")),
    "length": post((b"Content-Length", b"5"), b"hello"),
    "length of none": post((b"Content-Length", b"0"), b""),
    "length with zeros in front": post((b"Content-Length", b"0005"), b"hello"),
    "body that looks like a request": post((b"Content-Length", b"18"), b"GET / HTTP/1.1\r\n\r\n"),
    "body of line breaks": post((b"Content-Length", b"4"), b"\r\n\r\n"),
    "body of a GET": Case(
        b"GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        [Seen(headers=[HOST, (b"content-length", b"2")], body=b"hi")],
    ),
    "no body": Case(b"POST /echo HTTP/1.1\r\nHost: a\r\n\r\n", [Seen("POST")]),
    "chunks": chunks(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
    "no chunk": chunks(b"0\r\n\r\n", b""),
    "capital and small digits": chunks(
        b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2
    ),
    "zeros before a size": chunks(b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
    "chunk of line breaks": chunks(b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
    "chunk that looks like the last": chunks(b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
    "extensions": chunks(b'5;a=b;c="d e";f\r\nhello\r\n0;g\r\n\r\n', b"hello"),
    "trailers": chunks(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More:\r\n\r\n", b"hello"),
    "coding in capitals": Case(
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        [Seen("POST", headers=[HOST, (b"transfer-encoding", b"Chunked")], body=b"hi")],
        h11="h11 writes the coding in lower case",
    ),
    "two in a row": Case(
        b"GET /echo?1 HTTP/1.1\r\nHost: a\r\n\r\nGET /echo?2 HTTP/1.1\r\nHost: a\r\n\r\n",
        [Seen(target=b"/echo?1"), Seen(target=b"/echo?2")],
    ),
    "bodies in a row": Case(
        b"POST /echo?1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
        b"POST /echo?2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\ntwo\r\n0\r\n\r\n"
        b"GET /echo?3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        [
            Seen("POST", b"/echo?1", [HOST, (b"content-length", b"3")], b"one"),
            Seen("POST", b"/echo?2", [HOST, CHUNKED], b"two"),
            Seen("GET", b"/echo?3", [HOST, (b"connection", b"close")]),
        ],
        closes=True,
    ),
    "an empty line between two": Case(
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\r\n"
        b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n",
        [Seen("POST", headers=[HOST, (b"content-length", b"2")], body=b"hi"), Seen()],
        h11="RFC 9112, 2.2: at least one empty line SHOULD be ignored",
    ),
}


def answers(wire, case: Case) -> None:
    """Read the answers on a connection that has been sent the bytes of the case."""
    for seen in case.requests:
        response = wire.response(seen.method)
        assert response.status == 200, response
        assert ast.literal_eval(response.body.decode()) == seen.scope()
    if case.closes:
        assert response.closes
        assert wire.ends()
    else:
        assert wire.is_open()


@pytest.mark.parametrize("name", CASES)
def test_accepted(server, name):
    """Whole, at every split and byte by byte."""
    case = CASES[name]
    each_split(server, case.raw, lambda wire: answers(wire, case))
    byte_by_byte(server, case.raw, lambda wire: answers(wire, case))


@pytest.mark.parametrize("name", CASES)
def test_second_opinion(name):
    case = CASES[name]
    opinion = h11_opinion.of(case.raw)
    same = opinion.rejected is None and [
        (request.method, request.target, request.headers, request.body, request.version)
        for request in opinion.requests
    ] == [
        (seen.method, seen.target, seen.headers, seen.body, seen.version) for seen in case.requests
    ]
    assert same == (case.h11 is None)


def test_host_of_an_absolute_target(server):
    """RFC 9112, 3.2.2: the Host header is ignored, that of the target takes its place."""
    with server.connect() as wire:
        wire.send(b"GET http://right:81/echo HTTP/1.1\r\nHost: wrong\r\n\r\n")
        seen = ast.literal_eval(wire.response().body.decode())
    assert seen["path"] == "/echo"
    assert [value for name, value in seen["headers"] if name == b"host"] == [b"right:81"]


@pytest.mark.parametrize("target", [b"http://a", b"http://a?x"])
def test_absolute_target_without_a_path(server, target):
    with server.connect() as wire:
        wire.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
        assert wire.response().status == 404  # the handler for "/": the path is not empty


def test_options_for_the_whole_server(server):
    """The asterisk is a target of its own; what is made of it is the application's affair."""
    with server.connect() as wire:
        wire.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.response().status == 404


def test_connect_is_refused(server):
    """A server of applications is not a proxy."""
    with server.connect() as wire:
        wire.send(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
        assert wire.response().status in (400, 404, 405, 501)


@pytest.mark.parametrize("value", [b"5, 5", b"5\r\nContent-Length: 5"])
def test_the_same_length_twice(server, value):
    """RFC 9112, 6.3: to be refused, or taken for one. Either way nothing is left over."""
    with server.connect() as wire:
        wire.send(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\n\r\nhello" % value
            + b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        response = wire.response()
        if response.status == 200:
            assert ast.literal_eval(response.body.decode())["body"] == b"hello"
            assert wire.response().body == b"hello"
        else:
            assert response.status == 400
            assert wire.ends()


@pytest.mark.parametrize("order", ["length first", "coding first"])
def test_length_and_coding(server, order):
    """RFC 9112, 6.1: refused, or the coding counts; the connection must end in both cases."""
    fields = [b"Content-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n"]
    if order == "coding first":
        fields.reverse()
    with server.connect() as wire:
        wire.send(
            b"POST /echo HTTP/1.1\r\nHost: a\r\n%b\r\n0\r\n\r\nX" % b"".join(fields)
            + b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        response = wire.response()
        assert response.status in (200, 400)
        if response.status == 200:
            assert ast.literal_eval(response.body.decode())["body"] == b""
        assert response.closes
        assert wire.ends()


def test_the_next_minor_version(server):
    """RFC 9110, 2.5: HTTP/1.2 may be served as 1.1, or refused; not called 1.2."""
    with server.connect() as wire:
        wire.send(b"GET /echo HTTP/1.2\r\nHost: a\r\n\r\n")
        response = wire.response()
        if response.status == 200:
            assert ast.literal_eval(response.body.decode())["version"] == "1.1"
        else:
            assert response.status in (400, 505)
            assert wire.ends()
