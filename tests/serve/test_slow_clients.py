"""slowhttptest: clients that send or read so slowly that they only hold connections.

Each attack must end with no connection left, and others must be served meanwhile.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.http_wire import within

SLOWHTTPTEST = shutil.which("slowhttptest")

pytestmark = [
    pytest.mark.skipif(SLOWHTTPTEST is None, reason="there is no slowhttptest"),
    pytest.mark.time_limit(240),
]

CONNECTIONS = 100
# Seconds after which the tool gives up: the attack has succeeded then.
PATIENCE = 90

Attack = Callable[..., None]


def tool(url: str, *mode: str) -> list[str]:
    """The command of an attack."""
    assert SLOWHTTPTEST is not None
    count = str(CONNECTIONS)
    general = ["-c", count, "-r", count, "-l", str(PATIENCE), "-p", "60", "-v", "1"]
    return [SLOWHTTPTEST, *mode, *general, "-u", url]


@pytest.fixture
def attack(start_server: Any, tmp_path: Path) -> Attack:
    """Attacks a server that has `flags` and checks that it withstands."""

    def attack(flags: list[str], path: str, *mode: str) -> None:
        server = start_server("apps.probe:app", *flags)
        done = subprocess.run(
            tool(server.url + path, *mode),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE + 90,
            cwd=tmp_path,
        )
        told = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", done.stdout)
        assert "No open connections left" in told, told[-3000:]
        assert re.search(r"service available:\s+NO", told) is None, told[-3000:]
        assert server.get("/hello").body == b"hello"

    return attack


def test_slow_heads(attack: Attack) -> None:
    attack(["--timeout-request-header", "4"], "/hello", "-H", "-i", "1")


def test_slow_bodies(attack: Attack) -> None:
    attack(["--limit-body-rate", "4K"], "/echo", "-B", "-i", "1", "-s", "8192", "-x", "10")


def test_slow_readers(start_server: Any, tmp_path: Path) -> None:
    # What the kernel has received for it keeps the tool busy for hours: it does not see that the
    # connections are closed. So the server's own descriptors tell.
    server = start_server("apps.probe:app", "--timeout-write", "4", "--timeout-keep-alive", "4")

    def connections() -> int:
        return len(os.listdir(f"/proc/{server.pid}/fd")) - idle

    assert server.get("/hello").body == b"hello"
    idle = len(os.listdir(f"/proc/{server.pid}/fd"))
    mode = ("-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32", "-k", "3")
    with subprocess.Popen(
        tool(f"{server.url}/flood", *mode), stdout=subprocess.DEVNULL, cwd=tmp_path
    ) as process:
        try:
            within(lambda: connections() > CONNECTIONS // 2, "they are connected")
            within(lambda: connections() < CONNECTIONS // 20, "they are closed")
            assert server.get("/hello").body == b"hello"
            # The tool has not given up: it is the server that closed them.
            assert process.poll() is None
        finally:
            process.kill()
    assert "raised exception" not in server.output()
