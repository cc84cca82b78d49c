"""The opening handshake of a WebSocket: what is taken, what is refused and how."""

from __future__ import annotations

import ast

import pytest
from support import serving
from support.http_wire import Truncated
from support.serving import unique
from support.splits import byte_by_byte, each_split
from support.websocket_wire import TEXT, WebSocket, accept_of, frame, new_key, upgrade


@pytest.fixture
def server(shared_server):
    return shared_server("apps.sockets:app")


KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455, 1.3
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

GOOD = {
    b"Host": b"a",
    b"Upgrade": b"websocket",
    b"Connection": b"Upgrade",
    b"Sec-WebSocket-Key": KEY,
    b"Sec-WebSocket-Version": b"13",
}


def request(
    changes: dict[bytes, bytes | None] | None = None, line: bytes = b"GET /echo HTTP/1.1"
) -> bytes:
    """A handshake with some headers changed, or left out where the value is None."""
    headers = GOOD | (changes or {})
    lines = [name + b": " + value for name, value in headers.items() if value is not None]
    return b"\r\n".join([line, *lines]) + b"\r\n\r\n"


def test_accept(wire):
    wire.send(request())
    response = wire.response()
    assert (response.status, response.reason) == (101, b"Switching Protocols")
    assert response[b"sec-websocket-accept"] == ACCEPT == accept_of(KEY)
    assert response[b"upgrade"].lower() == b"websocket"
    assert response[b"connection"].lower() == b"upgrade"
    for name in (b"content-length", b"transfer-encoding", b"sec-websocket-protocol"):
        assert name not in response


def test_scope(server, wire):
    name = unique()
    headers = [
        (b"origin", b"http://a"),
        (b"sec-websocket-protocol", b"one, two"),
        (b"sec-websocket-protocol", b"three"),
    ]
    socket = WebSocket.open(wire, f"/scope?id={name}", headers)
    scope = ast.literal_eval(socket.receive_text())
    extensions, state = scope.pop("extensions"), scope.pop("state")
    assert extensions["websocket.http.response"] == {}
    assert state == {}
    seen = scope.pop("headers")
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/scope",
        "raw_path": b"/scope",
        "query_string": f"id={name}".encode(),
        "root_path": "",
        "client": wire.sock.getsockname(),
        "server": wire.sock.getpeername(),
        "subprotocols": ["one", "two", "three"],
    }
    assert [pair for pair in seen if pair[0] in (b"origin", b"sec-websocket-protocol")] == headers
    assert (b"upgrade", b"websocket") in seen
    assert server.seen(name, 1).notes == [{"type": "websocket.connect"}]


def test_scope_behind_a_proxy(wire):
    headers = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-for", b"203.0.113.7")]
    scope = ast.literal_eval(WebSocket.open(wire, "/scope", headers).receive_text())
    assert scope["scheme"] == "wss"
    assert scope["client"] == ("203.0.113.7", 0)


