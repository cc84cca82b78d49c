"""HTTP/2 frame by frame, with no state kept: for what a correct client would never send.

`support.http2_wire` speaks the protocol; here a test says each byte, and sees what it led to.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import hpack

from support.patience import SECONDS

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# Kinds of frames (RFC 9113, section 6).
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
# Their flags.
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITIZED = 0x4, 0x8, 0x20

# What asks for the answer that shows that a connection still works.
_LAST_STREAM = 1001
_LAST_PATH = "/hello?last"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"", *, length: int = -1) -> bytes:
    """The bytes of a frame; `length` says another length than that of the payload."""
    size = len(payload) if length < 0 else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def fields(*pairs: tuple[str | bytes, str | bytes]) -> bytes:
    """A field block that neither uses nor changes the table of earlier fields."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in pairs)


def request(
    *more: tuple[str | bytes, str | bytes], path: str = "/hello", method: str = "GET"
) -> bytes:
    """The field block of a request."""
    return fields(
        (":method", method),
        (":scheme", "http"),
        (":authority", "a.example"),
        (":path", path),
        *more,
    )


def headers(stream: int, block: bytes, flags: int = END_HEADERS | END_STREAM) -> bytes:
    """HEADERS with a whole field block that ends the stream, unless the flags say otherwise."""
    return frame(HEADERS, flags, stream, block)


def setting(identifier: int, value: int) -> bytes:
    """One parameter of SETTINGS."""
    return struct.pack(">HI", identifier, value)


def _text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    # Short ones have one byte of length, longer ones two or three (RFC 7541, section 5.1).
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest, more = len(data) - 127, b""
    while rest >= 128:
        more += bytes([rest % 128 + 128])
        rest //= 128
    return b"\x7f" + more + bytes([rest]) + data


@dataclass
class Outcome:
    """What a server did with what it got.

    Attributes:
        goaways: The error codes of GOAWAY.
        closed: The server has closed the connection.
        resets: The error code of RST_STREAM, by stream.
        statuses: The status of a response, by stream.
        ended: The streams whose response is whole.
        frames: All frames: kind, flags, stream, payload.
    """

    goaways: list[int] = field(default_factory=list)
    closed: bool = False
    resets: dict[int, int] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    frames: list[tuple[int, int, int, bytes]] = field(default_factory=list)


class FrameWire:
    """A connection on which a test says every byte."""

    def __init__(self, server: Any) -> None:
        self.sock = socket.create_connection(("127.0.0.1", server.port), SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seen = Outcome()
        self._decoder = hpack.Decoder()
        self._partial = b""

    def __enter__(self) -> FrameWire:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def begin(self, *settings: bytes) -> None:
        """The preface, SETTINGS, and the acknowledgement of those of the server."""
        self.send(PREFACE + frame(SETTINGS, 0, 0, b"".join(settings)))
        self.until(lambda seen: any(kind == SETTINGS and flags & ACK for kind, flags, *_ in seen))
        self.send(frame(SETTINGS, ACK, 0))

    def send(self, *frames: bytes) -> None:
        """Send bytes; a server that has closed is seen when its answer is read."""
        with contextlib.suppress(OSError):
            self.sock.sendall(b"".join(frames))

    def until(self, done: Any) -> None:
        """Read until the frames that have come are as wanted, or the server closes."""
        while not done(self.seen.frames) and not self.seen.closed:
            self._read()

    def ended(self, stream: int) -> None:
        """Read until the response on a stream is whole."""
        self.until(lambda _: stream in self.seen.ended)

    def outcome(self, *, closes: bool = False) -> Outcome:
        """Ask for one thing more, and read until it is answered or the server has closed.

        What was done about the frames before has been told by then. With `closes` nothing more is
        asked for: the server is to close by itself.
        """
        if not closes:
            self.send(headers(_LAST_STREAM, request(path=_LAST_PATH)))
        self.until(lambda _: _LAST_STREAM in self.seen.ended)
        return self.seen

    def works(self) -> bool:
        """Whether the last thing that was asked for was answered."""
        return self.seen.statuses.get(_LAST_STREAM) == 200 and not self.seen.closed

    def _read(self) -> None:
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.seen.closed = True
            return
        self._partial += data
        while len(self._partial) >= 9:
            end = 9 + int.from_bytes(self._partial[:3], "big")
            if len(self._partial) < end:
                return
            kind, flags, stream = struct.unpack(">BBI", self._partial[3:9])
            payload, self._partial = self._partial[9:end], self._partial[end:]
            self._note(kind, flags, stream, payload)

    def _note(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self.seen.frames.append((kind, flags, stream, payload))
        if kind == GOAWAY:
            self.seen.goaways.append(int.from_bytes(payload[4:8], "big"))
        elif kind == RST_STREAM:
            self.seen.resets[stream] = int.from_bytes(payload, "big")
        elif kind == HEADERS:
            found: Iterable[tuple[Any, Any]] = self._decoder.decode(payload, raw=True)
            self.seen.statuses.setdefault(stream, int(dict(found).get(b":status", 0)))
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.seen.ended.add(stream)
