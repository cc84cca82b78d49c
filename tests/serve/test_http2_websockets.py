"""WebSockets over HTTP/2 (RFC 8441): streams that become WebSockets, beside requests."""

from __future__ import annotations

import signal
import time

import pytest
from support import serving
from support.http2_wire import Http2Wire
from support.http_wire import within
from support.serving import unique
from support.websocket_wire import BINARY, CLOSE, PING, PONG, WebSocket, close, frame

pytestmark = pytest.mark.skipif(serving.KIND != "vivace", reason="only vivace has this")

ENABLE_CONNECT_PROTOCOL = 8


class StreamWire:
    """One stream as `WebSocket` reads and writes a connection."""

    def __init__(self, wire: Http2Wire, path: str, *headers: tuple[str, str], **more: str) -> None:
        self.wire = wire
        fields = {
            ":method": "CONNECT",
            ":protocol": "websocket",
            ":scheme": "http",
            ":authority": "a.example",
            ":path": path,
            "sec-websocket-version": "13",
        } | {name.replace("_", "-"): value for name, value in more.items()}
        self.stream = wire.ask_with([*fields.items(), *headers], end=False)
        self.answer = wire.answers[self.stream]
        wire.open_window(1 << 20)
        wire.open_window(1 << 20, self.stream)
        self._taken = 0

    def status(self) -> int:
        self.wire.until(lambda: bool(self.answer.headers) or self.answer.reset is not None)
        return self.answer.status

    def send(self, data: bytes) -> None:
        self.wire.send(self.stream, data)

    send_what_is_taken = send

    def read(self, size: int, what: str = "") -> bytes:
        end = self._taken + size
        self.wire.until(lambda: len(self.answer.body) >= end)
        data = self.answer.body[self._taken : end]
        self._taken = end
        return data

    def ends(self) -> bool:
        self.wire.until(lambda: self.answer.ended)
        return True

    def open(self) -> WebSocket:
        assert self.status() == 200
        return WebSocket(self, self.answer)  # type: ignore[arg-type]


@pytest.fixture
def server(shared_server):
    return shared_server("apps.sockets:app", "--http2")


@pytest.fixture
def wire(server):
    with Http2Wire.connect(server) as wire:
        yield wire


def test_is_offered(wire):
    assert wire.get("/hello").body == b"hello"
    assert wire.h2.remote_settings.get(ENABLE_CONNECT_PROTOCOL) == 1


def test_not_offered_without_websockets(shared_server):
    with Http2Wire.connect(shared_server("apps.sockets:app", "--http2", "--ws", "none")) as wire:
        assert wire.get("/hello").body == b"hello"
        assert not wire.h2.remote_settings.get(ENABLE_CONNECT_PROTOCOL)


def test_messages_both_ways(wire):
    stream = StreamWire(wire, "/echo")
    socket = stream.open()
    names = {name for name, _ in stream.answer.headers}
    assert not names & {b"upgrade", b"connection", b"sec-websocket-accept"}
    for text in ("hi", "x" * 70_000, "\N{SNOWMAN}"):
        socket.send_text(text)
        assert socket.receive_text() == text
    socket.send(frame(BINARY, b"\0\xff"))
    assert socket.receive().payload == b"\0\xff"
    socket.send(frame(PING, b"you?"))
    found = socket.receive()
    assert (found.opcode, found.payload) == (PONG, b"you?")
    socket.send(close(4001, b"enough"))
    assert socket.receive().close_code == 4001
    assert stream.ends()
    assert wire.get("/hello").body == b"hello"


def test_headers_of_every_response(shared_server):
    server = shared_server("apps.sockets:app", "--http2", "--header", "X-One: 1")
    with Http2Wire.connect(server) as wire:
        stream = StreamWire(wire, "/echo")
        socket = stream.open()
        assert (b"x-one", b"1") in stream.answer.headers
        socket.send_text("and goes on")
        assert socket.receive_text() == "and goes on"


def test_the_scope(wire):
    stream = StreamWire(wire, "/scope?a=b", ("sec-websocket-protocol", "one, two"))
    text = stream.open().receive_text()
    assert "'type': 'websocket'" in text
    assert "'http_version': '2'" in text
    assert "'scheme': 'ws'" in text
    assert "'path': '/scope'" in text
    assert "'subprotocols': ['one', 'two']" in text
    assert "'method'" not in text


def test_beside_others(wire):
    """Streams do not wait for each other."""
    first, second = StreamWire(wire, "/echo"), StreamWire(wire, "/echo")
    one, two = first.open(), second.open()
    for number in range(20):
        one.send_text(f"one {number}")
        two.send_text(f"two {number}")
        assert wire.get("/hello").body == b"hello"
        assert two.receive_text() == f"two {number}"
        assert one.receive_text() == f"one {number}"
    two.send(close(1000))
    assert two.receive().opcode == CLOSE
    one.send_text("still")
    assert one.receive_text() == "still"


def test_frames_before_the_answer(wire):
    stream = StreamWire(wire, "/echo")
    stream.send(frame(1, b"early"))
    assert stream.open().receive_text() == "early"


