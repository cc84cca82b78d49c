"""`receive` and `send`: what they give, when they wait and what they refuse."""

from __future__ import annotations

import re

import pytest
from support.http_wire import Truncated, Wire
from support.serving import unique

DISCONNECT = {"type": "http.disconnect"}


def get(path: str, name: str) -> bytes:
    return f"GET {path}?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode()


class TestReceive:
    def test_after_the_answer_is_complete(self, server, wire):
        """http.disconnect, at once and every time, although the connection lives on."""
        name = unique()
        wire.send(get("/after-completion", name))
        assert wire.response().body == b"done"
        seen = server.seen(name)
        assert [note["type"] for note in seen.notes] == ["http.disconnect"] * 3
        assert seen.ended == "returned"
        assert wire.is_open()

    def test_after_the_answer_with_a_body_left(self, server, wire):
        """The body does not come any more."""
        name = unique()
        wire.send(
            f"POST /after-completion-unread?id={name} HTTP/1.1\r\nhost: a\r\n"
            "content-length: 3\r\n\r\nabc".encode()
        )
        assert wire.response().body == b"done"
        server.open_gate(name)
        assert [note["type"] for note in server.seen(name).notes] == ["http.disconnect"] * 2

    def test_waits_after_the_body(self, server, wire):
        """Nothing comes between the last of the body and the disconnect."""
        name = unique()
        wire.send(
            f"POST /waiting-receive?id={name} HTTP/1.1\r\nhost: a\r\n"
            "content-length: 3\r\n\r\nabc".encode()
        )
        server.seen(name, 1)
        for _ in range(20):
            server.get("/hello")
        server.open_gate(name)
        assert wire.response().body == b"answered"
        first, waits, last = server.seen(name).notes
        assert first == b"abc"
        assert waits == "waits"
        assert last["type"] == "http.disconnect"

    def test_the_next_request_is_not_a_message(self, server, wire):
        """A pipelined request does not wake the receive of the one before."""
        name = unique()
        wire.send(get("/waiting-receive", name))
        server.seen(name, 1)
        wire.send(get("/hello", unique()))
        for _ in range(20):
            server.get("/hello")
        server.open_gate(name)
        assert wire.response().body == b"answered"
        assert wire.response().body == b"hello"
        assert server.seen(name).notes[1] == "waits"

    @pytest.mark.parametrize("how", [Wire.close, Wire.reset])
    def test_when_the_client_leaves(self, server, wire, how):
        name = unique()
        wire.send(get("/until-disconnect", name))
        server.seen(name, 1)
        how(wire)
        seen = server.seen(name)
        assert seen.ended == "returned"
        assert [note["type"] for note in seen.notes[1:5]] == [
            "http.request",
            *["http.disconnect"] * 3,
        ]

    def test_when_the_client_leaves_with_a_body_unread(self, server, wire):
        """The end is noticed although nobody reads the connection."""
        name = unique()
        wire.send(
            f"POST /gated-read?id={name} HTTP/1.1\r\nhost: a\r\n"
            "content-length: 50000000\r\n\r\n".encode()
            + b"x" * 300_000
        )
        server.seen(name, 1)
        wire.reset()
        server.get("/hello")
        server.open_gate(name)
        assert server.seen(name).ended == "returned"


class TestSendAfterDisconnect:
    """An OSError, which nobody logs: Starlette and others rely on it from 2.4 on."""

    def test_each_send_raises(self, server, wire):
        name = unique()
        wire.send(get("/until-disconnect", name))
        server.seen(name, 1)
        wire.reset()
        assert [note[0] for note in server.seen(name).notes[5:]] == ["OSError"] * 3

    @pytest.mark.parametrize("how", [Wire.close, Wire.reset])
    def test_in_a_stream(self, server, wire, how):
        name, before = unique(), len(server.output())
        wire.send(get("/stream-until-disconnect", name))
        server.seen(name, 1)
        how(wire)
        seen = server.seen(name)
        assert seen.notes[-1] == "OSError"
        assert "OSError" in seen.raised
        server.get("/hello")
        assert "Exception in ASGI application" not in server.output(before)
        assert "Traceback" not in server.output(before)

    def test_in_a_task_group(self, server, wire):
        """What a group makes of it is no failure either."""
        name, before = unique(), len(server.output())
        wire.send(get("/stream-in-a-group", name))
        server.seen(name, 1)
        wire.reset()
        assert "ExceptionGroup" in server.seen(name).raised
        server.get("/hello")
        assert "Traceback" not in server.output(before)

    def test_a_failure_that_follows_is_logged(self, server, wire):
        wire.send(get("/stream-in-a-group", unique()).replace(b"?", b"?fail=1&"))
        wire.some()
        wire.reset()
        server.printed("ValueError: raised after the disconnect")

    def test_a_send_that_waits(self, server):
        """The client stops reading, `send` waits, the client leaves."""
        name = unique()
        with server.connect(receive_buffer=65536) as wire:
            wire.send(get("/flood", name))
            server.seen(name, 1)
            server.get("/hello")
            wire.reset()
        seen = server.seen(name)
        assert "OSError" in seen.raised
        assert "sent" not in seen.notes

    def test_events(self, server, wire):
        """receive in one task, send in another: whichever notices first ends the stream."""
        name = unique()
        wire.send(get("/sse", name))
        server.seen(name, 1)
        wire.close()
        assert server.seen(name).notes[-1] in ("disconnected", "OSError")