TAKEN = {
    "as it should be": request(),
    "other letters": request({b"Upgrade": b"WebSocket", b"Connection": b"upgrade"}),
    "among other tokens": request({b"Connection": b"keep-alive, Upgrade"}),
    "two connection headers": request({b"Connection": b"keep-alive\r\nConnection: Upgrade"}),
    "with an origin": request({b"Origin": b"http://elsewhere"}),
    "with a length of none": request({b"Content-Length": b"0"}),
    "with protocols nobody takes": request({b"Sec-WebSocket-Protocol": b"a, b"}),
    "with an extension nobody knows": request({b"Sec-WebSocket-Extensions": b"x-nonsense; a=b"}),
    "absolute target": request(line=b"GET http://a/echo HTTP/1.1"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_taken(server, name):
    def judge(wire):
        response = wire.response()
        assert response.status == 101
        assert response[b"sec-websocket-accept"] == ACCEPT
        socket = WebSocket(wire, response)
        socket.send_text("hello")
        assert socket.receive_text() == "hello"

    each_split(server, TAKEN[name], judge)
    byte_by_byte(server, TAKEN[name], judge)


REFUSED = {
    "no key": (request({b"Sec-WebSocket-Key": None}), 400),
    "empty key": (request({b"Sec-WebSocket-Key": b""}), 400),
    "short key": (request({b"Sec-WebSocket-Key": b"dGhlIHNhbXBsZQ=="}), 400),
    "key that is not base64": (request({b"Sec-WebSocket-Key": b"!" * 24}), 400),
    "two keys": (
        request({b"Sec-WebSocket-Key": KEY + b"\r\nSec-WebSocket-Key: " + KEY}),
        400,
    ),
    "no version": (request({b"Sec-WebSocket-Version": None}), 400, 426),
    "old version": (request({b"Sec-WebSocket-Version": b"8"}), 400, 426),
    "version of the future": (request({b"Sec-WebSocket-Version": b"14"}), 400, 426),
    "version of letters": (request({b"Sec-WebSocket-Version": b"x"}), 400, 426),
    # Or an ordinary request.
    "POST": (request({b"Content-Length": b"0"}, b"POST /hello HTTP/1.1"), 400, 405, 426, 200),
    "no Host": (request({b"Host": None}), 400),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(wire, name):
    raw, *statuses = REFUSED[name]
    wire.send(raw)
    response = wire.response()
    assert response.status in statuses
    if "version" in name:
        assert response[b"sec-websocket-version"] == b"13"
        if response.status == 426:
            assert response[b"upgrade"].lower() == b"websocket"


NOT_FOR_US = {
    "no upgrade": request({b"Upgrade": None}),
    "no connection": request({b"Connection": None}),
    "connection of something else": request({b"Connection": b"keep-alive"}),
    "another upgrade": request({b"Upgrade": b"foo"}),
    "HTTP/1.0": request(line=b"GET /echo HTTP/1.0"),
}


@pytest.mark.parametrize("name", NOT_FOR_US)
def test_no_handshake_at_all(wire, name):
    """An ordinary request, which this application does not serve there; or a bad one."""
    wire.send(NOT_FOR_US[name].replace(b"/echo", b"/hello"))
    response = wire.response()
    assert response.status in (200, 400, 426)


def test_frames_right_after_the_handshake(wire):
    """In the same packet: a client that knows the answer need not wait for it."""
    wire.send(request() + frame(TEXT, b"one") + frame(TEXT, b"two"))
    socket = WebSocket(wire, wire.response())
    assert socket.receive_text() == "one"
    assert socket.receive_text() == "two"


def test_after_an_ordinary_request(wire):
    assert wire.get("/hello").body == b"hello"
    socket = WebSocket.open(wire, "/echo")
    socket.send_text("x")
    assert socket.receive_text() == "x"


def test_pipelined_after_an_ordinary_request(wire):
    wire.send(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n" + request())
    assert wire.response().body == b"hello"
    assert wire.response().status == 101


class TestSubprotocols:
    @pytest.mark.parametrize(
        ("headers", "offered"),
        [
            ([b"one"], ["one"]),
            ([b"one, two"], ["one", "two"]),
            ([b"one,two"], ["one", "two"]),
            ([b" one ,\ttwo "], ["one", "two"]),
            ([b"one", b"two, three"], ["one", "two", "three"]),
            ([], []),
        ],
    )
    def test_offered(self, server, wire, headers, offered):
        name = unique()
        pairs = [(b"Sec-WebSocket-Protocol", value) for value in headers]
        socket = WebSocket.open(wire, f"/accepting?id={name}", pairs)
        assert socket.receive_text() == "accepted"
        assert b"sec-websocket-protocol" not in socket.response
        assert server.seen(name, 1).notes == [("offered", offered)]

    def test_chosen(self, wire):
        socket = WebSocket.open(
            wire, "/accepting?subprotocol=two", [(b"sec-websocket-protocol", b"one, two")]
        )
        assert socket.response[b"sec-websocket-protocol"] == b"two"


class TestHeaders:
    def test_of_the_application(self, wire):
        headers = "[(b'x-a',b'1'),(b'set-cookie',b'a=1'),(b'set-cookie',b'b=2')]"
        response = WebSocket.open(wire, f"/accepting?headers={headers}").response
        assert response[b"x-a"] == b"1"
        assert response.all(b"set-cookie") == [b"a=1", b"b=2"]

    @pytest.mark.skipif(serving.KIND != "vivace", reason="uvicorn sends both")
    def test_a_header_of_the_servers_own(self, wire):
        """Said by the application, it takes the place of the server's."""
        headers = "[(b'Server',b'mine'),(b'server',b'other')]"
        response = WebSocket.open(wire, f"/accepting?headers={headers}").response
        assert response.all(b"server") == [b"mine", b"other"]
        assert len(response.all(b"date")) == 1

    def test_injection(self, server, wire):
        name = unique()
        wire.send(upgrade(f"/accepting?id={name}&headers=[(b'x-a',b'1%5Cr%5Cnx-injected:1')]"))
        response = wire.response()
        assert response.status != 101
        assert b"x-injected" not in response
        assert server.seen(name).notes[1][0] == "raised"

    def test_bare_messages(self, wire):
        """Frameworks send each key with None where they have nothing."""
        socket = WebSocket.open(wire, "/accept-bare")
        assert [socket.receive().payload for _ in range(3)] == [b"one", b"two", b"three"]
        assert socket.closed_with(1000) == ""

    def test_default_headers(self, wire):
        assert WebSocket.open(wire, "/echo").response[b"date"]

    def test_headers_of_every_response(self, shared_server):
        server = shared_server("apps.sockets:app", "--header", "X-One: 1", "--header", "X-Two: 2")
        with server.connect() as wire:
            socket = WebSocket.open(wire, "/echo")
            assert (socket.response[b"x-one"], socket.response[b"x-two"]) == (b"1", b"2")
            socket.send_text("and goes on")
            assert socket.receive_text() == "and goes on"


def test_accept_before_connect_is_received(server, wire):
    name = unique()
    socket = WebSocket.open(wire, f"/accept-first?id={name}")
    assert socket.receive_text() == "accepted"
    assert server.seen(name, 1).notes == [{"type": "websocket.connect"}]


class TestRefusedByTheApplication:
    def test_close_before_accept(self, server, wire):
        name = unique()
        wire.send(upgrade(f"/refuse?id={name}"))
        assert wire.response().status == 403
        connect, disconnect = server.seen(name).notes
        assert connect == {"type": "websocket.connect"}
        assert disconnect["type"] == "websocket.disconnect"
        assert disconnect["code"] == 1006

    @pytest.mark.parametrize("path", ["/leave-before", "/leave-at-once"])
    def test_return_before_accept(self, wire, path):
        wire.send(upgrade(path))
        assert wire.response().status in (403, 500)

    def test_exception_before_accept(self, server, wire):
        wire.send(upgrade("/fail-before"))
        assert wire.response().status == 500
        server.printed("ValueError: raised before accept")

    def test_client_leaves_before_accept(self, server, wire):
        name = unique()
        wire.send(upgrade(f"/wait-before?id={name}"))
        server.seen(name, 1)
        wire.reset()
        connect, disconnect, sent = server.seen(name).notes
        assert disconnect["type"] == "websocket.disconnect"
        assert disconnect["code"] == 1006
        assert sent[0] == "OSError"

    def test_unknown_path(self, wire):
        """The application answers it as HTTP would be: that raises, as there is no accept."""
        wire.send(upgrade("/nothing-here"))
        assert wire.response().status in (403, 500)


class TestDenial:
    """`websocket.http.response`: an answer of the application's own instead of a 403."""

    def test_in_one_part(self, server, wire):
        name = unique()
        wire.send(upgrade(f"/deny?id={name}"))
        response = wire.response()
        assert (response.status, response.body) == (401, b"no")
        assert response[b"x-why"] == b"because"
        offered, disconnect = server.seen(name).notes
        assert offered is True
        assert disconnect["type"] == "websocket.disconnect"

    def test_in_several_parts(self, server, wire):
        name = unique()
        wire.send(upgrade(f"/deny-in-parts?id={name}"))
        response = wire.response()
        assert (response.status, response.body) == (403, b"not for you!")
        assert response[b"content-type"] == b"text/plain"
        assert server.seen(name).notes == ["sent"]

    def test_application_leaves_in_the_middle(self, wire):
        wire.send(upgrade("/deny-and-leave"))
        with pytest.raises((Truncated, ConnectionResetError)):
            wire.response()

    @pytest.mark.skipif(serving.KIND != "vivace", reason="uvicorn has sent the start")
    @pytest.mark.parametrize("how", ["leave", "raise"])
    def test_only_a_start(self, server, wire, how):
        """The client has seen nothing of it, and gets a whole answer."""
        wire.send(upgrade(f"/deny-with-a-start?{how}"))
        response = wire.response()
        assert (response.status, response.body) == (500, b"Internal Server Error")
        server.printed("returned without completing response|ValueError: raised in a denial")

    def test_nothing_else_after_its_start(self, server, wire):
        name = unique()
        wire.send(upgrade(f"/deny-then-accept?id={name}"))
        response = wire.response()
        assert (response.status, response.body) == (403, b"no")
        assert [note[0] for note in server.seen(name).notes] == ["raised"] * 3

    def test_not_after_accept(self, server, wire):
        name = unique()
        socket = WebSocket.open(wire, f"/accept-then-deny?id={name}")
        assert socket.receive_text() == "still here"
        assert server.seen(name, 1).notes[0][0] == "raised"

    def test_the_connection_afterwards(self, wire):
        """It goes on as HTTP, or ends; it does not hang."""
        wire.send(upgrade("/deny") + b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        first = wire.response()
        assert first.status == 401
        try:
            assert wire.response().body == b"hello"
        except (Truncated, ConnectionResetError) as exc:
            assert not getattr(exc, "received", b"")


class TestTurnedOff:
    def test_ws_none(self, shared_server):
        """Then it is an ordinary request."""
        with shared_server("apps.sockets:app", "--ws", "none").connect() as wire:
            wire.send(upgrade("/hello"))
            response = wire.response()
            assert (response.status, response.body) == (200, b"hello")


def test_keys_are_checked_for_each_connection(server):
    for _ in range(20):
        with server.connect() as wire:
            key = new_key()
            wire.send(upgrade("/echo", key=key))
            assert wire.response()[b"sec-websocket-accept"] == accept_of(key)
