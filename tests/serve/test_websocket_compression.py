"""permessage-deflate: negotiated when both want it, and messages that survive it."""

from __future__ import annotations

import asyncio
import os
import zlib

import pytest
from support.websocket_wire import BINARY, CONTINUATION, TEXT, WebSocket, frame

DEFLATE = 4  # the first reserved bit


@pytest.fixture
def server(shared_server):
    return shared_server("apps.sockets:app")


def offered(wire, offer: str) -> str | None:
    """What the server answers to an offer, without spaces."""
    socket = WebSocket.open(wire, "/echo", [(b"sec-websocket-extensions", offer.encode())])
    answers = socket.response.all(b"sec-websocket-extensions")
    return answers[0].decode().replace(" ", "") if answers else None


class TestNegotiation:
    def test_offered(self, wire):
        answer = offered(wire, "permessage-deflate")
        assert answer is not None
        assert answer.split(";")[0] == "permessage-deflate"

    def test_as_browsers_offer_it(self, wire):
        answer = offered(wire, "permessage-deflate; client_max_window_bits")
        assert answer is not None
        assert answer.startswith("permessage-deflate")

    def test_not_offered(self, wire):
        assert b"sec-websocket-extensions" not in WebSocket.open(wire, "/echo").response

    def test_another_extension(self, wire):
        assert offered(wire, "x-webkit-deflate-frame") is None

    def test_among_others(self, wire):
        answer = offered(wire, "foo; a=1, permessage-deflate, bar")
        assert answer is not None
        assert answer.startswith("permessage-deflate")

    @pytest.mark.parametrize(
        "parameter",
        ["server_no_context_takeover", "server_max_window_bits=10", "client_no_context_takeover"],
    )
    def test_parameters(self, wire, parameter):
        """What binds the server has to be in its answer; or the offer is not taken."""
        answer = offered(wire, f"permessage-deflate; {parameter}")
        if answer is not None and parameter.startswith("server"):
            assert parameter in answer.split(";")[1:]

    @pytest.mark.parametrize(
        "parameter",
        [
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits",
            "server_max_window_bits=x",
            "client_max_window_bits=99",
            "server_no_context_takeover=1",
            "unknown",
            "server_no_context_takeover; server_no_context_takeover",
        ],
    )
    def test_bad_parameters(self, wire, parameter):
        """RFC 7692, 5.1: such an offer is declined, and the handshake goes on without."""
        assert offered(wire, f"permessage-deflate; {parameter}") is None

    def test_the_first_good_offer(self, wire):
        answer = offered(wire, "permessage-deflate; unknown, permessage-deflate")
        assert answer is not None

    def test_turned_off(self, shared_server):
        server = shared_server("apps.sockets:app", "--ws-per-message-deflate", "false")
        with server.connect() as wire:
            assert offered(wire, "permessage-deflate") is None


