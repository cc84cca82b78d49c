"""The tables of the suite `serve`: cost, rate, memory, and what was asked for."""

from typing import Any

from harness import targets
from harness.figures import median, ratio, relative_spread
from harness.http_load import CONNECTIONS, H2_CONNECTIONS, STREAMS
from harness.table import Table

from . import serve_memory
from .serve_cells import CELLS, LIMIT, SERVERS, Cell

_COLUMNS = (LIMIT, *SERVERS)
_MISSING = "–"


def tables(record: dict[str, Any]) -> list[Table]:
    """Returns cost and rate of a request in every cell, memory, and the targets."""
    return [_costs(record), _rates(record), _memory(record), _targets(record)]


def _costs(record: dict[str, Any]) -> Table:
    table = Table(
        "Web servers, server CPU microseconds per request",
        ["cell", *_COLUMNS, "application alone", "uvicorn / vivace", "granian / vivace"],
    )
    rounds = record["data"]["rounds"]
    for cell in CELLS:
        row = [cell.name]
        for name in (*_COLUMNS, "alone"):
            samples = _samples(rounds, cell, name)
            row.append(f"{median(samples):.1f}" if samples else _MISSING)
        row += [_times(rounds, cell, peer) for peer in ("uvicorn", "granian")]
        table.rows.append(row)
    table.remarks += [
        f"Median of {len(rounds)} rounds. CPU time of all threads and processes of the server.",
        f"HTTP/1.1: {CONNECTIONS} connections, one request on its way on each. HTTP/2: "
        f"{H2_CONNECTIONS} connections with {STREAMS} streams each.",
        '"application alone": the application without a server, called on vivace\'s loop.',
    ]
    spreads = [
        relative_spread(samples)
        for cell in CELLS
        if (samples := _samples(rounds, cell, record["subject"]))
    ]
    if spreads:
        table.remarks.append(
            f"(slowest - fastest round) / median of {record['subject']}: "
            f"{median(spreads):.0f} % in the middle, {max(spreads):.0f} % at most."
        )
    table.remarks += [f"{name}: {reason}" for name, reason in record["data"]["failed"].items()]
    return table


def _rates(record: dict[str, Any]) -> Table:
    table = Table("Web servers, requests per second of CPU time", ["cell", *_COLUMNS])
    rounds = record["data"]["rounds"]
    for cell in CELLS:
        row = [cell.name]
        for name in _COLUMNS:
            samples = _samples(rounds, cell, name)
            row.append(f"{1e6 / median(samples):.0f}" if samples else _MISSING)
        table.rows.append(row)
    return table


def _memory(record: dict[str, Any]) -> Table:
    table = Table(
        f"Web servers, KiB of memory per idle connection ({serve_memory.CONNECTIONS} of them)",
        list(SERVERS),
    )
    samples = {name: _memory_samples(record, name) for name in SERVERS}
    table.rows.append(
        [f"{median(sizes) / 1024:.1f}" if sizes else _MISSING for sizes in samples.values()]
    )
    table.remarks.append("Growth of resident memory; each connection has made one request.")
    return table


def _targets(record: dict[str, Any]) -> Table:
    """Returns the asked ratios beside the measured ones."""
    table = Table(
        "Web servers, what vivace has set itself",
        ["cell", "against", "asked", "measured", "rounds", "reached"],
    )
    rounds = record["data"]["rounds"]
    cells = {cell.name: cell for cell in CELLS}
    for name, peer, asked in targets.SERVE:
        mine = _samples(rounds, cells[name], "vivace")
        its = _samples(rounds, cells[name], peer)
        table.rows.append(_target_row(name, peer, f">= {asked:.2f}", its, mine, asked))
    bare = _samples(rounds, CELLS[0], LIMIT)
    mine = _samples(rounds, CELLS[0], "vivace")
    most = targets.SERVE_OVER_LIMIT
    table.rows.append(_target_row(CELLS[0].name, LIMIT, f"<= {most:.2f}", mine, bare, most, False))
    table.rows.append(
        _target_row(
            "idle connection, memory",
            "uvicorn",
            f">= {targets.SERVE_MEMORY:.2f}",
            _memory_samples(record, "uvicorn"),
            _memory_samples(record, "vivace"),
            targets.SERVE_MEMORY,
        )
    )
    table.remarks.append(
        "How many times the other takes what vivace takes; over the bare server, the other way "
        'round. "rounds": smallest and largest ratio of a single round.'
    )
    return table


def _target_row(
    cell: str,
    peer: str,
    text: str,
    above: list[float],
    below: list[float],
    asked: float,
    at_least: bool = True,
) -> list[str]:
    if not above or not below:
        return [cell, peer, text, _MISSING, _MISSING, _MISSING]
    measured = ratio(above, below)
    reached = measured.value >= asked if at_least else measured.value <= asked
    spread = f"{measured.low:.2f}..{measured.high:.2f}"
    return [cell, peer, text, f"{measured.value:.2f}", spread, "yes" if reached else "no"]


def _times(rounds: list[Any], cell: Cell, peer: str) -> str:
    mine, its = _samples(rounds, cell, "vivace"), _samples(rounds, cell, peer)
    return f"{ratio(its, mine).value:.2f}" if mine and its else _MISSING


def _samples(rounds: list[Any], cell: Cell, server: str) -> list[float]:
    """Returns a server's CPU time in each round, nothing if it failed in one."""
    if any(server not in figures.get(cell.name, {}) for figures in rounds):
        return []
    return [figures[cell.name][server]["cpu_us"] for figures in rounds]


def _memory_samples(record: dict[str, Any], server: str) -> list[float]:
    memory = record["data"]["memory"]
    if any(server not in figures for figures in memory):
        return []
    return [figures[server] for figures in memory]
