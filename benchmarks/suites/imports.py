"""Import: how long `import vivace` takes beside `import asyncio`."""

import os
import subprocess
import time
from typing import Any

from harness import targets
from harness.environment import STANDARD, Environment
from harness.figures import median
from harness.plan import Plan
from harness.rounds import rotated
from harness.table import Table

NAME = "import"
TITLE = "Import"


def measure(environment: Environment, plan: Plan) -> dict[str, Any]:
    """Returns elapsed and CPU milliseconds of every start, by what is imported."""
    statements = {"": "pass"} | {loop: f"import {loop}" for loop in environment.loops}
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in statements}
    # The first round reads files and writes bytecode; it is not counted.
    for number in range(plan.imports + 1):
        for name in rotated(list(statements), number):
            figure = _start([str(environment.python), "-c", statements[name]])
            if number:
                samples[name].append(figure)
    return {"samples": samples}


def _start(command: list[str]) -> dict[str, float]:
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    elapsed = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    return {"elapsed": elapsed * 1000, "cpu": (usage.ru_utime + usage.ru_stime) * 1000}


def tables(record: dict[str, Any]) -> list[Table]:
    """Returns the table of milliseconds."""
    samples = record["data"]["samples"]
    table = Table(
        f"{TITLE}, milliseconds from the start of the interpreter to its end",
        ["statement", "elapsed", "smallest..largest", "CPU", "over import asyncio"],
    )
    base = _median(samples[STANDARD], "elapsed") if STANDARD in samples else None
    for name, figures in samples.items():
        elapsed = _median(figures, "elapsed")
        all_elapsed = [figure["elapsed"] for figure in figures]
        more = "–" if base is None or name in ("", STANDARD) else f"{elapsed - base:+.1f}"
        table.rows.append(
            [
                f"import {name}" if name else "pass",
                f"{elapsed:.1f}",
                f"{min(all_elapsed):.1f}..{max(all_elapsed):.1f}",
                f"{_median(figures, 'cpu'):.1f}",
                more,
            ]
        )
    table.remarks.append(f"Median of {len(samples[''])} starts of each, interleaved.")
    if base is not None and "vivace" in samples:
        added = _median(samples["vivace"], "elapsed") - base
        verdict = "reached" if added < targets.IMPORT_MS else "not reached"
        table.remarks.append(
            f"`import vivace` adds {added:.1f} ms (target: less than {targets.IMPORT_MS:.0f} ms, "
            f"{verdict})."
        )
    return [table]


def _median(figures: list[dict[str, float]], clock: str) -> float:
    return median([figure[clock] for figure in figures])
