"""The tables of the echo suites: one for each interface, a row for each cell."""

from typing import Any

from harness import targets
from harness.figures import geometric_mean, median, ratio, relative_spread
from harness.table import Table

from .traffic import LIMIT, TCP, Traffic


def tables(traffic: Traffic, record: dict[str, Any]) -> list[Table]:
    """Returns a table for each interface."""
    return [_table(traffic, record, interface) for interface in traffic.interfaces]


def _table(traffic: Traffic, record: dict[str, Any], interface: str) -> Table:
    rounds, subject = record["data"]["rounds"], record["subject"]
    loops = list(record["loops"])
    title = f"{traffic.title} by {interface}, server CPU microseconds per message"
    if traffic.limit:
        title += " (fraction of the bare server's efficiency)"
    table = Table(title, ["connections x bytes", *([LIMIT] if traffic.limit else []), *loops])
    fractions: dict[str, list[float]] = {loop: [] for loop in loops}
    for cell in traffic.cells:
        limit = _samples(rounds, cell, LIMIT)
        row = [cell]
        if traffic.limit:
            row.append(f"{median(limit):.1f}" if limit else "–")
        for loop in loops:
            samples = _samples(rounds, cell, f"{loop}/{interface}")
            text = f"{median(samples):.1f}" if samples else "–"
            if samples and limit:
                fractions[loop].append(ratio(limit, samples).value)
                text += f" ({fractions[loop][-1]:.2f})"
            row.append(text)
        table.rows.append(row)
    means = {
        loop: geometric_mean(values)
        for loop, values in fractions.items()
        if len(values) == len(traffic.cells)
    }
    if traffic.limit:
        row = ["geometric mean of fractions", "1.00"]
        row += [f"{means[loop]:.2f}" if loop in means else "–" for loop in loops]
        table.rows.append(row)
    table.remarks.append(f"Median of {len(rounds)} rounds; every answer was compared.")
    table.remarks += _spread(traffic, rounds, subject, interface)
    for peer in ("uvloop", "zuvloop"):
        if subject != peer:
            table.remarks += _compare(traffic, rounds, subject, peer, interface)
    target = targets.ECHO.get(interface)
    if traffic is TCP and subject == "vivace" and target is not None and subject in means:
        verdict = "reached" if means[subject] >= target else "not reached"
        table.remarks.append(f"Target of {subject}: a fraction of {target:.2f}; {verdict}.")
    table.remarks += [
        f"{name} failed: {reason}"
        for name, reason in record["data"]["failed"].items()
        if f"/{interface}" in name or name.startswith(LIMIT)
    ]
    return table


def _samples(rounds: list[Any], cell: str, server: str) -> list[float]:
    """Returns a server's CPU time in each round, nothing if it failed in one."""
    if any(server not in figures[cell] for figures in rounds):
        return []
    return [figures[cell][server]["cpu_us"] for figures in rounds]


def _spread(traffic: Traffic, rounds: list[Any], subject: str, interface: str) -> list[str]:
    """Returns a remark on how far the rounds of a loop lie apart."""
    series = [_samples(rounds, cell, f"{subject}/{interface}") for cell in traffic.cells]
    spreads = [relative_spread(samples) for samples in series if samples]
    if not spreads:
        return []
    return [
        f"(slowest - fastest round) / median of {subject}: {median(spreads):.0f} % in the middle, "
        f"{max(spreads):.0f} % at most."
    ]


def _compare(
    traffic: Traffic, rounds: list[Any], subject: str, peer: str, interface: str
) -> list[str]:
    """Returns a remark on how much less CPU time a loop takes than another one."""
    times = {}
    for cell in traffic.cells:
        mine = _samples(rounds, cell, f"{subject}/{interface}")
        its = _samples(rounds, cell, f"{peer}/{interface}")
        if mine and its:
            times[cell] = ratio(its, mine).value
    if not times:
        return []
    behind = [cell for cell, value in times.items() if value < 1]
    return [
        f"{peer} takes {geometric_mean(times.values()):.2f} times the CPU time of {subject} "
        f"(geometric mean; {min(times.values()):.2f} to {max(times.values()):.2f}). "
        f"Cells in which it takes less: {', '.join(behind) or 'none'}."
    ]