@pytest.mark.parametrize(
    ("path", "status", "body"), [("/refuse", 403, b""), ("/leave-before", 500, None)]
)
def test_denied(wire, path, status, body):
    stream = StreamWire(wire, path)
    assert stream.status() == status
    assert stream.ends()
    assert body in (None, stream.answer.body)
    assert wire.get("/hello").body == b"hello"


def test_denied_with_a_response(wire):
    stream = StreamWire(wire, "/deny-in-parts")
    stream.status()
    assert stream.ends()
    assert stream.answer.body
    assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"sec_websocket_version": "12"}, 400),
        ({":protocol": "connect-udp"}, 501),
    ],
)
def test_wrong_handshakes(wire, more, status):
    stream = StreamWire(wire, "/echo", **more)
    assert stream.status() == status
    assert wire.get("/hello").body == b"hello"


def test_a_stream_that_is_reset(server, wire):
    name = unique()
    stream = StreamWire(wire, f"/note?id={name}")
    stream.open()
    wire.reset(stream.stream)
    within(lambda: "1006" in str(server.seen(name)), "a disconnect without a close frame")
    assert wire.get("/hello").body == b"hello"


def test_a_stream_that_ends_without_a_close_frame(server, wire):
    name = unique()
    stream = StreamWire(wire, f"/note?id={name}")
    stream.open()
    wire.send(stream.stream, b"", end=True)
    assert stream.ends()
    assert "1006" in str(server.seen(name))


def test_a_stream_that_ends_before_the_answer(server, wire):
    name = unique()
    stream = StreamWire(wire, f"/wait-before?id={name}")
    server.seen(name, 1)
    wire.send(stream.stream, b"", end=True)
    wire.until(lambda: stream.answer.reset is not None)
    assert server.seen(name).ended is not None
    assert wire.get("/hello").body == b"hello"


def test_a_lost_connection(server):
    name = unique()
    with Http2Wire.connect(server) as wire:
        StreamWire(wire, f"/note?id={name}").open()
    assert "1006" in str(server.seen(name))


def test_an_application_that_raises(wire):
    stream = StreamWire(wire, "/fail")
    socket = stream.open()
    assert socket.receive_text() == "bye"
    found = socket.receive()
    assert (found.opcode, found.close_code) == (CLOSE, 1011)
    stream.send(frame(CLOSE, found.payload))
    assert stream.ends()


def test_an_invalid_frame(wire):
    stream = StreamWire(wire, "/echo")
    socket = stream.open()
    socket.send(frame(1, b"x", mask=None))
    assert socket.receive().close_code == 1002
    assert stream.ends()
    assert wire.get("/hello").body == b"hello"


def test_pings_and_a_client_that_does_not_answer(shared_server):
    flags = ("--ws-ping-interval", "0.2", "--ws-ping-timeout", "0.4")
    with Http2Wire.connect(shared_server("apps.sockets:app", "--http2", *flags)) as wire:
        dumb, lively = StreamWire(wire, "/echo"), StreamWire(wire, "/echo")
        first, second = dumb.open(), lively.open()
        begin = time.monotonic()
        while time.monotonic() - begin < 1.5:
            ping = second.receive()
            assert ping.opcode == PING
            second.send(frame(PONG, ping.payload))
        assert first.receive().opcode == PING
        while (found := first.receive()).opcode == PING:
            pass
        assert found.close_code == 1011
        assert dumb.ends()
        second.send_text("here")
        while (found := second.receive()).opcode == PING:
            pass
        assert found.payload == b"here"


def test_a_client_that_never_answers_a_close_frame(wire):
    stream = StreamWire(wire, "/leave")
    socket = stream.open()
    assert socket.receive_text() == "bye"
    assert socket.receive().opcode == CLOSE
    begin = time.monotonic()
    assert stream.ends()
    assert 4 < time.monotonic() - begin < 9
    assert wire.get("/hello").body == b"hello"


def test_the_end_of_the_server(start_server):
    server = start_server("apps.sockets:app", "--http2")
    with Http2Wire.connect(server) as wire:
        stream = StreamWire(wire, "/echo")
        socket = stream.open()
        server.signal(signal.SIGTERM)
        found = socket.receive()
        assert (found.opcode, found.close_code) == (CLOSE, 1012)
        socket.send(frame(CLOSE, found.payload))
        wire.until_closed()
    assert server.wait(10) == -signal.SIGTERM


def test_more_than_the_application_takes(shared_server):
    """The window closes; nothing is lost, and others are not held up."""
    server = shared_server("apps.sockets:app", "--http2", "--ws-max-queue", "2")
    name = unique()
    with Http2Wire.connect(server) as wire:
        stream = StreamWire(wire, f"/slow-reader?id={name}")
        socket = stream.open()
        data = frame(BINARY, b"x" * 20_000)
        for _ in range(10):
            room = wire.h2.local_flow_control_window(stream.stream)
            assert room >= len(data)
            stream.send(data)
        assert wire.get("/hello").body == b"hello"
        server.open_gate(name)
        assert socket.receive_text() == "10"
