"""uvicorn serves on vivace's loop, asked to or under `vivace run`, with workers and without."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from support.patience import SECONDS

if TYPE_CHECKING:
    from conftest import Commands

pytest.importorskip("uvicorn")

APPLICATION = """
import asyncio, json, os

async def app(scope, receive, send):
    assert scope["type"] == "http"
    facts = {"loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
             "pid": os.getpid()}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(facts).encode()})
"""


@contextmanager
def serving(commands: Commands, command: list[str]) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Start a server on a free port, wait for its address in the log, and stop it."""
    process = subprocess.Popen(
        [*command, "application:app", "--port", "0", "--no-use-colors"],
        cwd=commands.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        try:
            log = []
            for line in process.stderr:
                log.append(line)
                if address := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
                    yield int(address[1]), process
                    break
            else:
                pytest.fail("".join(log))
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=SECONDS)


def wait_until_listening(port: int) -> None:
    """Knock until someone is there: workers open the port later than the log says, silently."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=SECONDS).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def ask(port: int) -> dict[str, object]:
    """Request the facts that the application knows about its process."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/")
        answer: dict[str, object] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


@pytest.fixture
def application(commands: Commands) -> Commands:
    commands.write("application.py", APPLICATION)
    return commands


def test_uvicorn_asked_for_the_loop(application: Commands) -> None:
    command = [sys.executable, "-m", "uvicorn", "--loop", "vivace:new_event_loop"]
    with serving(application, command) as (port, process):
        assert ask(port) == {"loop": "vivace", "pid": process.pid}


def test_uvicorn_under_vivace_run(application: Commands) -> None:
    command = application.command("run", "-m", "uvicorn", "--loop", "asyncio")
    with serving(application, command) as (port, process):
        assert ask(port) == {"loop": "vivace", "pid": process.pid}


def test_uvicorn_workers_under_vivace_run(application: Commands) -> None:
    command = application.command("run", "-m", "uvicorn", "--loop", "asyncio", "--workers", "2")
    with serving(application, command) as (port, process):
        wait_until_listening(port)
        answer = ask(port)
    assert answer["loop"] == "vivace"
    assert answer["pid"] != process.pid
