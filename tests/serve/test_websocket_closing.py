"""The end of a WebSocket: close codes and reasons in both directions, and keepalive."""

from __future__ import annotations

import signal
import time

import pytest
from support.http_wire import Wire
from support.patience import SLACK
from support.serving import unique
from support.websocket_wire import CLOSE, PING, PONG, TEXT, WebSocket, close, frame


@pytest.fixture
def server(shared_server):
    return shared_server("apps.sockets:app")


class TestByTheClient:
    @pytest.mark.parametrize(
        "code", [1000, 1001, 1003, 1008, 1011, 1012, 1014, 3000, 4000, 4009, 4999]
    )
    def test_code_and_reason(self, server, wire, code):
        """The application learns both; the client gets its code back."""
        name = unique()
        socket = WebSocket.open(wire, f"/note?id={name}")
        socket.send(close(code, "because é".encode()))
        socket.closed_with(code, answer=False)
        first, *_ = server.seen(name).notes
        assert first == {"type": "websocket.disconnect", "code": code, "reason": "because é"}

    def test_code_without_reason(self, server, wire):
        name = unique()
        socket = WebSocket.open(wire, f"/note?id={name}")
        socket.send(close(1000))
        socket.closed_with(1000, answer=False)
        (message,) = server.seen(name).notes
        assert message["code"] == 1000
        assert not message.get("reason")

    def test_frame_without_code(self, server, wire):
        """1005 stands for it, and is never sent."""
        name = unique()
        socket = WebSocket.open(wire, f"/note?id={name}")
        socket.send(close())
        found = socket.receive()
        assert found.opcode == CLOSE
        assert found.close_code in (None, 1000)
        wire.ends()
        (message,) = server.seen(name).notes
        assert (message["code"], message.get("reason") or "") == (1005, "")

    @pytest.mark.parametrize("how", [Wire.close, Wire.reset])
    def test_no_frame(self, server, wire, how):
        """1006 stands for it."""
        name = unique()
        socket = WebSocket.open(wire, f"/note?id={name}")
        socket.send_text("x")
        server.seen(name, 1)
        how(wire)
        _, message = server.seen(name).notes
        assert (message["type"], message["code"]) == ("websocket.disconnect", 1006)
        assert not message.get("reason")

    def test_in_the_middle_of_a_frame(self, server, wire):
        name = unique()
        socket = WebSocket.open(wire, f"/note?id={name}")
        socket.send(frame(TEXT, b"hello world")[:-4])
        wire.close()
        (message,) = server.seen(name).notes
        assert message["code"] == 1006

    def test_what_came_before_is_not_lost(self, server, wire):
        name = unique()
        socket = WebSocket.open(wire, f"/note?id={name}")
        socket.send(b"".join(frame(TEXT, b"%d" % number) for number in range(20)) + close(1000))
        notes = server.seen(name).notes
        assert [note.get("text") for note in notes[:-1]] == [str(number) for number in range(20)]
        assert notes[-1]["code"] == 1000

    def test_nothing_after_the_close_counts(self, server, wire):
        name = unique()
        socket = WebSocket.open(wire, f"/note?id={name}")
        socket.send(close(1000) + frame(TEXT, b"late") + close(4000))
        socket.closed_with(1000, answer=False)
        assert [note["type"] for note in server.seen(name).notes] == ["websocket.disconnect"]

    def test_send_afterwards_raises(self, server, wire):
        name = unique()
        socket = WebSocket.open(wire, f"/send-after?id={name}")
        server.seen(name, 1)
        socket.send(close(1000))
        socket.closed_with(1000, answer=False)
        notes = server.seen(name).notes
        assert notes[1]["type"] == "websocket.disconnect"
        assert [note[0] for note in notes[2:4]] == ["OSError", "OSError"]

    @pytest.mark.parametrize("how", [Wire.close, Wire.reset])
    def test_send_after_an_abrupt_end_raises(self, server, wire, how):
        name, before = unique(), len(server.output())
        WebSocket.open(wire, f"/send-until-gone?id={name}")
        server.seen(name, 1)
        how(wire)
        seen = server.seen(name)
        assert "OSError" in seen.raised
        assert "Exception in ASGI" not in server.output(before)

    def test_receive_afterwards_does_not_hang(self, server, wire):
        name = unique()
        socket = WebSocket.open(wire, f"/receive-after?id={name}")
        socket.send(close(1000))
        (note,) = server.seen(name).notes
        assert note == "websocket.disconnect" or note[0] == "raised"


