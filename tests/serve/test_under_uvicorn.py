"""uvicorn's own command with vivace's loop and protocol, as users type them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys

import pytest
from support import serving
from support.http_wire import Truncated, within
from support.patience import SECONDS
from support.serving import environment, unique
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


def test_asgi2(start_uvicorn):
    server = start_uvicorn("apps.servers:Asgi2", "--lifespan", "off")
    assert server.get("/").body == b"asgi2 http 2.0"


def test_an_application_that_is_awaited(start_uvicorn):
    """uvicorn wraps it, unless it has nothing to do with proxies."""
    server = start_uvicorn("apps.servers:Endpoint", "--no-proxy-headers")
    assert server.get("/hello").body == b"hello"


def test_limit_max_requests(start_uvicorn):
    flags = ("--limit-max-requests", "3", "--limit-max-requests-jitter", "2")
    server = start_uvicorn("apps.probe:app", *flags)
    served = 0
    with contextlib.suppress(ConnectionError, Truncated):
        while served < 10_000:
            served += server.get("/hello").status == 200
    server.wait()
    server.printed("Maximum request limit of [345] exceeded. Terminating process.")


def test_h11_max_incomplete_event_size(start_uvicorn):
    server = start_uvicorn("apps.probe:app", "--h11-max-incomplete-event-size", "2000")
    for size, status in ((1000, 200), (3000, 431)):
        with server.connect() as wire:
            head = f"GET /hello HTTP/1.1\r\nhost: a\r\na: {'a' * size}\r\n\r\n"
            wire.send(head.encode())
            assert wire.response().status == status


def test_a_handler_whose_client_has_gone_is_waited_for(start_uvicorn):
    server = start_uvicorn("apps.ending:app", "--timeout-graceful-shutdown", "20")
    name = unique()
    with server.connect() as wire:
        wire.send(f"GET /afterwards?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        server.seen(name, 1)
        wire.reset()
    server.seen(name, 2)
    server.signal(signal.SIGTERM)
    server.wait()
    assert "afterwards: done" in server.output()
    assert "lifespan: shutdown" in server.output()


def test_the_handlers_of_a_server_in_a_program_are_cancelled(tmp_path):
    """The loop goes on, so that nothing else would cancel them."""
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROGRAM],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd=tmp_path,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    assert "Cancel 1 running task(s), timeout graceful shutdown exceeded" in done.stderr
    assert done.stdout == "cancelled\nended\n"


IN_A_PROGRAM = """
import asyncio
import uvicorn
import vivace

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    called.set()
    try:
        await asyncio.Event().wait()
    finally:
        print("cancelled", flush=True)

async def main():
    global called
    called = asyncio.Event()
    options = {"port": 0, "http": "vivace.serve:H1Protocol", "access_log": False}
    server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=1, **options))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    address = server.servers[0].sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET / HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n")
    await called.wait()
    assert len(server.server_state.tasks) == 1
    server.should_exit = True
    await serving
    await asyncio.wait_for(reader.read(), 10)
    assert not server.server_state.tasks
    print("ended", flush=True)
    writer.close()

vivace.run(main())
"""


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
