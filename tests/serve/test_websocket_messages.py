"""Messages of a WebSocket: frames of every size, fragments, limits, and what is against the rules.

Everything a client may do wrong has its close code in RFC 6455.
"""

from __future__ import annotations

import struct

import pytest
from support.http_wire import Wire
from support.patience import SECONDS
from support.serving import unique
from support.splits import byte_by_byte, each_split
from support.websocket_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    WebSocket,
    close,
    frame,
)

PROTOCOL_ERROR, BAD_DATA = 1002, 1007


@pytest.fixture
def server(shared_server):
    return shared_server("apps.sockets:app")


@pytest.fixture
def socket(wire):
    return WebSocket.open(wire, "/echo")


class TestEcho:
    @pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70_000, 1_000_000])
    def test_sizes(self, socket, size):
        for opcode in (TEXT, BINARY):
            payload = (b"0123456789" * (size // 10 + 1))[:size]
            socket.send(frame(opcode, payload))
            echo = socket.receive()
            assert (echo.opcode, echo.payload, echo.fin) == (opcode, payload, True)

    @pytest.mark.parametrize("size", [125, 126, 65535, 65536])
    def test_sizes_of_the_server(self, wire, size):
        """The fewest bytes of length: `receive` checks it."""
        assert WebSocket.open(wire, f"/sizes?size={size}").receive_text() == "x" * size

    def test_masks(self, socket):
        for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x80\x01\x7f\xfe"):
            for size in range(20):
                payload = b"abcdefghijklmnopqrst"[:size]
                socket.send(frame(BINARY, payload, mask=mask))
                assert socket.receive().payload == payload

    def test_text_is_text(self, socket):
        for text in ("", "é", "你好", "🦀", "\0", "\ufeff", "\U0010ffff", "a\r\nb"):
            socket.send_text(text)
            assert socket.receive_text() == text

    def test_many_at_once(self, socket):
        socket.send(b"".join(frame(TEXT, b"%d" % number) for number in range(1000)))
        assert [socket.receive_text() for _ in range(1000)] == [str(n) for n in range(1000)]

    def test_in_every_two_parts(self, server):
        """The handshake was tested so; here the frames are split."""
        raw = (
            frame(TEXT, "é🦀".encode(), fin=False)
            + frame(PING, b"p")
            + frame(CONTINUATION, b"end")
            + frame(BINARY, b"x" * 130)
        )

        def prepare(wire):
            sockets[wire] = WebSocket.open(wire, "/echo")

        def judge(wire):
            pong = sockets[wire].receive()
            assert (pong.opcode, pong.payload) == (PONG, b"p")
            assert sockets[wire].receive_text() == "é🦀end"
            assert sockets[wire].receive().payload == b"x" * 130
            wire.send(close(4000, b"done"))
            assert sockets[wire].closed_with(4000, answer=False) == "done"

        sockets: dict[Wire, WebSocket] = {}
        each_split(server, raw, judge, prepare=prepare)
        byte_by_byte(server, raw, judge, prepare=prepare)


class TestMessagesOfTheApplication:
    def test_keys(self, server, wire):
        """One of text and bytes has a value; the other is None, or not there."""
        name = unique()
        socket = WebSocket.open(wire, f"/note?id={name}")
        socket.send(frame(TEXT, b"t") + frame(BINARY, b"b") + close(1000))
        text, data, _ = server.seen(name).notes
        assert (text["type"], text["text"], text.get("bytes")) == ("websocket.receive", "t", None)
        assert (data["type"], data["bytes"], data.get("text")) == ("websocket.receive", b"b", None)
        assert set(text) | set(data) <= {"type", "text", "bytes"}

    @pytest.mark.parametrize(
        "kind",
        [
            "type",
            "no type",
            "http",
            "accept again",
            "nothing to send",
            "none to send",
            "text of bytes",
            "bytes of text",
            "number",
            "code of text",
            "code 1005",
            "code 1006",
            "code 999",
            "code 5000",
            "reason of bytes",
        ],
    )
    def test_bad_ones_raise(self, server, wire, kind):
        name = unique()
        socket = WebSocket.open(wire, f"/bad?id={name}&kind={kind}".replace(" ", "%20"))
        found = socket.receive()
        assert server.seen(name, 1).notes[0][0] == "raised"
        # What was raised could be caught, and the connection lives on.
        assert (found.opcode, found.payload) == (TEXT, b"all the same")

    def test_text_and_bytes(self, server, wire):
        """Exactly one must have a value; what is made of both is left open, but not two frames."""
        name = unique()
        socket = WebSocket.open(wire, f"/both?id={name}")
        server.seen(name, 1)
        socket.send(close(1000))
        frames = []
        while not frames or frames[-1].opcode != CLOSE:
            frames.append(socket.receive())
        assert len(frames) <= 2


class TestFragments:
    def test_several(self, socket):
        socket.send(
            frame(TEXT, b"one ", fin=False)
            + frame(CONTINUATION, b"", fin=False)
            + frame(CONTINUATION, b"two ", fin=False)
            + frame(CONTINUATION, b"three")
        )
        assert socket.receive_text() == "one two three"

    def test_of_one_byte(self, socket):
        text = "é🦀" * 50
        data = text.encode()
        socket.send(
            frame(TEXT, data[:1], fin=False)
            + b"".join(frame(CONTINUATION, data[i : i + 1], fin=False) for i in range(1, len(data)))
            + frame(CONTINUATION)
        )
        assert socket.receive_text() == text

    def test_control_frames_in_between(self, socket):
        socket.send(
            frame(BINARY, b"a", fin=False)
            + frame(PING, b"1")
            + frame(CONTINUATION, b"b", fin=False)
            + frame(PONG, b"unasked")
            + frame(PING, b"2")
            + frame(CONTINUATION, b"c")
        )
        assert [(f.opcode, f.payload) for f in (socket.receive() for _ in range(3))] == [
            (PONG, b"1"),
            (PONG, b"2"),
            (BINARY, b"abc"),
        ]

    def test_close_in_between(self, server, wire):
        name = unique()
        socket = WebSocket.open(wire, f"/note?id={name}")
        socket.send(frame(TEXT, b"never ", fin=False) + close(1001))
        # A close may come at any time; some take it as one against the rules of fragments.
        found = socket.receive()
        assert found.close_code in (1001, PROTOCOL_ERROR)
        wire.ends()
        (note,) = server.seen(name).notes
        assert note["type"] == "websocket.disconnect"
        assert note["code"] in (1001, 1006, PROTOCOL_ERROR)


class TestPing:
    @pytest.mark.parametrize("payload", [b"", b"x", bytes(range(125))])
    def test_answered(self, socket, payload):
        socket.send(frame(PING, payload))
        pong = socket.receive()
        assert (pong.opcode, pong.payload) == (PONG, payload)

    def test_unasked_pong_is_ignored(self, socket):
        socket.send(frame(PONG, b"x"))
        socket.send_text("still here")
        assert socket.receive_text() == "still here"

    def test_answered_while_the_application_works(self, server, wire):
        """It need not receive for that."""
        name = unique()
        socket = WebSocket.open(wire, f"/gated?id={name}")
        server.seen(name, 1)
        for number in range(5):
            socket.send(frame(PING, b"%d" % number))
            assert socket.receive().payload == b"%d" % number
        server.open_gate(name)
        socket.send(close(1000))
        assert server.seen(name).ended == "returned"


WRONG = {
    "unmasked": (frame(TEXT, b"x", mask=None), PROTOCOL_ERROR),
    "unmasked ping": (frame(PING, b"", mask=None), PROTOCOL_ERROR),
    "reserved bit 1": (frame(TEXT, b"x", reserved=4), PROTOCOL_ERROR),
    "reserved bit 2": (frame(TEXT, b"x", reserved=2), PROTOCOL_ERROR),
    "reserved bit 3": (frame(TEXT, b"x", reserved=1), PROTOCOL_ERROR),
    "reserved bit of a ping": (frame(PING, b"", reserved=4), PROTOCOL_ERROR),
    **{
        f"opcode {opcode}": (frame(opcode, b"x"), PROTOCOL_ERROR)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    "ping in fragments": (frame(PING, b"x", fin=False), PROTOCOL_ERROR),
    "close in fragments": (frame(CLOSE, b"", fin=False), PROTOCOL_ERROR),
    "long ping": (frame(PING, b"x" * 126), PROTOCOL_ERROR),
    "long pong": (frame(PONG, b"x" * 126), PROTOCOL_ERROR),
    "long close": (frame(CLOSE, b"\x03\xe8" + b"x" * 124), PROTOCOL_ERROR),
    "continuation of nothing": (frame(CONTINUATION, b"x"), PROTOCOL_ERROR),
    "text within a message": (
        frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
        PROTOCOL_ERROR,
    ),
    "bytes within a message": (
        frame(TEXT, b"a", fin=False) + frame(BINARY, b"b", fin=False),
        PROTOCOL_ERROR,
    ),
    "close of one byte": (frame(CLOSE, b"\x03"), PROTOCOL_ERROR),
    **{
        f"close with {code}": (frame(CLOSE, struct.pack("!H", code)), PROTOCOL_ERROR)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "close with a reason that is not text": (close(1000, b"\xff"), BAD_DATA),
    "bytes that are not UTF-8": (frame(TEXT, b"\xff"), BAD_DATA),
    "overlong UTF-8": (frame(TEXT, b"\xc0\xaf"), BAD_DATA),
    "surrogates": (frame(TEXT, b"\xed\xa0\x80"), BAD_DATA),
    "beyond Unicode": (frame(TEXT, b"\xf4\x90\x80\x80"), BAD_DATA),
    "half a character": (frame(TEXT, b"\xc3"), BAD_DATA),
    "half a character in fragments": (
        frame(TEXT, b"\xe4\xbd", fin=False) + frame(CONTINUATION, b"a"),
        BAD_DATA,
    ),
    "half a character at the end of fragments": (
        frame(TEXT, b"abc", fin=False) + frame(CONTINUATION, b"\xf0\x9f"),
        BAD_DATA,
    ),
    "length with its highest bit": (
        b"\x82\xff" + struct.pack("!Q", 1 << 63) + b"\0\0\0\0",
        (PROTOCOL_ERROR, 1009),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_against_the_rules(server, name):
    """The right code, then the end; the application sees a disconnect and nothing else."""
    wrong, code = WRONG[name]
    ident = unique()
    with server.connect() as wire:
        socket = WebSocket.open(wire, f"/note?id={ident}")
        socket.send(frame(TEXT, b"before"))
        server.seen(ident, 1)
        socket.send(wrong)
        wire.send_what_is_taken(frame(TEXT, b"after"))
        found = socket.receive()
        assert found.opcode == CLOSE, found
        assert found.close_code in (code if isinstance(code, tuple) else (code,))
        wire.ends()
    notes = server.seen(ident).notes
    assert [note["type"] for note in notes] == ["websocket.receive", "websocket.disconnect"]
    assert notes[1]["code"] in (1006, found.close_code)


@pytest.mark.parametrize("name", ["length of 2 bytes", "length of 8 bytes"])
def test_more_bytes_of_length_than_needed(socket, name):
    """RFC 6455, 5.2: the minimal number must be used; taken for what it is, or refused."""
    socket.send(frame(TEXT, b"x", length_bytes=int(name.split()[2])))
    found = socket.receive()
    if found.opcode == CLOSE:
        assert found.close_code == PROTOCOL_ERROR
    else:
        assert found.payload == b"x"


class TestLimits:
    flags = ("--ws-max-size", "1000")
    large = b"x" * 1001

    @pytest.fixture
    def small(self, shared_server):
        with shared_server("apps.sockets:app", *self.flags).connect() as wire:
            yield WebSocket.open(wire, "/echo")

    def test_as_large_as_allowed(self, small):
        small.send(frame(BINARY, b"x" * 1000))
        assert small.receive().payload == b"x" * 1000
        small.send(frame(BINARY, b"x" * 500, fin=False) + frame(CONTINUATION, b"x" * 500))
        assert len(small.receive().payload) == 1000

    @pytest.mark.parametrize(
        "raw",
        [
            frame(TEXT, large),
            frame(BINARY, large),
            frame(BINARY, b"x" * 600, fin=False) + frame(CONTINUATION, b"x" * 600),
            # Only the head: nobody waits for what will be too much.
            frame(BINARY, b"x" * 70_000)[:14],
            b"\x82\xff" + struct.pack("!Q", 1 << 40) + b"\0\0\0\0",
        ],
        ids=["text", "bytes", "fragments", "head alone", "head of a terabyte"],
    )
    def test_too_large(self, small, raw):
        small.send(raw)
        small.closed_with(1009)

    def test_many_small_ones(self, small):
        for _ in range(100):
            small.send(frame(BINARY, b"x" * 1000))
            assert len(small.receive().payload) == 1000

    def test_default_is_16_mib(self, server, wire):
        socket = WebSocket.open(wire, "/echo")
        socket.send(frame(BINARY, b"x" * (16 << 20)))
        assert len(socket.receive().payload) == 16 << 20
        wire.send_what_is_taken(frame(BINARY, b"x" * ((16 << 20) + 1)))
        socket.closed_with(1009)


class TestBackpressure:
    def test_an_application_that_does_not_receive(self, server, wire):
        """The server stops reading after some messages; none is lost."""
        import contextlib
        import select

        name = unique()
        socket = WebSocket.open(wire, f"/gated?id={name}")
        server.seen(name, 1)
        one = frame(BINARY, b"x" * 65536)
        data = one * 1024
        sent = 0
        wire.sock.setblocking(False)
        while sent < len(data) and select.select([], [wire.sock], [], 1)[1]:
            with contextlib.suppress(BlockingIOError):
                sent += wire.sock.send(data[sent : sent + 262144])
        wire.sock.settimeout(SECONDS)
        assert sent < len(data) / 2
        server.open_gate(name)
        wire.send(data[sent:] + frame(TEXT, b"end"))
        assert socket.receive_text() == f"1025 {(64 << 20) + 3}"

    def test_a_client_that_does_not_read(self, server):
        name = unique()
        with server.connect(receive_buffer=65536) as wire:
            socket = WebSocket.open(wire, f"/flood?id={name}")
            server.seen(name, 1)
            for _ in range(50):
                server.get("/hello")
            notes = server.seen(name, 1).notes
            assert "sent" not in notes
            assert max(notes) < 32 << 20
            for _ in range(1024):
                assert len(socket.receive().payload) == 65536
        assert "sent" in server.seen(name).notes

    def test_a_small_queue(self, shared_server):
        """--ws-max-queue counts messages."""
        server = shared_server("apps.sockets:app", "--ws-max-queue", "2")
        name = unique()
        with server.connect() as wire:
            socket = WebSocket.open(wire, f"/gated?id={name}")
            server.seen(name, 1)
            socket.send(frame(TEXT, b"x") * 1000 + frame(TEXT, b"end"))
            server.open_gate(name)
            assert socket.receive_text() == "1001 1003"
