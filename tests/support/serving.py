"""Starts an ASGI server as a process of its own and talks to it, for tests/serve.

The server is `vivace serve`. To check a test body against a peer that does the same thing right:

    VIVACE_TEST_SERVER=uvicorn VIVACE_TEST_PEER_PYTHON=/path/to/venv/bin/python pytest tests/serve

A flag that the peer has not got skips the test.
"""

from __future__ import annotations

import ast
import ctypes
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from support.http_wire import Headers, Response, Wire, within
from support.patience import SECONDS

KIND = os.environ.get("VIVACE_TEST_SERVER", "vivace")
PEER_PYTHON = os.environ.get("VIVACE_TEST_PEER_PYTHON", sys.executable)
FOLDER = Path(__file__).resolve().parents[1] / "serve"

# uvicorn's own words, hypercorn's, and those for a Unix socket.
_BANNER = re.compile(
    r"[Rr]unning on (?:(?P<scheme>https?)://(?P<host>\[[^]]+\]|[^:/ ]+):(?P<port>\d+)"
    r"|unix socket (?P<path>\S+))"
)

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

# Loaded here: little may be done between fork and exec.
_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1

_numbers = itertools.count()


def unique(what: str = "r") -> str:
    """A name that no other test of this run has."""
    return f"{what}{next(_numbers)}"


class Seen(NamedTuple):
    """What a handler of tests/serve/apps noted.

    Attributes:
        notes: The notes, in their order.
        ended: ``returned``, ``cancelled``, the names of the classes of what it raised, or None
            while it runs.
    """

    notes: list[Any]
    ended: str | None

    @property
    def raised(self) -> list[str]:
        """The classes of the exception that it raised, most derived first."""
        return (self.ended or "").split()


class Server:
    """A server that runs."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, command: list[str]) -> None:
        self.process = process
        self.log = log
        # Where standard output goes if it is kept apart.
        self.standard_output = log
        self.command = command
        self.scheme = "http"
        self.address: tuple[str, int] | str = ("", 0)

    @property
    def pid(self) -> int:
        """The process that was started; with workers, their supervisor."""
        return self.process.pid

    @property
    def port(self) -> int:
        """The TCP port."""
        assert not isinstance(self.address, str)
        return self.address[1]

    @property
    def url(self) -> str:
        """The address without a slash at the end, for client libraries."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def connect(self, *, receive_buffer: int | None = None) -> Wire:
        """Open a connection."""
        return Wire.connect(self.address, receive_buffer=receive_buffer)

    def get(self, path: str, headers: Headers | None = None) -> Response:
        """Ask for something on a connection of its own."""
        with self.connect() as wire:
            return wire.get(path, headers)

    def seen(self, name: str, count: int | None = None) -> Seen:
        """Return what the handler called for `name` has noted.

        Args:
            name: The ``id`` in the query of its request.
            count: Wait for so many notes; without it, for the end of the handler.
        """
        query = {"id": name} | ({} if count is None else {"count": str(count)})
        answer = self.get(f"/seen?{urlencode(query)}")
        assert answer.status == 200, answer.body
        return Seen(*ast.literal_eval(answer.body.decode()))

    def open_gate(self, name: str, gate: str = "go") -> None:
        """Let the handler called for `name` go on that waits at a gate."""
        assert self.get(f"/open?{urlencode({'id': name, 'gate': gate})}").status == 200

    def output(self, start: int = 0) -> str:
        """What the server has printed, from a place on."""
        with self.log.open("rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")

    def printed(self, pattern: str, *, start: int = 0, count: int = 1) -> list[re.Match[str]]:
        """Wait until the server has printed so many matches of the pattern; return them."""
        deadline = time.monotonic() + SECONDS
        while True:
            ended = self.process.poll() is not None
            found = list(re.finditer(pattern, self.output(start), re.MULTILINE))
            if len(found) >= count:
                return found
            if ended or time.monotonic() > deadline:
                last = self.output(start)[-4000:]
                pytest.fail(f"the server did not print {pattern!r}:\n{last}")
            time.sleep(0.01)

    def signal(self, number: int) -> None:
        """Send a signal to the process that was started."""
        self.process.send_signal(number)

    def wait(self, seconds: float = SECONDS) -> int:
        """Wait for the end of the process; return its status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            # faulthandler prints where each of its threads is.
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            last = self.output()[-4000:]
            pytest.fail(f"the server still runs after {seconds:g} s:\n{last}", pytrace=False)

    def stop(self) -> int:
        """End the server in an orderly way; one that was told already is told again."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        status = self.wait()
        # It has ended by itself, and not because its time was over.
        assert "timeout graceful shutdown exceeded" not in self.output(), self.output()[-4000:]
        return status

    def kill(self) -> None:
        """End the server and its children at once; nothing happens if it has ended."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def wait_until_up(self) -> None:
        """Wait for the line that says where it listens."""
        self.printed("unning on .*CTRL")
        match = _BANNER.search(_COLOUR.sub("", self.output()))
        assert match is not None, self.output()
        if match["path"]:
            self.address = match["path"]
        else:
            self.scheme = match["scheme"]
            self.address = (match["host"].strip("[]"), int(match["port"]))


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a server: none that would configure it but those given here."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("UVICORN_", "VIVACE_"))
        and name not in ("WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "NOTIFY_SOCKET")
    }
    own = {
        # Apps write no bytecode into the checkout.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }
    return kept | own | dict(more or {})


def command(app: str, *flags: str, kind: str = KIND) -> list[str]:
    """The words that start a server with uvicorn's flags."""
    if kind == "vivace":
        start = [sys.executable, "-m", "vivace", "serve"]
    elif kind == "uvicorn":
        start = [PEER_PYTHON, "-m", "uvicorn"]
    elif kind == "hypercorn":
        return _hypercorn(app, *flags)
    else:
        raise ValueError(f"no server is called {kind!r}")
    words = [*start, app, *flags]
    if not any(flag in flags for flag in ("--port", "--uds", "--fd", "--bind", "-b")):
        words += ["--port", "0"]
    if "--use-colors" not in flags:
        words.append("--no-use-colors")
    return words


