"""A real PostgreSQL, made and ended by the tests."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.servers.process import environment, folder, require, running, unprivileged
from support.sockets import kept_port

USER = "vivace"


@dataclass(frozen=True)
class Postgres:
    """Where the server is to be found; every user is let in."""

    host: str
    port: int
    socket_folder: str
    user: str = USER
    database: str = "postgres"


def _program(name: str) -> str:
    found = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))]
    return require(
        found[-1] if found else shutil.which(name), "postgresql", "the PostgreSQL server"
    )


@contextlib.contextmanager
def serve() -> Iterator[Postgres]:
    """Run a server with an empty cluster."""
    initdb, postgres = _program("initdb"), _program("postgres")
    with folder("postgres") as path, kept_port() as port:
        data = path / "data"
        # The server refuses to run as root, so does initdb.
        subprocess.run(
            [
                *unprivileged("postgres"),
                *(initdb, "-D", str(data), "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8"),
                "--no-instructions",
            ],
            check=True,
            capture_output=True,
            cwd=path,
            env=environment(),
        )
        server = Postgres("127.0.0.1", port, str(path))
        command = [
            *unprivileged("postgres"),
            *(postgres, "-D", str(data), "-k", str(path), "-p", str(port)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
            *("-c", "max_connections=50", "-c", "log_min_messages=warning"),
        ]
        with running(command, lambda: _answers(server), path / "log", signal.SIGINT):
            yield server


def _answers(server: Postgres) -> bool:
    """Ask as a client does; while the cluster starts it answers with an error."""
    parameters = f"user\0{server.user}\0database\0{server.database}\0\0".encode()
    message = (196608).to_bytes(4, "big") + parameters
    try:
        with socket.create_connection((server.host, server.port), 1) as sock:
            sock.settimeout(2)
            sock.sendall((len(message) + 4).to_bytes(4, "big") + message)
            return sock.recv(1) == b"R"
    except OSError:
        return False
