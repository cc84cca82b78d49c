"""uvicorn's own command with vivace's loop and protocol, as users type them."""

from __future__ import annotations

import signal

import pytest
from support import serving
from support.http_wire import within
from support.serving import unique
from support.websocket_wire import WebSocket

pytest.importorskip("uvicorn")
pytestmark = pytest.mark.skipif(serving.KIND != "vivace", reason="about vivace's parts")

PARTS = ("--loop", "vivace:new_event_loop", "--http", "vivace.serve:H1Protocol")


@pytest.fixture
def start_uvicorn(start_server):
    def start(app: str, *flags: str, **options):
        return start_server(app, *PARTS, *flags, kind="uvicorn", **options)

    return start


def test_requests(start_uvicorn):
    server = start_uvicorn("apps.probe:app", apart=True)
    with server.connect() as wire:
        port = wire.sock.getsockname()[1]
        response = wire.get("/hello")
        assert response.body == b"hello"
        assert response[b"server"] == b"uvicorn"
        assert wire.request("POST", "/back", body=b"x" * 100_000).body == b"x" * 100_000
        assert wire.get("/loop").body.startswith(b"vivace")
        assert wire.get("/fail").status == 500
    server.stop()
    assert "Uvicorn running on" in server.output()
    assert "Exception in ASGI application" in server.output()
    lines = server.standard_output.read_text().splitlines()
    assert lines[0] == f'INFO:     127.0.0.1:{port} - "GET /hello HTTP/1.1" 200 OK'
    assert len(lines) == 4


def test_state(start_uvicorn):
    server = start_uvicorn("apps.probe:app")
    first, second = server.get("/state").body, server.get("/state").body
    assert first == second
    assert server.stop() == 0


def test_websocket(start_uvicorn):
    server = start_uvicorn("apps.sockets:app")
    with server.connect() as wire:
        socket = WebSocket.open(wire, "/echo")
        for text in ("hi", "x" * 70_000):
            socket.send_text(text)
            assert socket.receive_text() == text
        server.signal(signal.SIGTERM)
        assert socket.closed_with(1012) == ""
    server.wait()


def test_limit_concurrency(start_uvicorn):
    server = start_uvicorn("apps.probe:app", "--limit-concurrency", "1")
    with server.connect() as wire:
        wire.send(b"GET /until-disconnect HTTP/1.1\r\nhost: a\r\n\r\n")
        within(lambda: server.get("/hello").status == 503, "that the place is taken")
    within(lambda: server.get("/hello").status == 200, "a free place")


def test_a_request_is_finished_at_the_end(start_uvicorn):
    server = start_uvicorn("apps.ending:app", "--timeout-graceful-shutdown", "20")
    name = unique()
    with server.connect() as wire, server.connect() as idle:
        assert idle.get("/hello").status == 200
        wire.send(f"GET /brief?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        server.seen(name, 1)
        server.signal(signal.SIGTERM)
        assert idle.ends()
        response = wire.response()
        assert (response.status, response.closes) == (200, True)
    server.wait()
    assert "lifespan: shutdown" in server.output()


def test_a_request_that_does_not_end_is_given_up(start_uvicorn):
    server = start_uvicorn("apps.ending:app", "--timeout-graceful-shutdown", "1")
    name = unique()
    with server.connect() as wire:
        wire.send(f"GET /stubborn?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        server.seen(name, 1)
        server.signal(signal.SIGTERM)
        server.wait(10)
    assert "lifespan: shutdown" in server.output()
