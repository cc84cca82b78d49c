"""HTTP/2: the life of a connection; resets, draining, deadlines, floods, TLS, clients."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import h2.exceptions
import httpx
import pytest
from support import serving
from support.http2_wire import Http2Wire
from support.patience import SECONDS

INITIAL_WINDOW_SIZE = 4
ENHANCE_YOUR_CALM = 11
PING = b"\0\0\x08\x06\0\0\0\0\0" + b"12345678"
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"


def resident_bytes(pid: int) -> int:
    """The memory that a process has in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


@pytest.fixture
def server(shared_server):
    return shared_server("apps.probe:app", "--http2")


@pytest.fixture
def wire(server):
    with Http2Wire.connect(server) as wire:
        yield wire


def test_a_reset_is_a_disconnect(server, wire):
    name = serving.unique()
    stream = wire.ask(f"/until-disconnect?id={name}")
    server.seen(name, 2)
    wire.reset(stream)
    seen = server.seen(name)
    assert [note["type"] for note in seen.notes if isinstance(note, dict)].count(
        "http.disconnect"
    ) == 3
    assert [note for note in seen.notes if not isinstance(note, dict)][1:] == [
        ("OSError", "ConnectionResetError")
    ] * 3
    assert wire.get("/hello").body == b"hello"


def test_a_reset_stops_a_stream(server, wire):
    name = serving.unique()
    stream = wire.ask(f"/stream-until-disconnect?id={name}")
    server.seen(name, 1)
    wire.reset(stream)
    assert "OSError" in server.seen(name).raised


def test_a_lost_connection_is_a_disconnect_for_all(server):
    names = [serving.unique() for _ in range(5)]
    with Http2Wire.connect(server) as wire:
        for name in names:
            wire.ask(f"/until-disconnect?id={name}")
        for name in names:
            server.seen(name, 2)
    for name in names:
        assert server.seen(name).ended == "returned"


def test_cancel_on_disconnect(shared_server):
    server = shared_server("apps.probe:app", "--http2", "--cancel-on-disconnect")
    name = serving.unique()
    with Http2Wire.connect(server) as wire:
        stream = wire.ask(f"/gated?id={name}")
        server.seen(name, 1)
        wire.reset(stream)
        assert server.seen(name).ended == "cancelled"
        assert wire.get("/hello").body == b"hello"


def test_requests_taken_back_again_and_again_end_the_connection(server, wire):
    asked = 0
    with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
        while not wire.closed and asked < 5000:
            for _ in range(10):
                stream = wire.ask(f"/gated?id=rapid{asked}")
                wire.reset(stream)
                asked += 1
            wire.h2.ping(b"12345678")
            wire.flush()
            wire.read()
    wire.until_closed()
    assert asked < 1000
    assert ENHANCE_YOUR_CALM in wire.goaways
    assert server.get("/hello").body == b"hello"


FLOODS = {
    "PING": PING,
    "SETTINGS": SETTINGS,
    "PRIORITY": b"\0\0\x05\x02\0\0\0\0\x01" + b"\0\0\0\0\x10",
    "unknown": b"\0\0\0\xbb\0\0\0\0\0",
}


@pytest.mark.parametrize("frame", FLOODS.values(), ids=FLOODS)
def test_a_flood_ends_the_connection(server, wire, frame):
    """Also that of a client that reads what it is answered with."""
    assert wire.get("/hello").body == b"hello"
    sent = 0
    with contextlib.suppress(OSError):
        while not wire.closed and sent < 20_000:
            wire.sock.sendall(frame * 50)
            wire.h2.ping(b"12345678")
            wire.flush()
            sent += 50
            wire.read()
    wire.until_closed()
    assert 900 < sent < 5000
    assert ENHANCE_YOUR_CALM in wire.goaways
    assert server.get("/hello").body == b"hello"


def test_pings_beside_requests_are_no_flood(wire):
    """As clients send them that measure their connection."""
    for _ in range(1500):
        wire.h2.ping(b"12345678")
        assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("frame", [PING, SETTINGS], ids=["PING", "SETTINGS"])
def test_a_flood_is_not_kept(server, frame):
    before = resident_bytes(server.pid)
    flood = frame * (4_000_000 // len(frame))
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as sock:
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS)
        sock.settimeout(0.5)
        sent = 0
        # Nothing is read: in the end the server does not listen any more, or has closed.
        with contextlib.suppress(OSError):
            while sent < 100_000_000:
                sent += sock.send(flood[sent % len(frame) :])
        assert sent < 100_000_000
        assert server.get("/hello").body == b"hello"
        assert resident_bytes(server.pid) - before < 16_000_000


def test_endless_continuation_ends_the_connection(server, wire):
    wire.get("/hello")
    head = b"\0\0\x01\x01\x01\0\0\0\x05" + b"\x82"
    more = b"\0\x40\0\x09\0\0\0\0\x05" + b"\0" * 0x4000
    with contextlib.suppress(OSError):
        wire.sock.sendall(head)
        for _ in range(10_000):
            wire.sock.sendall(more)
    wire.until_closed()
    assert server.get("/hello").body == b"hello"


def test_a_client_that_opens_no_window(shared_server):
    server = shared_server("apps.probe:app", "--http2", "--timeout-write", "0.3")
    name = serving.unique()
    with Http2Wire.connect(server, settings={INITIAL_WINDOW_SIZE: 1000}) as wire:
        stream = wire.ask(f"/flood?id={name}")
        answer = wire.answer(stream, windows=False)
        assert (len(answer.body), answer.reset) == (1000, 8)
        assert "OSError" in server.seen(name).raised
        assert wire.get("/hello").body == b"hello"


