"""Echo: a server's CPU time per message, for each loop, beside a bare server's.

Every server of a round is started first and then idles; cell after cell, the load generator talks
to one server after another, in an order that is rotated from round to round. The servers share one
processor, the load generator has the other. A server's CPU clock is read by the kernel's clock of
its process, while nothing is on its way.
"""

import itertools
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import targets
from harness.checkout import NATIVE_BINARIES, WORKERS
from harness.environment import Environment, build_native
from harness.figures import geometric_mean, median, relative_spread
from harness.placement import CLIENT_CPU, SERVER_CPU, children_on
from harness.plan import Plan
from harness.rounds import rotated
from harness.table import Table

LIMIT = "bare server"
CONNECTIONS = (1, 10, 100)

# Both bound every measurement, whatever the server does.
_MOST_MESSAGES = 1_000_000
_SERVER_LIFETIME = 900


@dataclass(frozen=True)
class Traffic:
    """One kind of echo suite.

    Attributes:
        name: The suite's name on the command line.
        title: Its name in the tables.
        endpoint: What servers listen on; `{}` is replaced by a path that is free.
        interfaces: Those of `workers/echo_server.py`.
        sizes: Bytes per message.
    """

    name: str
    title: str
    endpoint: str
    interfaces: tuple[str, ...]
    sizes: tuple[int, ...]


TCP = Traffic(
    "echo",
    "TCP echo",
    "tcp:127.0.0.1:0",
    ("protocol", "buffered", "streams"),
    (100, 1024, 16 * 1024, 100_000),
)
UNIX = Traffic(
    "unix", "Unix socket echo", "unix:{}", ("protocol", "streams"), (100, 1024, 16 * 1024, 100_000)
)
UDP = Traffic("udp", "UDP echo", "udp:127.0.0.1:0", ("datagram",), (100, 1024, 16 * 1024))


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


def measure(traffic: Traffic, environment: Environment, plan: Plan) -> dict[str, Any]:
    """Returns the figures of every round, by cell and server, and what failed."""
    build_native()
    names = [LIMIT] + [
        f"{loop}/{interface}" for loop in environment.loops for interface in traffic.interfaces
    ]
    cells = [f"{count} x {size}" for count, size in itertools.product(CONNECTIONS, traffic.sizes)]
    rounds: list[dict[str, dict[str, Any]]] = []
    failed: dict[str, str] = {}
    for number in range(plan.rounds):
        figures: dict[str, dict[str, Any]] = {cell: {} for cell in cells}
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vivace-bench-")))
            servers = []
            for name in rotated(names, number):
                endpoint = traffic.endpoint.format(folder / name.replace("/", "-"))
                try:
                    servers.append(stack.enter_context(_started(name, environment, endpoint)))
                except ServerError as error:
                    failed.setdefault(name, str(error))
            for step, cell in enumerate(cells):
                for server in rotated(servers, step):
                    try:
                        figures[cell][server.name] = _exchange(server, cell, plan)
                    except ServerError as error:
                        failed.setdefault(f"{server.name}, {cell}", str(error))
        rounds.append(figures)
    return {"rounds": rounds, "failed": failed}


@contextmanager
def _started(name: str, environment: Environment, endpoint: str) -> Iterator[Server]:
    if name == LIMIT:
        command = [str(NATIVE_BINARIES / "echo-limit")]
        command += ["--listen", endpoint, "--lifetime", str(_SERVER_LIFETIME)]
    else:
        loop, interface = name.split("/")
        command = [str(environment.python), str(WORKERS / "echo_server.py")]
        command += [loop, interface, endpoint, str(_SERVER_LIFETIME)]
    with children_on(SERVER_CPU):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    with process:
        assert process.stdout is not None and process.stderr is not None
        try:
            said = process.stdout.readline().split()
            if len(said) != 2 or said[0] != "listening":
                process.kill()
                lines = process.stderr.read().strip().splitlines()
                raise ServerError(lines[-1] if lines else "it said nothing")
            yield Server(name, process, said[1])
        finally:
            process.kill()


