"""HTTP/2: what RFC 9113 forbids, frame by frame, and the error that it wants for each.

An error of a stream is RST_STREAM and the connection goes on, which a request after it shows; an
error of the connection is GOAWAY with its code, and the end. Where the RFC lets a server choose,
the case lists what it allows. The number before each case is its section.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import pytest
from support import serving
from support.http2_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    PADDED,
    PING,
    PREFACE,
    PRIORITIZED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    FrameWire,
    fields,
    frame,
    headers,
    request,
    setting,
)

NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 5, 6, 7, 8, 9

ENABLE_PUSH, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 2, 4, 5
MAX_WINDOW = 2**31 - 1
FRAME_SIZE = 2**14


@dataclass(frozen=True)
class Connection:
    """GOAWAY with a code, and the end."""

    code: int


@dataclass(frozen=True)
class Stream:
    """RST_STREAM on stream 1 with a code; the connection works."""

    code: int


@dataclass(frozen=True)
class Answered:
    """A response on stream 1, and nothing else; the connection works."""

    status: int


@dataclass(frozen=True)
class Ignored:
    """No error at all; the connection works."""


Error = Connection | Stream | Answered | Ignored


def what_came(wire: FrameWire) -> Error:
    """The error that the server has told."""
    seen = wire.outcome()
    if seen.closed:
        assert len(seen.goaways) == 1, f"closed without a reason: {seen}"
        return Connection(seen.goaways[0])
    assert wire.works(), seen
    assert seen.goaways == []
    if seen.resets:
        ((stream, code),) = seen.resets.items()
        assert stream == 1, seen
        return Stream(code)
    return Answered(seen.statuses[1]) if 1 in seen.statuses else Ignored()


def check(wire: FrameWire, case: tuple[bytes, Error | set[Error]]) -> None:
    """Send what a case has, and compare what comes of it."""
    sent, wanted = case
    wire.send(sent)
    assert what_came(wire) in (wanted if isinstance(wanted, set) else {wanted})


@pytest.fixture
def server(shared_server):
    return shared_server("apps.probe:app", "--http2")


@pytest.fixture
def wire(server):
    with FrameWire(server) as wire:
        wire.begin()
        yield wire


def head(stream: int = 1, *more: tuple[str, str], path: str = "/echo") -> bytes:
    """The head of a request whose content is to come."""
    return headers(stream, request(*more, path=path, method="POST"), END_HEADERS)


def window(stream: int, size: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size))


def reset(stream: int, code: int = CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


GET = request()
HALF = len(GET) // 2
PRIO = struct.pack(">IB", 3, 15)

# Sent on a connection on which nothing else was asked for.
FRAMES: dict[str, tuple[bytes, Error | set[Error]]] = {
    # --- the layout of frames ---
    "4.1 unknown kind": (frame(0xB7, 0, 0, b"12345678"), Ignored()),
    "4.1 unknown kind on a stream": (frame(0xB7, 0xFF, 1, b"12345678"), Ignored()),
    "4.1 unknown flags": (frame(PING, 0x16, 0, b"12345678"), Ignored()),
    "4.1 reserved bit": (frame(PING, 0, 0x8000_0000, b"12345678"), Ignored()),
    "4.2 DATA as large as allowed": (
        head(1, path="/count") + frame(DATA, END_STREAM, 1, b"x" * FRAME_SIZE),
        Answered(200),
    ),
    "4.2 DATA too large": (
        head() + frame(DATA, END_STREAM, 1, b"x" * (FRAME_SIZE + 1)),
        {Connection(FRAME_SIZE_ERROR), Stream(FRAME_SIZE_ERROR)},
    ),
    "4.2 HEADERS too large": (
        headers(1, request(("x", "y" * FRAME_SIZE))),
        Connection(FRAME_SIZE_ERROR),
    ),
    "4.2 unknown kind, too large": (
        frame(0xB7, 0, 0, b"x" * (FRAME_SIZE + 1)),
        Connection(FRAME_SIZE_ERROR),
    ),
    # --- field blocks ---
    "4.3 index that is not in the table": (headers(1, b"\xff\xff\x01"), Connection(9)),
    "4.3 index 0": (headers(1, b"\x80"), Connection(COMPRESSION_ERROR)),
    "4.3 integer without an end": (headers(1, b"\xff" * 20), Connection(COMPRESSION_ERROR)),
    "4.3 text longer than the block": (headers(1, b"\0\x7f\x20ab"), Connection(9)),
    "4.3 wrong Huffman code": (headers(1, b"\x82\x84\x86\0\x81\xff\x01a"), Connection(9)),
    "4.3 table larger than allowed": (
        headers(1, b"\x3f\xff\xff\x7f" + GET),
        Connection(COMPRESSION_ERROR),
    ),
    "4.3 table size after a field": (
        headers(1, GET + b"\x20"),
        Connection(COMPRESSION_ERROR),
    ),
    "4.3 another frame within a block": (
        headers(1, GET[:HALF], END_STREAM) + frame(PING, 0, 0, b"12345678"),
        Connection(PROTOCOL_ERROR),
    ),
    "4.3 another stream within a block": (
        headers(1, GET[:HALF], END_STREAM) + headers(3, GET),
        Connection(PROTOCOL_ERROR),
    ),
    "4.3 an unknown kind within a block": (
        headers(1, GET[:HALF], END_STREAM) + frame(0xB7, 0, 0) + frame(9, 4, 1, GET[HALF:]),
        Connection(PROTOCOL_ERROR),
    ),
    # --- states of streams ---
    "5.1 idle: DATA": (frame(DATA, END_STREAM, 1, b"x"), Connection(PROTOCOL_ERROR)),
    "5.1 idle: RST_STREAM": (reset(1), Connection(PROTOCOL_ERROR)),
    "5.1 idle: WINDOW_UPDATE": (window(1, 100), Connection(PROTOCOL_ERROR)),
    "5.1 idle: PRIORITY": (frame(PRIORITY, 0, 1, PRIO), Ignored()),
    "5.1 idle: CONTINUATION": (
        frame(CONTINUATION, END_HEADERS, 1, GET),
        Connection(PROTOCOL_ERROR),
    ),
    "5.1 idle, of the server: WINDOW_UPDATE": (window(2, 100), Connection(PROTOCOL_ERROR)),
    "5.1 idle, of the server: RST_STREAM": (reset(2), Connection(PROTOCOL_ERROR)),
    "5.1 idle, of the server: DATA": (frame(DATA, 0, 2, b"x"), Connection(PROTOCOL_ERROR)),
    # --- numbers of streams ---
    "5.1.1 even": (headers(2, GET), Connection(PROTOCOL_ERROR)),
    "5.1.1 lower than one before": (
        headers(5, GET) + headers(3, GET),
        {Connection(PROTOCOL_ERROR), Connection(STREAM_CLOSED)},
    ),
    # --- DATA ---
    "6.1 stream 0": (frame(DATA, 0, 0, b"x"), Connection(PROTOCOL_ERROR)),
    "6.1 padding of all the frame": (
        head() + frame(DATA, PADDED | END_STREAM, 1, b"\x05abcd"),
        Connection(PROTOCOL_ERROR),
    ),
    "6.1 padded without a length": (
        head() + frame(DATA, PADDED | END_STREAM, 1),
        {Connection(PROTOCOL_ERROR), Connection(FRAME_SIZE_ERROR)},
    ),
    "6.1 nothing but padding": (
        head() + frame(DATA, PADDED | END_STREAM, 1, b"\x04\0\0\0\0"),
        Answered(200),
    ),
    # --- HEADERS ---
    "6.2 stream 0": (headers(0, GET), Connection(PROTOCOL_ERROR)),
    "6.2 padding longer than the frame": (
        headers(1, bytes([len(GET) + 1]) + GET, END_HEADERS | END_STREAM | PADDED),
        Connection(PROTOCOL_ERROR),
    ),
    "6.2 padded": (
        headers(1, b"\x03" + GET + b"\0\0\0", END_HEADERS | END_STREAM | PADDED),
        Answered(200),
    ),
    "6.2 with a priority": (
        headers(1, PRIO + GET, END_HEADERS | END_STREAM | PRIORITIZED),
        Answered(200),
    ),
    "6.2 a priority that is cut off": (
        headers(1, b"\0\0", END_HEADERS | END_STREAM | PRIORITIZED),
        {Connection(FRAME_SIZE_ERROR), Connection(PROTOCOL_ERROR)},
    ),
    # --- PRIORITY ---
    "6.3 stream 0": (frame(PRIORITY, 0, 0, PRIO), Connection(PROTOCOL_ERROR)),
    "6.3 too short": (
        head() + frame(PRIORITY, 0, 1, PRIO[:4]),
        {Stream(FRAME_SIZE_ERROR), Connection(FRAME_SIZE_ERROR)},
    ),
    # --- RST_STREAM ---
    "6.4 stream 0": (reset(0), Connection(PROTOCOL_ERROR)),
    "6.4 too short": (head() + frame(RST_STREAM, 0, 1, b"\0\0\0"), Connection(FRAME_SIZE_ERROR)),
    "6.4 too long": (head() + frame(RST_STREAM, 0, 1, b"\0" * 5), Connection(FRAME_SIZE_ERROR)),
    "6.4 unknown code": (head() + reset(1, 0xABCD), Ignored()),
    # --- SETTINGS ---
    "6.5 acknowledgement with content": (
        frame(SETTINGS, ACK, 0, setting(INITIAL_WINDOW_SIZE, 100)),
        Connection(FRAME_SIZE_ERROR),
    ),
    "6.5 on a stream": (frame(SETTINGS, 0, 1), Connection(PROTOCOL_ERROR)),
    "6.5 cut off": (frame(SETTINGS, 0, 0, b"\0\x04\0"), Connection(FRAME_SIZE_ERROR)),
    "6.5.2 ENABLE_PUSH 2": (
        frame(SETTINGS, 0, 0, setting(ENABLE_PUSH, 2)),
        Connection(PROTOCOL_ERROR),
    ),
    "6.5.2 INITIAL_WINDOW_SIZE too large": (
        frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, MAX_WINDOW + 1)),
        Connection(FLOW_CONTROL_ERROR),
    ),
    "6.5.2 MAX_FRAME_SIZE too small": (
        frame(SETTINGS, 0, 0, setting(MAX_FRAME_SIZE, FRAME_SIZE - 1)),
        Connection(PROTOCOL_ERROR),
    ),
    "6.5.2 MAX_FRAME_SIZE too large": (
        frame(SETTINGS, 0, 0, setting(MAX_FRAME_SIZE, 2**24)),
        Connection(PROTOCOL_ERROR),
    ),
    "6.5.2 unknown": (frame(SETTINGS, 0, 0, setting(0xABCD, 5)), Ignored()),
    # --- PUSH_PROMISE ---
    "6.6 from a client": (
        head() + frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02" + GET),
        Connection(PROTOCOL_ERROR),
    ),
    # --- PING ---
    "6.7 on a stream": (frame(PING, 0, 1, b"12345678"), Connection(PROTOCOL_ERROR)),
    "6.7 too short": (frame(PING, 0, 0, b"1234567"), Connection(FRAME_SIZE_ERROR)),
    "6.7 too long": (frame(PING, 0, 0, b"123456789"), Connection(FRAME_SIZE_ERROR)),
    "6.7 answer to nothing": (frame(PING, ACK, 0, b"12345678"), Ignored()),
    # --- GOAWAY ---
    "6.8 on a stream": (frame(GOAWAY, 0, 1, bytes(8)), Connection(PROTOCOL_ERROR)),
    "6.8 too short": (frame(GOAWAY, 0, 0, bytes(7)), Connection(FRAME_SIZE_ERROR)),
    # --- WINDOW_UPDATE ---
    "6.9 too short": (frame(WINDOW_UPDATE, 0, 0, b"\0\0\1"), Connection(FRAME_SIZE_ERROR)),
    "6.9 nothing, on the connection": (window(0, 0), Connection(PROTOCOL_ERROR)),
    "6.9 nothing, on a stream": (
        head() + window(1, 0),
        {Stream(PROTOCOL_ERROR), Connection(PROTOCOL_ERROR)},
    ),
    "6.9.1 too much, on the connection": (
        window(0, MAX_WINDOW),
        Connection(FLOW_CONTROL_ERROR),
    ),
    "6.9.1 too much, on a stream": (head() + window(1, MAX_WINDOW), Stream(FLOW_CONTROL_ERROR)),
    "6.9.2 too much by SETTINGS": (
        head()
        + window(1, MAX_WINDOW - 65535)
        + frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 65536)),
        Connection(FLOW_CONTROL_ERROR),
    ),
    # --- CONTINUATION ---
    "6.10 after the end of a block": (
        headers(1, GET, END_HEADERS) + frame(CONTINUATION, END_HEADERS, 1, GET),
        Connection(PROTOCOL_ERROR),
    ),
    "6.10 stream 0": (
        headers(1, GET[:HALF], END_STREAM) + frame(CONTINUATION, END_HEADERS, 0, GET[HALF:]),
        Connection(PROTOCOL_ERROR),
    ),
    "6.10 another stream": (
        headers(1, GET[:HALF], END_STREAM) + frame(CONTINUATION, END_HEADERS, 3, GET[HALF:]),
        Connection(PROTOCOL_ERROR),
    ),
    "6.10 several, one of them empty": (
        headers(1, GET[:HALF], END_STREAM)
        + frame(CONTINUATION, 0, 1)
        + frame(CONTINUATION, END_HEADERS, 1, GET[HALF:]),
        Answered(200),
    ),
    # --- messages ---
    "8.1 trailers": (
        head() + frame(DATA, 0, 1, b"x") + headers(1, fields(("x-sum", "1"))),
        Answered(200),
    ),
    "8.1 trailers that are not the end": (
        head() + frame(DATA, 0, 1, b"x") + headers(1, fields(("x-sum", "1")), END_HEADERS),
        Stream(PROTOCOL_ERROR),
    ),
    "8.1 pseudo-field in trailers": (
        head() + frame(DATA, 0, 1, b"x") + headers(1, fields((":path", "/"))),
        Stream(PROTOCOL_ERROR),
    ),
    "8.1.1 less content than said": (
        head(1, ("content-length", "3")) + frame(DATA, END_STREAM, 1, b"ab"),
        Stream(PROTOCOL_ERROR),
    ),
    "8.1.1 more content than said": (
        head(1, ("content-length", "1")) + frame(DATA, END_STREAM, 1, b"ab"),
        Stream(PROTOCOL_ERROR),
    ),
    "8.1.1 more content than said, in two": (
        head(1, ("content-length", "1"))
        + frame(DATA, 0, 1, b"a")
        + frame(DATA, END_STREAM, 1, b"b"),
        Stream(PROTOCOL_ERROR),
    ),
    "8.1.1 content said and none there": (
        headers(1, request(("content-length", "3"), path="/echo", method="POST")),
        {Stream(PROTOCOL_ERROR), Answered(400)},
    ),
    "8.1.1 less content than said, then trailers": (
        head(1, ("content-length", "3"))
        + frame(DATA, 0, 1, b"ab")
        + headers(1, fields(("x-sum", "1"))),
        Stream(PROTOCOL_ERROR),
    ),
}


@pytest.mark.parametrize("case", FRAMES.values(), ids=FRAMES)
def test_frames(wire, case):
    check(wire, case)


# What a stream is still open to when the server has all of a request and has not answered.
HALF_CLOSED: dict[str, tuple[bytes, Error | set[Error]]] = {
    "DATA": (frame(DATA, END_STREAM, 1, b"x"), Stream(STREAM_CLOSED)),
    "HEADERS": (
        headers(1, fields(("x-sum", "1"))),
        {Stream(STREAM_CLOSED), Connection(STREAM_CLOSED)},
    ),
    "CONTINUATION": (frame(CONTINUATION, END_HEADERS, 1, GET), Connection(PROTOCOL_ERROR)),
    "WINDOW_UPDATE": (window(1, 100), Ignored()),
    "PRIORITY": (frame(PRIORITY, 0, 1, PRIO), Ignored()),
    "RST_STREAM": (reset(1), Ignored()),
}


@pytest.mark.parametrize("case", HALF_CLOSED.values(), ids=HALF_CLOSED)
def test_half_closed(server, wire, case):
    name = serving.unique("half")
    wire.send(headers(1, request(path=f"/gated?id={name}")))
    server.seen(name, 1)
    try:
        check(wire, case)
    finally:
        server.open_gate(name)


CLOSED: dict[str, tuple[bytes, Error | set[Error]]] = {
    "DATA": (
        frame(DATA, END_STREAM, 1, b"x"),
        {Stream(STREAM_CLOSED), Connection(STREAM_CLOSED)},
    ),
    "HEADERS": (
        headers(1, GET),
        {Stream(STREAM_CLOSED), Connection(STREAM_CLOSED), Connection(PROTOCOL_ERROR)},
    ),
    "CONTINUATION": (
        frame(CONTINUATION, END_HEADERS, 1, GET),
        {Connection(PROTOCOL_ERROR), Connection(STREAM_CLOSED)},
    ),
    "PRIORITY": (frame(PRIORITY, 0, 1, PRIO), Ignored()),
}


@pytest.mark.parametrize("case", CLOSED.values(), ids=CLOSED)
def test_closed_by_the_end(wire, case):
    wire.send(headers(1, GET))
    wire.ended(1)
    assert wire.seen.statuses.pop(1) == 200
    check(wire, case)


@pytest.mark.parametrize("late", [window(1, 100), reset(1)], ids=["WINDOW_UPDATE", "RST_STREAM"])
def test_what_may_still_be_on_its_way_is_ignored(wire, late):
    """RFC 9113, section 5.1: a client may not know yet that the stream is closed."""
    wire.send(headers(1, GET))
    wire.ended(1)
    assert wire.seen.statuses.pop(1) == 200
    check(wire, (late, Ignored()))


@pytest.mark.parametrize("case", CLOSED.values(), ids=CLOSED)
def test_closed_by_a_reset(wire, case):
    wire.send(head(), reset(1))
    check(wire, case)


def test_a_stream_that_the_server_has_reset_takes_what_is_on_its_way(wire):
    wire.send(head(1, ("connection", "close")))
    wire.until(lambda _: 1 in wire.seen.resets)
    check(wire, (frame(DATA, END_STREAM, 1, b"x"), Stream(PROTOCOL_ERROR)))


# Fields of a request that make it malformed (sections 8.2 and 8.3): an error of the stream, which
# a server may make one of the connection, or answer with 400.
USUAL = ((":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/hello"))
MALFORMED: dict[str, bytes] = {
    "8.2 upper case in a name": request(("X-Upper", "1")),
    "8.2.1 space in a name": request(("x a", "1")),
    "8.2.1 colon in a name": request(("x:a", "1")),
    "8.2.1 control character in a name": request((b"x\x7f", "1")),
    "8.2.1 a name that is not ASCII": request((b"x\xe9", "1")),
    "8.2.1 empty name": request(("", "1")),
    "8.2.1 NUL in a value": request(("x", b"a\0b")),
    "8.2.1 LF in a value": request(("x", b"a\nb")),
    "8.2.1 CR in a value": request(("x", b"a\rb")),
    "8.2.1 space before a value": request(("x", " a")),
    "8.2.1 tab before a value": request(("x", "\ta")),
    "8.2.1 space after a value": request(("x", "a ")),
    "8.2.1 tab after a value": request(("x", "a\t")),
    "8.2.2 connection": request(("connection", "keep-alive")),
    "8.2.2 proxy-connection": request(("proxy-connection", "keep-alive")),
    "8.2.2 keep-alive": request(("keep-alive", "5")),
    "8.2.2 transfer-encoding": request(("transfer-encoding", "chunked")),
    "8.2.2 upgrade": request(("upgrade", "h2c")),
    "8.2.2 te": request(("te", "trailers, deflate")),
    "8.3 unknown pseudo-field": request((":unknown", "1")),
    "8.3 pseudo-field of a response": request((":status", "200")),
    "8.3 pseudo-field after a field": fields(("x", "1"), *USUAL),
    "8.3.1 :method twice": fields(*USUAL, (":method", "GET")),
    "8.3.1 :path twice": fields(*USUAL, (":path", "/hello")),
    "8.3.1 :scheme twice": fields(*USUAL, (":scheme", "http")),
    "8.3.1 :authority twice": fields(*USUAL, (":authority", "a")),
    "8.3.1 no :method": fields(*USUAL[1:]),
    "8.3.1 no :scheme": fields(USUAL[0], *USUAL[2:]),
    "8.3.1 no :path": fields(*USUAL[:3]),
    "8.3.1 empty :path": fields(*USUAL[:3], (":path", "")),
    "8.3.1 :path without a slash": fields(*USUAL[:3], (":path", "hello")),
    "8.3.1 :path with a space": fields(*USUAL[:3], (":path", "/hel lo")),
    "8.3.1 :path with a fragment": fields(*USUAL[:3], (":path", "/hello#there")),
    "8.3.1 :path * of a GET": fields(*USUAL[:3], (":path", "*")),
    "8.3.1 :path with a host": fields(*USUAL[:3], (":path", "http://a/hello")),
    "8.3.1 empty :method": fields((":method", ""), *USUAL[1:]),
    "8.3.1 :method with a space": fields((":method", "GE T"), *USUAL[1:]),
    "8.3.1 empty :authority": fields(*USUAL[:2], (":authority", ""), USUAL[3]),
    "8.3.1 :authority with a name of a user": fields(*USUAL[:2], (":authority", "u@a"), USUAL[3]),
    "8.3.1 :authority with a path": fields(*USUAL[:2], (":authority", "a/b"), USUAL[3]),
    "8.3.1 :scheme with a space": fields(USUAL[0], (":scheme", "ht tp"), *USUAL[2:]),
    "8.5 CONNECT with a path": fields((":method", "CONNECT"), *USUAL[1:]),
    "8.5 CONNECT without :authority": fields((":method", "CONNECT")),
    "9110 8.6 content-length twice, not the same": request(
        ("content-length", "0"), ("content-length", "1")
    ),
    "9110 8.6 content-length that is no number": request(("content-length", "x")),
    "9110 8.6 content-length with a sign": request(("content-length", "+0")),
    "9110 7.2 host twice": fields(*USUAL[:2], USUAL[3], ("host", "a"), ("host", "b")),
}


@pytest.mark.parametrize("block", MALFORMED.values(), ids=MALFORMED)
def test_malformed_requests(wire, block):
    allowed = {Stream(PROTOCOL_ERROR), Connection(PROTOCOL_ERROR), Answered(400)}
    check(wire, (headers(1, block), allowed))


@pytest.mark.parametrize("start", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", b"PRI * HTTP/2.0\r\n\r\nXX"])
def test_a_wrong_preface_closes(server, start):
    """Section 3.4: GOAWAY may be left out, since nobody there may speak HTTP/2."""
    with FrameWire(server) as wire:
        wire.send(start + frame(SETTINGS, 0, 0))
        data = b""
        wire.sock.settimeout(5)
        while chunk := wire.sock.recv(65536):
            data += chunk
        assert b"HTTP/1.1 200" not in data


@pytest.mark.parametrize(
    "first",
    [frame(PING, 0, 0, b"12345678"), headers(1, GET), frame(SETTINGS, ACK, 0)],
    ids=["PING", "HEADERS", "acknowledgement"],
)
def test_the_first_frame_is_to_be_settings(server, first):
    """Section 3.4."""
    with FrameWire(server) as wire:
        wire.send(PREFACE + first)
        assert what_came(wire) == Connection(PROTOCOL_ERROR)


def test_more_than_the_window_of_a_stream(server, wire):
    """Section 6.9.1: nobody reads, so that the window stays as it was."""
    name = serving.unique("window")
    wire.send(head(1, path=f"/gated?id={name}"))
    server.seen(name, 1)
    (size,) = [
        int.from_bytes(payload[at + 2 : at + 6], "big")
        for kind, flags, _, payload in wire.seen.frames
        if kind == SETTINGS and not flags & ACK
        for at in range(0, len(payload), 6)
        if payload[at : at + 2] == b"\0\x04"
    ]
    whole, rest = divmod(size, FRAME_SIZE)
    wire.send(frame(DATA, 0, 1, b"x" * FRAME_SIZE) * whole, frame(DATA, 0, 1, b"x" * rest))
    more = frame(DATA, 0, 1, b"x")
    try:
        check(wire, (more, {Stream(FLOW_CONTROL_ERROR), Connection(FLOW_CONTROL_ERROR)}))
    finally:
        server.open_gate(name)


def test_a_ping_is_answered_with_what_it_said(wire):
    """Section 6.7."""
    wire.send(frame(PING, 0, 0, b"abcdefgh"))
    wire.until(lambda seen: (PING, ACK, 0, b"abcdefgh") in seen)
    assert what_came(wire) == Ignored()


def test_the_last_stream_of_goaway_is_the_last_that_was_looked_at(wire):
    """Section 6.8: the client may ask again for what came after it."""
    wire.send(headers(1, GET))
    wire.ended(1)
    wire.send(headers(3, GET))
    wire.ended(3)
    wire.send(frame(PING, 0, 1, b"12345678"))
    seen = wire.outcome()
    ((_, _, _, payload),) = [told for told in seen.frames if told[0] == GOAWAY]
    assert struct.unpack(">II", payload[:8]) == (3, PROTOCOL_ERROR)


def test_nothing_is_sent_beyond_a_window_that_has_become_negative(server):
    """Section 6.9.2: SETTINGS may take back more than is left."""
    with FrameWire(server) as wire:
        wire.begin(setting(INITIAL_WINDOW_SIZE, 100))
        wire.send(headers(1, request(path="/flood")))

        def content() -> int:
            return sum(
                len(p) for kind, _, stream, p in wire.seen.frames if (kind, stream) == (0, 1)
            )

        wire.until(lambda _: content() >= 100)
        wire.send(frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 10)), window(1, 90))
        assert wire.outcome().goaways == []
        assert content() == 100
        wire.send(window(1, 5))
        wire.until(lambda _: content() >= 105)
        assert content() == 105
        wire.send(reset(1))
