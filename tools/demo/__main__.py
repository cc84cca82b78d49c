"""Serves `examples/sourcerevision` to a newcomer: what `make demo` runs.

    python -m tools.demo --port 8000
    python -m tools.demo --port 0 --once

It does what `vivace serve` does, until Ctrl-C, and then exits with 0. With
`--once` it requests each endpoint once, prints the answers, and exits with 0 if
all of them are right.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import platform
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import vivace
from tools.demo.foreground import taking_the_foreground
from tools.demo.sample import make_sample
from tools.demo.tour import tour
from vivace.serve import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CHECKOUT = Path(__file__).parents[2]
_HOST = "127.0.0.1"


class Server(vivace.Server):
    """A server that tells when it serves, and on which loop."""

    def __init__(self, config: Config, serving: Callable[[str], None]) -> None:
        super().__init__(config)
        self._serving = serving

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Starts listening, then calls `serving` with the name of the loop's type."""
        await super().startup(sockets)
        if self.started:
            kind = type(asyncio.get_running_loop())
            self._serving(f"{kind.__module__}.{kind.__qualname__}")


def main() -> int:
    """Runs the demo and returns its exit status."""
    parser = argparse.ArgumentParser(prog="make demo", description="serves the example")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--once", action="store_true", help="request each endpoint and exit")
    options = parser.parse_args()
    # The answers and the request log, in their order even in a file.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    # The protocol is named because asyncio sets TCP_NODELAY only if it is.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, options.port))
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            reason = f"port {options.port} is in use; choose another: make demo PORT=8001"
        else:
            reason = f"cannot listen on port {options.port}: {error}"
        print(f"demo: {reason}", file=sys.stderr)
        return 1

    url = f"http://{_HOST}:{listener.getsockname()[1]}"
    if options.once:
        with tempfile.TemporaryDirectory(prefix="vivace-demo-") as folder:
            return _serve(listener, Path(folder), _Tour(url))
    repository = _CHECKOUT / ".work" / "demo-repository"
    with taking_the_foreground():
        return _serve(listener, repository, _Welcome(url, repository))


class _Welcome:
    """Prints what a newcomer may try, when the server serves."""

    def __init__(self, url: str, repository: Path) -> None:
        self._url = url
        self._repository = repository

    def __call__(self, server: Server, loop: str) -> None:
        body = '{"filename": "bracket.mcam", "user": "ann", "message": "new fixture"}'
        print(
            f"\nServing {self._repository} on {self._url}"
            f" ({loop}, CPython {platform.python_version()}). Try:\n\n"
            f"  curl {self._url}/api/files\n"
            f"  curl -H 'Content-Type: application/json' -d '{body}' {self._url}/api/checkout\n"
            f"  curl {self._url}/api/audit\n\n"
            f"or open {self._url} in a browser. Ctrl-C ends it.\n",
            flush=True,
        )

    def status(self) -> int:
        return 0


class _Tour:
    """Requests each endpoint when the server serves, then ends the server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._thread: threading.Thread | None = None
        self._wrong: list[str] = ["the tour was not finished"]

    def __call__(self, server: Server, loop: str) -> None:
        self._thread = threading.Thread(target=self._go_round, args=(server, loop))
        self._thread.start()

    def status(self) -> int:
        if self._thread is not None:
            self._thread.join()
        for problem in self._wrong:
            print(f"demo: {problem}", file=sys.stderr)
        return 1 if self._wrong else 0

    def _go_round(self, server: Server, loop: str) -> None:
        try:
            print(f"served by {loop} on CPython {platform.python_version()}")
            self._wrong = tour(self._url)
        finally:
            server.should_exit = True


def _serve(listener: socket.socket, repository: Path, serving: _Welcome | _Tour) -> int:
    make_sample(repository)
    os.environ["REPO_PATH"] = str(repository)
    sys.path.insert(0, str(_CHECKOUT / "examples"))
    config = Config(
        "sourcerevision.asgi:app",
        log_level="warning",
        # The application keeps a request log of its own.
        access_log=False,
    )
    server = Server(config, lambda kind: serving(server, kind))
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        # The server has ended in good order, and then passes the signal on.
        pass
    if not server.started:
        print("demo: the server did not start", file=sys.stderr)
        return 1
    return serving.status()


if __name__ == "__main__":
    sys.exit(main())
