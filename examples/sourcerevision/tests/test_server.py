"""The life of the server: its request log, and a clean end."""

from __future__ import annotations

import re

import httpx
from server import Server


def test_request_log_has_a_line_for_each_request(server: Server, client: httpx.Client) -> None:
    client.get("/api/files/drill.vnc")
    client.get("/api/files/gone.vnc")
    client.get("/api/files/%0Aforged.vnc")
    client.post("/api/checkout", json={})
    for expected in (
        r"127\.0\.0\.1 GET /api/files/drill\.vnc 200 \d+\.\d ms$",
        r"127\.0\.0\.1 GET /api/files/gone\.vnc 404 \d+\.\d ms$",
        r"127\.0\.0\.1 GET /api/files/\\nforged\.vnc 404 \d+\.\d ms$",
        r"127\.0\.0\.1 POST /api/checkout 422 \d+\.\d ms$",
    ):
        server.wait_for_line(re.compile(expected))


def test_ctrl_c_ends_it_cleanly(server: Server, client: httpx.Client) -> None:
    client.get("/").raise_for_status()
    # The server shuts down first and then lets the signal have its usual effect.
    assert server.interrupt() in (0, -2, 130)
    assert "Application shutdown complete" in server.output
    assert "Traceback" not in server.output
    server.wait_for_line(re.compile(r"GET / 200"))
