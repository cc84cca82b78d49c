"""The web servers that are measured: where they come from, how they are started and ended.

Each has one process, one loop and one thread for Python, and everything else as it is by default.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from . import process_tree
from .checkout import WORKERS
from .environment import SUBJECT, Environment, PreparationError, install, version_of
from .placement import SERVER_CPU, children_on

# What each peer consists of, from the package index.
PEERS = {
    "uvicorn": ("uvicorn", "uvloop", "httptools", "websockets"),
    "granian": ("granian", "uvloop"),
    "hypercorn": ("hypercorn", "uvloop"),
}
# What the applications are made with.
FRAMEWORKS = ("fastapi",)

# Bounds every server, whatever happens to the benchmark.
_LIFETIME = 300
_PATIENCE = 30.0
# Idle connections have to stay while memory is measured.
_KEEP_ALIVE = "120"


class ServerError(Exception):
    """A server did not start or did not answer as it should."""


@dataclass(frozen=True)
class Offer:
    """What a server has to offer in a cell.

    Attributes:
        application: `module:name` in `workers/`.
        log: Whether to write an access log.
        protocol: "http/1.1", "h2" (without TLS) or "websocket".
        certificate: The folder of `certificate.pem` and `key.pem`, if it is to speak TLS.
    """

    application: str
    log: bool = False
    protocol: str = "http/1.1"
    certificate: Path | None = None


@dataclass
class Server:
    """A server that listens."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def wait(self) -> None:
        """Waits until it accepts connections.

        Raises:
            ServerError: If it ends, or does not in time.
        """
        _wait_for(self.process, self.port, self.log)

    def terminate(self) -> None:
        """Asks all its processes to end."""
        _signal(self.process, signal.SIGTERM)

    def cpu_seconds(self) -> float:
        """Returns the CPU time of all its threads and processes so far."""
        return process_tree.cpu_seconds(self.process.pid)

    def resident_bytes(self) -> int:
        """Returns the memory of all its processes."""
        return process_tree.resident_bytes(self.process.pid)


def install_servers(environment: Environment) -> tuple[dict[str, str], dict[str, str]]:
    """Installs peers and frameworks beside vivace.

    Returns:
        The versions of what is there, and why each other thing is not.
    """
    versions, missing = {}, {}
    if SUBJECT in environment.loops:
        versions[SUBJECT] = environment.loops[SUBJECT]
    for name, packages in (*PEERS.items(), *((name, (name,)) for name in FRAMEWORKS)):
        try:
            for package in packages:
                install(environment, package)
                versions[package] = version_of(environment, package)
        except PreparationError as error:
            missing[name] = str(error)
    return versions, missing


def command(name: str, python: Path, offer: Offer, port: int) -> list[str]:
    """Returns the command that starts a server."""
    certificate = offer.certificate
    tls = (
        {"key": str(certificate / "key.pem"), "chain": str(certificate / "certificate.pem")}
        if certificate
        else None
    )
    address = ["--host", "127.0.0.1", "--port", str(port)]
    if name in ("vivace", "uvicorn"):
        line = [*address, "--app-dir", str(WORKERS), "--timeout-keep-alive", _KEEP_ALIVE]
        line += [] if offer.log else ["--no-access-log"]
        line += ["--ssl-keyfile", tls["key"], "--ssl-certfile", tls["chain"]] if tls else []
        if name == "vivace":
            line += ["--http2"] if offer.protocol == "h2" else []
            return [str(python), "-m", "vivace", "serve", offer.application, *line]
        line += ["--loop", "uvloop", "--http", "httptools", "--ws", "websockets"]
        return [str(python), "-m", "uvicorn", offer.application, *line]
    if name == "granian":
        line = [*address, "--interface", "asgi", "--loop", "uvloop", "--workers", "1"]
        line += ["--runtime-threads", "1", "--working-dir", str(WORKERS)]
        # It accepts no more connections than its backlog, 1024 by default.
        line += ["--backlog", "4096"]
        line += ["--access-log"] if offer.log else ["--no-access-log"]
        line += ["--ssl-keyfile", tls["key"], "--ssl-certificate", tls["chain"]] if tls else []
        return [str(python.with_name("granian")), *line, offer.application]
    line = ["--bind", f"127.0.0.1:{port}", "--worker-class", "uvloop", "--workers", "1"]
    line += ["--keep-alive", _KEEP_ALIVE]
    line += ["--access-logfile", "-"] if offer.log else []
    line += ["--keyfile", tls["key"], "--certfile", tls["chain"]] if tls else []
    return [str(python.with_name("hypercorn")), *line, offer.application]


@contextmanager
def started(
    name: str, line: list[str], port: int, log: Path, variables: dict[str, str]
) -> Iterator[Server]:
    """Starts a server on its processor, and ends it; what is between waits until it listens.

    Args:
        name: What the tables call it.
        line: The command.
        port: Where it will listen.
        log: The file for what it writes. Not a pipe, which nobody would read.
        variables: Added to its environment.
    """
    environment = os.environ | {"PYTHONPATH": str(WORKERS)} | variables
    with children_on(SERVER_CPU), log.open("wb") as output:
        process = subprocess.Popen(
            ["timeout", str(_LIFETIME), *line],
            cwd=WORKERS,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Server(name, process, port, log)
    finally:
        _end(process)


def free_port() -> int:
    """Returns a port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        if process.poll() is not None:
            raise ServerError(_last_line(log) or f"it ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise ServerError(f"it does not listen after {_PATIENCE:.0f} s") from None
            time.sleep(0.02)
        else:
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    _signal(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    # Itself, if it has not ended, and whatever it has left behind.
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    # To the session that was made for it: whatever it started is in there.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