class Deflate:
    """The client's half, by zlib."""

    def __init__(self) -> None:
        self._out = zlib.compressobj(wbits=-15)
        self._in = zlib.decompressobj(wbits=-15)

    def compress(self, data: bytes) -> bytes:
        return (self._out.compress(data) + self._out.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def decompress(self, data: bytes) -> bytes:
        return self._in.decompress(data + b"\0\0\xff\xff")


@pytest.fixture
def socket(wire):
    return WebSocket.open(wire, "/echo", [(b"sec-websocket-extensions", b"permessage-deflate")])


def echoed(socket: WebSocket, deflate: Deflate) -> bytes:
    found = socket.receive()
    assert found.opcode in (TEXT, BINARY), found
    if found.reserved == DEFLATE:
        return deflate.decompress(found.payload)
    assert found.reserved == 0
    return found.payload


class TestFrames:
    def test_compressed(self, socket):
        deflate = Deflate()
        for text in ("hello", "hello", "", "é" * 10_000):
            socket.send(frame(TEXT, deflate.compress(text.encode()), reserved=DEFLATE))
            assert echoed(socket, deflate).decode() == text

    def test_large_text_is_sent_smaller(self, socket):
        deflate, text = Deflate(), b"again and again " * 10_000
        socket.send(frame(TEXT, deflate.compress(text), reserved=DEFLATE))
        found = socket.receive()
        assert found.reserved == DEFLATE
        assert len(found.payload) < len(text) / 10
        assert deflate.decompress(found.payload) == text

    def test_not_compressed(self, socket):
        """Each message may be either way."""
        deflate = Deflate()
        socket.send(frame(TEXT, b"plain"))
        assert echoed(socket, deflate) == b"plain"
        socket.send(frame(TEXT, deflate.compress(b"deflated"), reserved=DEFLATE))
        assert echoed(socket, deflate) == b"deflated"

    def test_in_fragments(self, socket):
        deflate = Deflate()
        data = deflate.compress(b"hello world, hello world")
        socket.send(
            frame(BINARY, data[:3], reserved=DEFLATE, fin=False)
            + frame(CONTINUATION, data[3:5], fin=False)
            + frame(CONTINUATION, data[5:])
        )
        assert echoed(socket, deflate) == b"hello world, hello world"

    def test_noise(self, socket):
        deflate = Deflate()
        data = os.urandom(100_000)
        socket.send(frame(BINARY, deflate.compress(data), reserved=DEFLATE))
        assert echoed(socket, deflate) == data

    def test_nonsense(self, socket):
        socket.send(frame(TEXT, b"\xff\xff\xff\xff", reserved=DEFLATE))
        found = socket.receive()
        assert found.close_code in (1002, 1007)

    def test_bytes_that_are_not_text(self, socket):
        deflate = Deflate()
        socket.send(frame(TEXT, deflate.compress(b"\xff\xfe"), reserved=DEFLATE))
        assert socket.receive().close_code == 1007

    def test_bit_of_a_continuation(self, socket):
        deflate = Deflate()
        data = deflate.compress(b"hello")
        socket.send(
            frame(BINARY, data[:3], reserved=DEFLATE, fin=False)
            + frame(CONTINUATION, data[3:], reserved=DEFLATE)
        )
        assert socket.receive().close_code == 1002

    def test_a_bomb(self, shared_server):
        """The limit is that of the message, not of the frame: 1 MB of zeros in a kilobyte."""
        server = shared_server("apps.sockets:app", "--ws-max-size", "1000")
        extension = [(b"sec-websocket-extensions", b"permessage-deflate")]
        with server.connect() as wire:
            socket = WebSocket.open(wire, "/echo", extension)
            data = Deflate().compress(bytes(800_000))
            assert len(data) < 1000
            socket.send(frame(BINARY, data, reserved=DEFLATE))
            socket.closed_with(1009)


OFFERS = [
    {},
    {"server_no_context_takeover": True},
    {"client_no_context_takeover": True},
    {"server_max_window_bits": 9, "client_max_window_bits": 9},
    {"server_max_window_bits": 12},
    {"client_max_window_bits": 15, "server_no_context_takeover": True},
]


@pytest.mark.parametrize("options", OFFERS, ids=[" ".join(offer) or "none" for offer in OFFERS])
def test_the_client_of_websockets(server, options):
    """An independent implementation at the other end, which checks all that it receives."""
    from websockets.asyncio.client import connect
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    async def main():
        extensions = [ClientPerMessageDeflateFactory(**options)]
        url = f"ws://127.0.0.1:{server.port}/echo"
        async with connect(url, extensions=extensions, compression=None) as websocket:
            for message in ("text", "", b"bytes", "again " * 50_000, os.urandom(70_000), "é" * 999):
                await websocket.send(message)
                assert await websocket.recv() == message
            await websocket.send(iter(["in ", "several ", "frames"]))
            assert await websocket.recv() == "in several frames"

    asyncio.run(main())
