"""Diagnostics: what they cost when they are on, as they are by default."""

from typing import Any

from harness.environment import Environment
from harness.figures import median
from harness.placement import SERVER_CPU, children_on
from harness.plan import Plan
from harness.table import Table
from harness.worker import run_worker

NAME = "diagnostics"
TITLE = "Diagnostics"

# Pairs for each round of the plan: 15 in a full run.
_PAIRS = 3


def measure(environment: Environment, plan: Plan) -> dict[str, Any]:
    """Returns the figures of pairs, measured in turn."""
    pairs = []
    for number in range(plan.rounds * _PAIRS):
        pair = {}
        # Whoever comes first may find a warmer processor.
        for level in ("01", "10")[number % 2]:
            with children_on(SERVER_CPU):
                pair[level] = run_worker(
                    environment.python,
                    "measure_diagnostics.py",
                    limit=300,
                    variables={"VIVACE_DIAG": level},
                )
        pairs.append(pair)
    return {"pairs": pairs}


def tables(record: dict[str, Any]) -> list[Table]:
    """Returns the table of costs and ratios."""
    pairs = record["data"]["pairs"]
    table = Table(
        f"{TITLE}, CPU nanoseconds per operation",
        ["operation", "VIVACE_DIAG=0", "default", "ratio"],
    )
    for name in pairs[0]["0"]:
        off = [pair["0"][name] for pair in pairs]
        on = [pair["1"][name] for pair in pairs]
        ratios = [above / below for above, below in zip(on, off, strict=True)]
        table.rows.append(
            [
                name,
                f"{median(off):.0f}",
                f"{median(on):.0f}",
                f"{median(ratios):.3f} ({min(ratios):.3f}..{max(ratios):.3f})",
            ]
        )
    table.remarks.append(
        f"{len(pairs)} interleaved pairs; the ratio is the median of theirs (smallest..largest)."
    )
    return [table]