def test_keep_alive(shared_server):
    server = shared_server("apps.probe:app", "--http2", "--timeout-keep-alive", "1")
    with Http2Wire.connect(server) as wire:
        stream = wire.ask("/gated?id=kept")
        begun = time.monotonic()
        while time.monotonic() - begun < 1.5:
            assert wire.get("/hello").body == b"hello"
        server.open_gate("kept")
        assert wire.answer(stream).status == 200
        wire.until_closed()
        assert wire.goaways == [0]


def test_a_connection_that_never_asks(shared_server):
    server = shared_server("apps.probe:app", "--http2", "--timeout-request-header", "0.5")
    with Http2Wire.connect(server) as wire:
        wire.until_closed()
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as sock:
        sock.sendall(b"PRI * HTTP")
        sock.settimeout(SECONDS)
        assert sock.recv(100) == b""


def test_a_body_that_does_not_come(shared_server):
    server = shared_server("apps.probe:app", "--http2", "--timeout-request-header", "0.5")
    with Http2Wire.connect(server) as wire:
        stream = wire.ask("/count", method="POST", end=False)
        wire.send(stream, b"part")
        assert wire.answer(stream).status == 408
        assert wire.get("/hello").body == b"hello"


def test_timeout_request(shared_server):
    server = shared_server("apps.probe:app", "--http2", "--timeout-request", "1")
    with Http2Wire.connect(server) as wire:
        first, second = wire.ask("/gated?id=late1"), wire.ask("/gated?id=late2")
        assert wire.answer(first).status == wire.answer(second).status == 503
        assert wire.get("/hello").body == b"hello"


def test_limit_concurrency(shared_server):
    server = shared_server(
        "apps.probe:app", "--http2", "--limit-concurrency", "2", "--limit-queue", "0"
    )
    with Http2Wire.connect(server) as wire:
        streams = [wire.ask(f"/gated?id=busy{number}") for number in range(3)]
        assert wire.answer(streams[2]).status == 503
        assert dict(wire.answers[streams[2]].headers)[b"retry-after"] == b"1"


def test_the_access_log(server, wire):
    start = server.log.stat().st_size
    path = f"/hello?{serving.unique()}"
    wire.get(path)
    server.printed(rf'127\.0\.0\.1:\d+ - "GET {path} HTTP/2" 200'.replace("?", r"\?"), start=start)


def test_draining_lets_requests_end(start_server):
    server = start_server("apps.probe:app", "--http2")
    with Http2Wire.connect(server) as wire, Http2Wire.connect(server) as idle:
        idle.get("/hello")
        # A handler that ends by itself: nobody can open a gate when nothing is accepted.
        stream = wire.ask("/count", method="POST", end=False)
        wire.send(stream, b"before")
        wire.get("/hello")
        server.signal(signal.SIGTERM)
        wire.until(lambda: bool(wire.goaways))
        assert wire.goaways == [0]
        wire.send(stream, b"after", end=True)
        assert b"11" in wire.answer(stream).body
        wire.until_closed()
        idle.until_closed()
        assert set(wire.goaways + idle.goaways) == {0}
    assert server.wait() in (0, -signal.SIGTERM)


def test_tls(shared_server, certificates):
    files = ("--ssl-certfile", str(certificates.server), "--ssl-keyfile", str(certificates.server))
    server = shared_server("apps.probe:app", "--http2", *files)
    context = certificates.client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as sock:
        with context.wrap_socket(sock, server_hostname="localhost") as tls:
            assert tls.selected_alpn_protocol() == "h2"
            wire = Http2Wire(tls)
            wire.scheme = "https"
            assert wire.get("/hello").body == b"hello"
            data = b"x" * 300_000
            stream = wire.ask("/back", method="POST", end=False)
            wire.get("/hello")
            wire.send(stream, data[:200_000], end=True)
            assert len(wire.answer(stream).body) == 200_000
            assert b"'scheme': 'https'" in wire.get("/scope").body
    with_http1: ssl.SSLContext = certificates.client_context()
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as sock:
        with with_http1.wrap_socket(sock, server_hostname="localhost") as tls:
            tls.sendall(b"GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert tls.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_httpx(server):
    with httpx.Client(http1=False, http2=True, base_url=server.url) as client:
        assert client.get("/hello").http_version == "HTTP/2"
        data = b"y" * 500_000
        assert client.post("/back", content=data).content == data
        with client.stream("GET", "/flood") as response:
            total = sum(len(piece) for piece in response.iter_raw())
        assert total == 64 * 1024 * 1024


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl(server):
    words = ["curl", "-sS", "--max-time", f"{SECONDS:g}", "-o", "-", "-w", " %{http_version}"]
    prior = subprocess.run(
        [*words, "--http2-prior-knowledge", "-d", "a=b", f"{server.url}/back"],
        capture_output=True,
        timeout=SECONDS,
    )
    if b"option" in prior.stderr:
        pytest.skip("this curl has no HTTP/2")
    assert prior.stdout == b"a=b 2", prior.stderr
    # An upgrade from HTTP/1.1 is offered and not taken.
    offered = subprocess.run(
        [*words, "--http2", f"{server.url}/hello"], capture_output=True, timeout=SECONDS
    )
    assert offered.stdout == b"hello 1.1", offered.stderr


@pytest.mark.skipif(shutil.which("h2load") is None, reason="needs h2load")
def test_h2load(server):
    run = subprocess.run(
        ["h2load", "-n", "2000", "-c", "4", "-m", "50", f"{server.url}/hello"],
        capture_output=True,
        timeout=SECONDS,
        text=True,
    )
    assert "2000 succeeded, 0 failed, 0 errored" in run.stdout, run.stdout
