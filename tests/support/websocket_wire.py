"""A WebSocket client that hides nothing: frames as RFC 6455 lays them out, right or wrong.

Used by the tests of the server for what a client library would not send, or would repair.
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from dataclasses import dataclass

from support.http_wire import Headers, Response, Wire

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
CONTROL = (CLOSE, PING, PONG)

_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Frame:
    """A frame as it came."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    reserved: int = 0

    @property
    def close_code(self) -> int | None:
        """The code of a close frame, None if it has none."""
        assert self.opcode == CLOSE, self
        assert len(self.payload) != 1, self
        return struct.unpack("!H", self.payload[:2])[0] if self.payload else None

    @property
    def close_reason(self) -> str:
        """The reason of a close frame."""
        assert self.opcode == CLOSE, self
        return self.payload[2:].decode()


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x12\x34\x56\x78",
    length_bytes: int | None = None,
) -> bytes:
    """Lay out a frame of a client.

    Args:
        opcode: Any number from 0 to 15.
        payload: The data before masking.
        fin: Whether it is the last of its message.
        reserved: The three reserved bits, as a number.
        mask: The key, or None to send it unmasked.
        length_bytes: 0, 2 or 8 extended bytes of length, where not the fewest.
    """
    size = len(payload)
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 65536 else 8
    marks = 0x80 if mask is not None else 0
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    if length_bytes == 0:
        head += bytes([marks | size])
    elif length_bytes == 2:
        head += bytes([marks | 126]) + struct.pack("!H", size)
    else:
        head += bytes([marks | 127]) + struct.pack("!Q", size)
    if mask is None:
        return head + payload
    return head + mask + masked(payload, mask)


def masked(payload: bytes, mask: bytes) -> bytes:
    """Apply a mask, or take it off."""
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(
        len(payload), "big"
    )


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """Lay out a close frame."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def upgrade(path: str, headers: Headers | None = None, key: bytes | None = None) -> bytes:
    """Lay out the request of an opening handshake."""
    lines = [
        f"GET {path} HTTP/1.1".encode(),
        b"Host: server",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + (key or new_key()),
        b"Sec-WebSocket-Version: 13",
        *(name + b": " + value for name, value in headers or []),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def new_key() -> bytes:
    """A key for a handshake."""
    return base64.b64encode(os.urandom(16))


def accept_of(key: bytes) -> bytes:
    """What a server must answer to a key."""
    return base64.b64encode(hashlib.sha1(key + _ACCEPT).digest())


class WebSocket:
    """An open WebSocket on a wire."""

    def __init__(self, wire: Wire, response: Response) -> None:
        self.wire = wire
        self.response = response

    @classmethod
    def open(cls, wire: Wire, path: str, headers: Headers | None = None) -> WebSocket:
        """Do the opening handshake, and check it."""
        key = new_key()
        wire.send(upgrade(path, headers, key))
        response = wire.response()
        assert response.status == 101, response
        assert response[b"upgrade"].lower() == b"websocket"
        assert response[b"connection"].lower() == b"upgrade"
        assert response[b"sec-websocket-accept"] == accept_of(key)
        return cls(wire, response)

    def send(self, data: bytes) -> None:
        """Send laid-out frames."""
        self.wire.send(data)

    def send_text(self, text: str) -> None:
        self.wire.send(frame(TEXT, text.encode()))

    def receive(self) -> Frame:
        """Read one frame, which must be laid out as a server's have to be."""
        first, second = self.wire.read(2, "the head of a frame")
        assert not second & 0x80, "a server's frame is masked"
        size = second & 0x7F
        if size == 126:
            size = struct.unpack("!H", self.wire.read(2))[0]
            assert size > 125, "a length of more bytes than it needs"
        elif size == 127:
            size = struct.unpack("!Q", self.wire.read(8))[0]
            assert size > 65535, "a length of more bytes than it needs"
        found = Frame(
            first & 0x0F,
            self.wire.read(size, "the payload of a frame"),
            bool(first & 0x80),
            first >> 4 & 0x7,
        )
        assert found.opcode in (CONTINUATION, TEXT, BINARY, *CONTROL), found
        if found.opcode in CONTROL:
            assert found.fin, found
            assert size < 126, found
        return found

    def receive_text(self) -> str:
        """Read a text in one frame."""
        found = self.receive()
        assert (found.opcode, found.fin, found.reserved) == (TEXT, True, 0), found
        return found.payload.decode()

    def closed_with(self, code: int | None, *, answer: bool = True) -> str:
        """Read the server's close frame, then the end; return the reason.

        Args:
            code: The code that the frame must have, None for a frame without.
            answer: Complete the closing handshake.
        """
        found = self.receive()
        assert found.opcode == CLOSE, found
        assert found.close_code == code, found
        if answer:
            self.wire.send_what_is_taken(frame(CLOSE, found.payload))
        self.wire.ends()
        return found.close_reason
