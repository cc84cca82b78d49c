"""`--metrics`: counts by route, liveness while the loop is blocked, one answer for all workers."""

from __future__ import annotations

import os
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest
from support.http_wire import within
from support.patience import SECONDS


def ask(port: int, path: str) -> tuple[int, str]:
    """Status and content of an answer of the endpoint."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def endpoint(server) -> int:
    """The port that the server says that it answers on."""
    found: list[str] = []

    def is_printed() -> bool:
        found[:] = re.findall(r"Metrics on http://127\.0\.0\.1:(\d+)/metrics", server.output())
        return bool(found)

    within(is_printed, "the address of the metrics")
    return int(found[0])


def value(text: str, name: str, **labels: str) -> float:
    """The sum of the samples of a name that have these labels."""
    total = 0.0
    for line in text.splitlines():
        match = re.fullmatch(re.escape(name) + r"(?:\{(.*)\})? (\S+)", line)
        if match and all(f'{key}="{wanted}"' in (match[1] or "") for key, wanted in labels.items()):
            total += float(match[2])
    return total


def test_one_process(start_server) -> None:
    server = start_server("apps.probe:app", "--metrics", "0")
    port = endpoint(server)
    for _ in range(3):
        assert server.get("/hello").status == 200
    assert server.get("/fail").status == 500
    status, text = ask(port, "/metrics")
    assert status == 200
    assert value(text, "vivace_http_requests_total", status="2xx") == 3
    assert value(text, "vivace_http_requests_total", status="5xx") == 1
    assert value(text, "vivace_http_request_duration_seconds_count") == 4
    assert ask(port, "/readyz")[0] == ask(port, "/livez")[0] == 200
    assert ask(port, "/other")[0] == 404


def test_routes_are_templates(start_server) -> None:
    pytest.importorskip("fastapi")
    server = start_server("apps.fastapi_app:app", "--metrics", "0")
    port = endpoint(server)
    for number in range(5):
        assert server.get(f"/items/{number}").status == 200
    text = ask(port, "/metrics")[1]
    assert value(text, "vivace_http_requests_total", route="/items/{number}") == 5


def test_several_workers(start_server) -> None:
    server = start_server("apps.probe:app", "--metrics", "0", "--workers", "2")
    port = endpoint(server)
    for _ in range(20):
        assert server.get("/hello").status == 200

    def told() -> tuple[float, float]:
        text = ask(port, "/metrics")[1]
        return (
            value(text, "vivace_http_requests_total", status="2xx"),
            value(text, "vivace_worker_ready"),
        )

    # A worker that has no time to answer within a scrape is counted as it was before.
    within(lambda: told() == (20, 2), "the numbers of both workers")
    # Shares of time cannot be added: one for each worker.
    shares = re.findall(
        r'^asyncio_eventloop_utilization_ratio\{pid="\d+"\} (\S+)$', ask(port, "/metrics")[1], re.M
    )
    assert len(shares) == 2
    assert all(0 <= float(share) <= 1 for share in shares)


def test_an_address_that_is_taken(launch_server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = launch_server("apps.probe:app", "--metrics", f"{port}")
        assert server.process.wait(SECONDS) == 3
    assert "metrics: cannot listen" in server.output()


def test_while_the_loop_is_blocked(start_server, tmp_path: Path) -> None:
    """The endpoint is a thread without Python: it answers whatever the application does."""
    server = start_server("apps.blocking:app", "--metrics", "0")
    port = endpoint(server)
    fifo = tmp_path / "go on"
    os.mkfifo(fifo)
    with server.connect() as wire:
        wire.send(f"GET /?{quote(str(fifo))} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        server.printed("blocked now")
        assert ask(port, "/metrics")[0] == 200
        within(lambda: ask(port, "/livez")[0] == 503, "that the loop is taken for blocked")
        fifo.write_bytes(b"x")
        assert wire.response().status == 200
    within(lambda: ask(port, "/livez")[0] == 200, "that the loop turns again")