def _hypercorn(app: str, *flags: str) -> list[str]:
    """hypercorn has other flags: those that the apps need, by its names."""
    names = {
        "--root-path": "--root-path",
        "--log-level": "--log-level",
        "--ssl-keyfile": "--keyfile",
        "--ssl-certfile": "--certfile",
        "--ssl-ca-certs": "--ca-certs",
    }
    words = [PEER_PYTHON, "-m", "hypercorn", app, "-b", "127.0.0.1:0"]
    pairs = list(flags)
    while pairs:
        flag, value = pairs.pop(0), pairs.pop(0) if pairs else ""
        if flag == "--app-dir":
            continue
        if flag not in names:
            pytest.skip(f"hypercorn has no {flag}")
        words += [names[flag], value]
    return words


def launch(
    folder: Path,
    app: str,
    *flags: str,
    env: Mapping[str, str] | None = None,
    app_dir: Path = FOLDER,
    pass_fds: tuple[int, ...] = (),
    apart: bool = False,
    before: Callable[[], None] | None = None,
    kind: str = KIND,
) -> Server:
    """Start a server without waiting for it.

    Args:
        folder: Where its output goes.
        app: What it serves, as in ``apps.probe:app``.
        flags: uvicorn's flags.
        env: More variables.
        app_dir: Where the app is looked for.
        pass_fds: File descriptors that the server inherits.
        apart: Keep standard output apart; the log is then standard error alone.
        before: What the new process does before it becomes the server.
        kind: Which server; the one under test unless another is asked for.
    """
    words = command(app, "--app-dir", str(app_dir), *flags, kind=kind)
    log = folder / f"{unique('server')}.log"
    standard_output = log.with_suffix(".out") if apart else log
    with log.open("ab") as errors, standard_output.open("ab") as output:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=environment(
                {"PYTHONPATH": os.pathsep.join([str(app_dir), os.environ.get("PYTHONPATH", "")])}
                | dict(env or {})
            ),
            # A process group of its own: what is left of it can be ended at once.
            start_new_session=True,
            pass_fds=pass_fds,
            preexec_fn=lambda: _prepare(before),
        )
    server = Server(process, log, words)
    server.standard_output = standard_output
    return server


def _prepare(before: Callable[[], None] | None) -> None:
    # A runner in the background starts its children with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # It ends with the tests, also if they are killed.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if before is not None:
        before()


def start(folder: Path, app: str, *flags: str, **options: Any) -> Server:
    """Start a server and wait until it listens."""
    server = launch(folder, app, *flags, **options)
    try:
        server.wait_until_up()
    except BaseException:
        server.kill()
        raise
    return server


__all__ = ["KIND", "Seen", "Server", "environment", "launch", "start", "unique", "within"]