def _exchange(server: Server, cell: str, plan: Plan) -> dict[str, float]:
    """Sends to one server; returns CPU microseconds per message and what the client saw."""
    connections, size = cell.split(" x ")
    options = {
        "connect": server.endpoint,
        "connections": connections,
        "size": size,
        "warmup": str(plan.warmup),
        "seconds": str(plan.seconds),
        "messages": str(_MOST_MESSAGES),
    }
    command = [str(NATIVE_BINARIES / "echo-load")]
    for name, value in options.items():
        command += [f"--{name}", value]
    with children_on(CLIENT_CPU):
        client = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    with client:
        assert client.stdin is not None and client.stdout is not None
        assert client.stderr is not None
        if client.stdout.readline() == "ready\n":
            before = server.cpu_seconds()
            client.stdin.write("\n")
            client.stdin.flush()
            line = client.stdout.readline()
            if line:
                cpu = server.cpu_seconds() - before
                seen: dict[str, float] = json.loads(line)
                return seen | {"cpu_us": cpu * 1e6 / seen["messages"]}
        lines = client.stderr.read().strip().splitlines()
        raise ServerError(lines[-1] if lines else "the client ended")


def tables(traffic: Traffic, record: dict[str, Any]) -> list[Table]:
    """Returns a table for each interface."""
    return [_table(traffic, record, interface) for interface in traffic.interfaces]


def _table(traffic: Traffic, record: dict[str, Any], interface: str) -> Table:
    rounds, subject = record["data"]["rounds"], record["subject"]
    loops = list(record["loops"])
    table = Table(
        f"{traffic.title} by {interface}, server CPU microseconds per message "
        "(fraction of the bare server's efficiency)",
        ["connections x bytes", LIMIT, *loops],
    )
    fractions: dict[str, dict[str, float]] = {loop: {} for loop in loops}
    rates: list[float] = []
    spreads = []
    for cell in rounds[0]:
        limit = _series(rounds, cell, LIMIT)
        if limit is None:
            continue
        row = [cell, f"{median(limit):.1f}"]
        for loop in loops:
            series = _series(rounds, cell, f"{loop}/{interface}")
            if series is None:
                row.append("–")
                continue
            fractions[loop][cell] = median(limit) / median(series)
            if loop == subject:
                spreads.append(relative_spread(series))
                uvloop = _series(rounds, cell, f"uvloop/{interface}")
                if uvloop is not None:
                    rates.append(median(uvloop) / median(series))
            row.append(f"{median(series):.1f} ({fractions[loop][cell]:.2f})")
        table.rows.append(row)
    complete = len(table.rows)
    means = {
        loop: geometric_mean(cells.values())
        for loop, cells in fractions.items()
        if complete and len(cells) == complete
    }
    table.rows.append(
        ["geometric mean of fractions", "1.00"]
        + [f"{means[loop]:.2f}" if loop in means else "–" for loop in loops]
    )
    table.remarks.append(f"Median of {len(rounds)} rounds; every answer was compared.")
    if spreads:
        table.remarks.append(
            f"(slowest - fastest round) / median of {subject}: "
            f"{median(spreads):.0f} % in the middle, {max(spreads):.0f} % at most."
        )
    if rates and subject != "uvloop":
        table.remarks.append(
            f"{subject} takes {geometric_mean(rates):.2f} times less CPU than uvloop "
            f"(geometric mean; {min(rates):.2f} to {max(rates):.2f})."
        )
    target = targets.ECHO.get(interface)
    if traffic is TCP and subject == "vivace" and target is not None and subject in means:
        verdict = "reached" if means[subject] >= target else "not reached"
        table.remarks.append(f"Target: a fraction of {target:.2f}; {verdict}.")
    if subject == "vivace" and fractions.get("zuvloop"):
        behind = [
            cell
            for cell, fraction in fractions["zuvloop"].items()
            if fractions[subject].get(cell, 0) < fraction
        ]
        table.remarks.append(f"Cells behind zuvloop: {', '.join(behind) or 'none'}.")
    for name, reason in record["data"]["failed"].items():
        if f"/{interface}" in name:
            table.remarks.append(f"{name} failed: {reason}")
    return table


def _series(rounds: list[Any], cell: str, server: str) -> list[float] | None:
    """Returns a server's CPU time in each round, or None if it failed in one."""
    if any(server not in figures[cell] for figures in rounds):
        return None
    return [figures[cell][server]["cpu_us"] for figures in rounds]