class TestLeavingAfterDisconnect:
    """An application that returns because nobody waits any more has done nothing wrong."""

    @pytest.mark.parametrize("how", [Wire.close, Wire.reset, Wire.half_close])
    @pytest.mark.parametrize("when", ["early", "started", "late"])
    def test_nothing_is_logged(self, server, wire, how, when):
        name, before = unique(), len(server.output())
        wire.send(get("/leave-when-told", name).replace(b"?", f"?{when}=&".encode()))
        server.seen(name, 1)
        how(wire)
        assert server.seen(name).ended == "returned"
        server.get("/hello")
        assert "ASGI callable returned" not in server.output(before)

    @pytest.mark.parametrize("when", ["early", "started"])
    def test_who_has_only_ended_his_side_is_not_left_waiting(self, wire, when):
        wire.send(get("/leave-when-told", unique()).replace(b"?", f"?{when}=&".encode()))
        wire.half_close()
        assert wire.rest() == b""


BAD_MESSAGES = [
    "type-missing",
    "type-unknown",
    "type-of-websocket",
    "type-of-request",
    "not-a-dict",
    "status-missing",
    "status-text",
    "status-none",
    "status-too-small",
    "status-too-large",
    "status-negative",
    "headers-text",
    "header-name-text",
    "header-value-number",
    "headers-number",
    "header-of-three",
    "header-of-one",
    "header-name-empty",
    "header-name-space",
    "header-name-colon",
    "header-name-break",
    "header-value-crlf",
    "header-value-lf",
    "header-value-cr",
    "header-value-nul",
    "length-text",
    "length-signed",
    "lengths-differ",
    "body-first",
    "body-text",
    "body-number",
    "start-twice",
    "trailers-first",
]


def test_each_bad_message_of_the_application_is_here():
    import ast

    from support.serving import FOLDER

    tree = ast.parse((FOLDER / "apps" / "probe.py").read_text())
    tables = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "INVALID"
    ]
    assert [key.value for key in tables[0].keys] == BAD_MESSAGES


@pytest.mark.parametrize("kind", BAD_MESSAGES)
def test_a_bad_message_raises(server, kind):
    """Out of `send`, so that the application sees where; the client gets a 500 or the end."""
    name = unique()
    with server.connect() as wire:
        wire.send(f"GET /invalid/{kind}?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        try:
            response = wire.response()
        except (Truncated, ConnectionResetError):
            response = None
        if response is not None:
            assert b"x-injected" not in response
    notes = server.seen(name).notes
    assert notes[0][0] == "raised", notes
    if kind not in ("body-text", "body-number", "start-twice"):
        assert response is not None
        assert response.status == 500
    else:
        assert response is None or response.status == 500


def test_what_was_raised_can_be_caught(server, wire):
    name = unique()
    wire.send(get("/invalid-caught", name))
    assert wire.response().body == b"all the same"
    assert [note[0] for note in server.seen(name).notes] == ["raised", "raised"]
    assert wire.is_open()


def test_the_error_names_what_is_wrong(server):
    name = unique()
    server.get(f"/invalid/type-unknown?id={name}")
    assert "http.response.nonsense" in server.seen(name).notes[0][1]


def test_extra_keys_do_not_matter(wire):
    assert wire.get("/extra-keys").body == b"body"
    assert wire.is_open()


def test_messages_after_the_last(server, wire):
    """The connection shows nothing of them."""
    name = unique()
    wire.send(get("/after-the-end", name) + get("/hello", unique()))
    assert wire.response().body == b"all"
    assert wire.response().body == b"hello"
    seen = server.seen(name)
    assert len(seen.notes) == 3
    assert seen.ended == "returned"


def test_the_log_of_an_exception(server):
    """The traceback, once, where uvicorn has it; what led there is the application's own code."""
    before = len(server.output())
    server.get("/fail")
    server.printed("ValueError: raised before the start", start=before)
    output = server.output(before)
    assert output.count("Exception in ASGI application") == 1
    assert output.count("Traceback (most recent call last)") == 1
    assert re.search(r'File ".*probe\.py", line \d+, in fail', output)
