"""Serve: a web server's CPU time per request, beside uvicorn, Granian, hypercorn and a bare server.

Cell after cell, the servers of the cell are started and then idle; a load generator talks to one
after another, in an order that is rotated from round to round. They share one processor, the load
generator has the other. Before anything is measured, a request is sent and its answer compared.
"""

import http.client
import ssl
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import http_load
from harness.environment import SUBJECT, Environment, build_native
from harness.http_servers import (
    Offer,
    Server,
    ServerError,
    command,
    free_port,
    install_servers,
    started,
)
from harness.placement import SERVER_CPU, children_on
from harness.plan import Plan
from harness.rounds import rotated
from harness.worker import WorkerError, run_worker

from . import serve_memory
from .serve_cells import CELLS, FILE, LIMIT, Cell

NAME = "serve"

# wrk counts in whole seconds.
_SECONDS = 1
# Enough for the interpreter to have specialised what it runs.
_WARM_UP_REQUESTS = 200

# What servers send for the application `hello`.
_CANNED = (
    b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nserver: limit\r\n"
    b"content-type: text/plain\r\ncontent-length: 13\r\n\r\nHello, world!"
)


@dataclass
class Ground:
    """What the servers of a round need.

    Attributes:
        plan: How long to measure.
        python: The interpreter that has the servers.
        binaries: Where the load generator and the bare server are.
        folder: For certificate, file and logs.
        absent: The servers that are not to be had.
        failed: Why something did not work, by what.
    """

    plan: Plan
    python: Path
    binaries: Path
    folder: Path
    absent: set[str]
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """What the applications look up in the environment."""
        return {"BENCHMARK_FILE": str(self.folder / "file.bin")}

    def line(self, name: str, cell: Cell, port: int) -> list[str]:
        """Returns the command that starts a server for a cell."""
        if name == LIMIT:
            line = [str(self.binaries / "echo-limit"), "--listen", f"tcp:127.0.0.1:{port}"]
            return [*line, "--lifetime", "300", "--answer", str(self.folder / "canned.http")]
        certificate = self.folder if cell.tls else None
        offer = Offer(cell.application, cell.log, cell.protocol, certificate)
        return command(name, self.python, offer, port)

    def log(self, name: str) -> Path:
        """Returns the file for what a server writes."""
        return self.folder / f"{name.replace(' ', '-')}.log"


def measure(environment: Environment, plan: Plan) -> dict[str, Any]:
    """Returns the figures of every round, by cell and server, and what failed."""
    http_load.install_tools()
    versions, missing = install_servers(environment)
    binaries = build_native(tls=True)
    absent = set(missing) | ({SUBJECT} - set(environment.loops))
    with tempfile.TemporaryDirectory(prefix="vivace-bench-") as folder:
        ground = Ground(plan, environment.python, binaries, Path(folder), absent, dict(missing))
        (ground.folder / "canned.http").write_bytes(_CANNED)
        (ground.folder / "file.bin").write_bytes(FILE)
        make = [str(binaries / "make-certificate"), "--folder", folder]
        subprocess.run(make, check=True)
        rounds, memory = [], []
        for number in range(plan.rounds):
            rounds.append({cell.name: _cell(ground, cell, number) for cell in CELLS})
            memory.append(_memory(ground, number))
    return {"versions": versions, "rounds": rounds, "memory": memory, "failed": ground.failed}


def _cell(ground: Ground, cell: Cell, number: int) -> dict[str, dict[str, float]]:
    """Returns a cell's figures by server, and by "alone" those of the application itself."""
    figures: dict[str, dict[str, float]] = {}
    names = [*([LIMIT] if cell.limit else []), *cell.servers]
    with ExitStack() as stack:
        # All start at the same time, which is most of what a round takes.
        servers = []
        for name in rotated(names, number):
            if name not in ground.absent:
                port = free_port()
                line = ground.line(name, cell, port)
                server = started(name, line, port, ground.log(name), ground.variables)
                servers.append(stack.enter_context(server))
        working = []
        for server in servers:
            try:
                server.wait()
                _check(server, cell)
                working.append(server)
            except ServerError as error:
                ground.failed.setdefault(f"{server.name}, {cell.name}", str(error))
        for server in working:
            try:
                figures[server.name] = _load(ground, server, cell)
            except ServerError as error:
                ground.failed.setdefault(f"{server.name}, {cell.name}", str(error))
        for server in servers:
            server.terminate()
    if cell.alone and SUBJECT not in ground.absent:
        seconds = str(ground.plan.seconds)
        try:
            with children_on(SERVER_CPU):
                figures["alone"] = run_worker(
                    ground.python,
                    "measure_application.py",
                    cell.application,
                    cell.path,
                    seconds,
                    limit=60,
                )
        except WorkerError as error:
            ground.failed.setdefault(f"application alone, {cell.name}", str(error))
    return figures


def _check(server: Server, cell: Cell) -> None:
    """Compares answers with what is expected, which warms the server up.

    Raises:
        ServerError: If one is another.
    """
    if cell.protocol != "http/1.1":
        # echo-load compares each message; h2load counts statuses.
        return
    for connection in _connections(server, cell):
        try:
            for _ in range(1 if server.name == LIMIT else _WARM_UP_REQUESTS):
                method = "POST" if cell.body else "GET"
                connection.request(method, cell.path, b"x" * cell.body if cell.body else None)
                response = connection.getresponse()
                body = response.read()
                if response.status != 200 or body != cell.answer:
                    raise ServerError(f"answered {response.status} {body[:100]!r}")
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"{type(error).__name__}: {error}") from None
        finally:
            connection.close()


def _connections(server: Server, cell: Cell) -> list[http.client.HTTPConnection]:
    if not cell.tls:
        return [http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)]
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    return [
        http.client.HTTPSConnection("127.0.0.1", server.port, timeout=20, context=trusting),
    ]


def _load(ground: Ground, server: Server, cell: Cell) -> dict[str, float]:
    plan = ground.plan
    if cell.protocol == "h2":
        return http_load.h2load(server, cell.path, _SECONDS)
    if cell.protocol == "websocket":
        return http_load.websocket(
            server, ground.binaries, cell.path, cell.body, plan.warmup, _SECONDS
        )
    return http_load.wrk(server, "https" if cell.tls else "http", cell.path, cell.body, _SECONDS)


def _memory(ground: Ground, number: int) -> dict[str, float]:
    """Returns bytes per idle connection by server."""
    cell = CELLS[0]
    figures = {}
    for name in rotated(cell.servers, number):
        if name in ground.absent:
            continue
        port = free_port()
        line = ground.line(name, cell, port)
        try:
            with started(name, line, port, ground.log(name), ground.variables) as server:
                server.wait()
                figures[name] = serve_memory.bytes_per_connection(server)
        except (ServerError, OSError) as error:
            ground.failed.setdefault(f"{name}, idle connections", str(error))
    return figures
