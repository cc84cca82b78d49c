"""Echo: a server's CPU time per message, for each loop, beside a bare server's.

Every server of a round is started first and then idles; cell after cell, the load generator talks
to one server after another, in an order that is rotated from round to round. The servers share one
processor, the load generator has the other. A server's CPU clock is read by the kernel's clock of
its process, while nothing is on its way.
"""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.checkout import WORKERS
from harness.echo_load import LoadError, exchange
from harness.environment import Environment, build_native
from harness.placement import SERVER_CPU, children_on
from harness.plan import Plan
from harness.rounds import rotated

from .traffic import LIMIT, Traffic

# Both bound every measurement, whatever the server does.
_MOST_MESSAGES = 1_000_000
_SERVER_LIFETIME = 900


class ServerError(Exception):
    """A server did not start or did not answer as it should."""


@dataclass
class Server:
    """A server that listens."""

    name: str
    process: subprocess.Popen[str]
    endpoint: str

    def cpu_seconds(self) -> float:
        """Returns the CPU time of all its threads so far.

        A process's CPU clock has the number that `clock_getcpuclockid(3)` gives: its id inverted,
        above three bits that say "whole process, scheduler's time".
        """
        return time.clock_gettime((~self.process.pid << 3) | 2)


@dataclass
class Ground:
    """What the servers and clients of a round need.

    Attributes:
        traffic: The suite.
        plan: How long to send.
        python: The interpreter of the loops.
        binaries: Where the load generator and the bare server are.
        folder: For this round's sockets, certificate and messages.
    """

    traffic: Traffic
    plan: Plan
    python: Path
    binaries: Path
    folder: Path

    def server_command(self, name: str) -> list[str]:
        """Returns the command that starts the bare server or that of a loop and interface."""
        endpoint = self.traffic.endpoint.format(self.folder / _file_name(name))
        if name == LIMIT:
            command = [str(self.binaries / "echo-limit")]
            return [*command, "--listen", endpoint, "--lifetime", str(_SERVER_LIFETIME)]
        loop, interface = name.split("/")
        command = [str(self.python), str(WORKERS / "echo_server.py")]
        command += [loop, interface, endpoint, str(_SERVER_LIFETIME)]
        return [*command, str(self.folder)] if self.traffic.tls else command

    def client_command(self, server: Server, cell: str) -> list[str]:
        """Returns the command that sends a cell's messages to a server."""
        connections, size = cell.split(" x ")
        options = {
            "connect": server.endpoint,
            "connections": connections,
            "size": size,
            "warmup": str(self.plan.warmup),
            "seconds": str(self.plan.seconds),
            "messages": str(_MOST_MESSAGES),
        }
        if self.traffic.tls:
            options["certificate"] = str(self.folder / "certificate.pem")
        command = [str(self.binaries / "echo-load")]
        for name, value in options.items():
            command += [f"--{name}", value]
        return command


def measure(traffic: Traffic, environment: Environment, plan: Plan) -> dict[str, Any]:
    """Returns the figures of every round, by cell and server, and what failed."""
    binaries = build_native(traffic.tls)
    names = [LIMIT] if traffic.limit else []
    names += [
        f"{loop}/{interface}" for loop in environment.loops for interface in traffic.interfaces
    ]
    rounds = []
    failed: dict[str, str] = {}
    for number in range(plan.rounds):
        with tempfile.TemporaryDirectory(prefix="vivace-bench-") as folder:
            ground = Ground(traffic, plan, environment.python, binaries, Path(folder))
            rounds.append(_round(ground, rotated(names, number), failed))
    return {"rounds": rounds, "failed": failed}


def _round(
    ground: Ground, names: list[str], failed: dict[str, str]
) -> dict[str, dict[str, dict[str, float]]]:
    """Returns the figures of one round; adds to `failed` what did not work."""
    if ground.traffic.tls:
        make = [str(ground.binaries / "make-certificate"), "--folder", str(ground.folder)]
        subprocess.run(make, check=True)
    figures: dict[str, dict[str, dict[str, float]]] = {cell: {} for cell in ground.traffic.cells}
    with ExitStack() as stack:
        servers = []
        for name in names:
            try:
                servers.append(stack.enter_context(_started(ground, name)))
            except ServerError as error:
                failed.setdefault(name, str(error))
        for step, cell in enumerate(ground.traffic.cells):
            for server in rotated(servers, step):
                try:
                    figures[cell][server.name] = exchange(
                        ground.client_command(server, cell), server.cpu_seconds
                    )
                except LoadError as error:
                    failed.setdefault(f"{server.name}, {cell}", str(error))
    return figures


@contextmanager
def _started(ground: Ground, name: str) -> Iterator[Server]:
    """Starts a server on its processor, and ends it."""
    messages = ground.folder / f"{_file_name(name)}.log"
    with (
        children_on(SERVER_CPU),
        # Not a pipe: nobody reads it while the server runs.
        messages.open("w") as log,
    ):
        process = subprocess.Popen(
            ground.server_command(name), stdout=subprocess.PIPE, stderr=log, text=True
        )
    with process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline().split()
            if len(said) != 2 or said[0] != "listening":
                raise ServerError(_last_line(messages.read_text()))
            yield Server(name, process, said[1])
        finally:
            process.kill()


def _file_name(server: str) -> str:
    return server.replace("/", "-").replace(" ", "-")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it ended without a word"
