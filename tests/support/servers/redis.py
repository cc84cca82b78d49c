"""A real Redis, made and ended by the tests."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from support.servers.process import folder, require, running, unprivileged
from support.sockets import kept_port

# Its own user comes with the package; nobody is there always.
USER = "nobody"


@dataclass(frozen=True)
class Redis:
    """Where the server is to be found."""

    host: str
    port: int
    socket_path: str


@contextlib.contextmanager
def serve() -> Iterator[Redis]:
    """Run an empty server that keeps nothing on disk."""
    program = require(shutil.which("redis-server"), "redis-server", "the Redis server")
    with folder(USER) as path, kept_port() as port:
        server = Redis("127.0.0.1", port, str(path / "socket"))
        command = [
            *unprivileged(USER),
            *(program, "--bind", server.host, "--port", str(server.port)),
            *("--unixsocket", server.socket_path, "--unixsocketperm", "777"),
            *("--save", "", "--appendonly", "no", "--dir", str(path)),
        ]
        path.chmod(0o755)
        with running(command, lambda: _answers(server), path / "log", signal.SIGTERM):
            yield server


def _answers(server: Redis) -> bool:
    try:
        with socket.create_connection((server.host, server.port), 1) as sock:
            sock.settimeout(2)
            sock.sendall(b"PING\r\n")
            return sock.recv(5) == b"+PONG"
    except OSError:
        return False