class TestByTheApplication:
    @pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 3000, 4000, 4999])
    def test_code_and_reason(self, server, wire, code):
        name = unique()
        socket = WebSocket.open(wire, f"/closing?id={name}&code={code}&reason=why")
        assert socket.closed_with(code) == "why"
        assert server.seen(name).ended == "returned"

    def test_default_is_1000(self, wire):
        assert WebSocket.open(wire, "/closing").closed_with(1000) == ""

    def test_the_longest_reason(self, wire):
        assert WebSocket.open(wire, f"/closing?reason={'x' * 123}").closed_with(1000) == "x" * 123

    def test_a_reason_that_is_too_long(self, wire):
        """Refused, or cut at a character: a frame has 123 bytes for it."""
        socket = WebSocket.open(wire, f"/closing?reason={'%C3%A9' * 62}")
        found = socket.receive()
        assert found.close_code in (1000, 1011)
        assert found.close_reason in ("", "é" * 61)

    def test_it_sees_a_disconnect(self, server, wire):
        """With the code of the closing handshake; what it sends after that is refused."""
        name = unique()
        socket = WebSocket.open(wire, f"/closing?id={name}&code=4000&reason=why")
        socket.closed_with(4000)
        disconnect, text, again = server.seen(name).notes
        assert (disconnect["type"], disconnect["code"]) == ("websocket.disconnect", 4000)
        assert text[0] == "raised"
        assert again == "sent" or again[0] == "raised"

    def test_the_server_closes_the_connection(self, server, wire):
        """RFC 6455, 7.1.1: once both have sent their frame, it is the server that closes."""
        socket = WebSocket.open(wire, "/closing?code=1000")
        found = socket.receive()
        socket.send(frame(CLOSE, found.payload))
        assert wire.ends()

    def test_data_before_the_answer_is_read_past(self, server, wire):
        name = unique()
        socket = WebSocket.open(wire, f"/closing?id={name}&code=1000")
        assert socket.receive().opcode == CLOSE
        socket.send(frame(TEXT, b"on its way") + frame(PING, b"x") + close(1000))
        wire.rest()
        assert [note for note in server.seen(name).notes if "receive" in str(note)] == []

    def test_return_is_1000(self, wire):
        socket = WebSocket.open(wire, "/leave")
        assert socket.receive_text() == "bye"
        socket.closed_with(1000)

    def test_exception_is_1011(self, server, wire):
        socket = WebSocket.open(wire, "/fail")
        assert socket.receive_text() == "bye"
        socket.closed_with(1011)
        server.printed("ValueError: raised after accept")

    @pytest.mark.parametrize(
        ("path", "logged"),
        [("/cancel-itself", "CancelledError: of the app"), ("/exit-after", "SystemExit: 5")],
    )
    def test_other_exceptions_too(self, server, wire, path, logged):
        socket = WebSocket.open(wire, path)
        socket.closed_with(1011)
        server.printed(logged)


class TestKeepalive:
    flags = ("--ws-ping-interval", "0.2", "--ws-ping-timeout", "0.5")
    # For clients that answer, but perhaps not at once.
    patient = ("--ws-ping-interval", "0.2", "--ws-ping-timeout", "60")

    def test_pings_come(self, shared_server):
        with shared_server("apps.sockets:app", *self.patient).connect() as wire:
            socket = WebSocket.open(wire, "/echo")
            for _ in range(4):
                ping = socket.receive()
                assert ping.opcode == PING
                socket.send(frame(PONG, ping.payload))
            socket.send_text("still here")
            while (found := socket.receive()).opcode == PING:
                socket.send(frame(PONG, found.payload))
            assert found.payload == b"still here"

    def test_no_pong(self, shared_server):
        server, name = shared_server("apps.sockets:app", *self.flags), unique()
        with server.connect() as wire:
            socket = WebSocket.open(wire, f"/note?id={name}")
            while (found := socket.receive()).opcode == PING:
                pass
            assert found.close_code == 1011
            wire.ends()
        (message,) = server.seen(name).notes
        assert message["type"] == "websocket.disconnect"
        assert message["code"] in (1006, 1011)

    def test_a_wrong_pong_is_none(self, shared_server):
        server = shared_server("apps.sockets:app", *self.flags)
        with server.connect() as wire:
            socket = WebSocket.open(wire, "/echo")
            begin = time.monotonic()
            while (found := socket.receive()).opcode == PING:
                socket.send(frame(PONG, b"wrong" + found.payload))
                assert time.monotonic() - begin < SLACK
            assert found.close_code == 1011

    def test_a_busy_connection_is_pinged_all_the_same(self, shared_server):
        """Data shows that the peer is there, but it still has to answer pings."""
        with shared_server("apps.sockets:app", *self.patient).connect() as wire:
            socket = WebSocket.open(wire, "/echo")
            pings = 0
            while pings < 3:
                socket.send_text("x")
                while (found := socket.receive()).opcode == PING:
                    socket.send(frame(PONG, found.payload))
                    pings += 1
                assert found.payload == b"x"
                time.sleep(0.02)

    def test_turned_off(self, shared_server):
        flags = ("--ws-ping-interval", "3600", "--ws-ping-timeout", "3600")
        with shared_server("apps.sockets:app", *flags).connect() as wire:
            socket = WebSocket.open(wire, "/echo")
            socket.send_text("x")
            assert socket.receive_text() == "x"
            assert not wire.is_readable(0.3)


class TestShutdown:
    def test_1012(self, start_server):
        server, name = start_server("apps.sockets:app"), unique()
        with server.connect() as wire:
            socket = WebSocket.open(wire, f"/note?id={name}")
            socket.send_text("x")
            server.seen(name, 1)
            server.signal(signal.SIGTERM)
            socket.closed_with(1012)
        server.wait()
