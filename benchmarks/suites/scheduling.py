"""Scheduling: what a callback, a timer, a task, a future and a wake-up cost.

Each benchmark of `workers/scheduling/` runs in a process of its own, on one loop right after the
other: what slows the machine for a second slows all loops in this benchmark, and not another
benchmark of one loop. CPU time of the process per operation, elapsed time where two threads work
together.
"""

from typing import Any

from harness import targets
from harness.environment import STANDARD, Environment
from harness.figures import Ratio, geometric_mean, median, ratio, relative_spread
from harness.plan import Plan
from harness.rounds import rotated
from harness.table import Table
from harness.worker import WorkerError, run_worker

NAME = "scheduling"
TITLE = "Scheduling"

# Turns through all loops for each round of the plan: 15 in a full run.
_TURNS = 3

# The peers whose ratios get a column of their own.
_COMPARED = (STANDARD, "uvloop", "zuvloop")


def measure(environment: Environment, plan: Plan) -> dict[str, Any]:
    """Returns the figures of every round, by loop and benchmark."""
    names = run_worker(environment.python, "measure_scheduling.py", "--list", limit=60)
    rounds = []
    for number in range(plan.rounds * _TURNS):
        figures: dict[str, dict[str, Any]] = {loop: {} for loop in environment.loops}
        for step, name in enumerate(names):
            for loop in rotated(list(environment.loops), number + step):
                if loop in environment.left_out:
                    continue
                try:
                    figures[loop] |= run_worker(
                        environment.python, "measure_scheduling.py", loop, name, limit=60
                    )
                except WorkerError as error:
                    environment.left_out[loop] = f"{name}: {error}"
        rounds.append(figures)
    return {"rounds": rounds}


def tables(record: dict[str, Any]) -> list[Table]:
    """Returns the table of nanoseconds and ratios."""
    rounds, subject = record["data"]["rounds"], record["subject"]
    loops = [loop for loop in record["loops"] if all(figures.get(loop) for figures in rounds)]
    compared = [loop for loop in _COMPARED if loop in loops and loop != subject]
    show_targets = subject == "vivace"
    table = Table(
        f"{TITLE}, nanoseconds per operation, and times faster {subject} is",
        ["benchmark", *loops]
        + [f"over {loop}" for loop in compared]
        + (["rounds over uvloop"] if "uvloop" in compared else [])
        + (["target", "reached"] if show_targets else []),
    )
    names = list(
        dict.fromkeys(name for figures in rounds for loop in loops for name in figures[loop])
    )
    all_ratios: dict[str, list[float]] = {loop: [] for loop in compared}
    spreads = []
    for name in names:
        samples = _samples(rounds, loops, name)
        if subject in samples:
            spreads.append(relative_spread(samples[subject]))
        ratios = {
            loop: ratio(samples[loop], samples[subject])
            for loop in compared
            if loop in samples and subject in samples
        }
        for loop, value in ratios.items():
            all_ratios[loop].append(value.value)
        row = [_label(rounds, loops, name)]
        row += [f"{median(samples[loop]):.0f}" if loop in samples else "–" for loop in loops]
        row += _ratio_cells(ratios, compared)
        if show_targets:
            row += _target_cells(ratios, targets.SCHEDULING.get(name))
        table.rows.append(row)
    means = {loop: geometric_mean(values) for loop, values in all_ratios.items() if values}
    row = ["geometric mean", *["" for _ in loops]]
    row += [f"{means[loop]:.2f}" if loop in means else "–" for loop in compared]
    row += [""] if "uvloop" in compared else []
    if show_targets:
        reached = means.get("uvloop", 0) >= targets.SCHEDULING_MEAN
        row += [f"{targets.SCHEDULING_MEAN:.1f}", "yes" if reached else "no"]
    table.rows.append(row)
    table.remarks.append(
        f"Median of {len(rounds)} rounds, one process for each loop, benchmark and round. CPU time "
        "of the process; * elapsed time, where two threads work together."
    )
    if spreads:
        table.remarks.append(
            f"(slowest - fastest round) / median of {subject}: {median(spreads):.0f} % in the "
            f"middle, {max(spreads):.0f} % at most."
        )
    if show_targets:
        table.remarks.append('"target" and "reached" are over uvloop.')
    return [table]


def _samples(rounds: list[Any], loops: list[str], name: str) -> dict[str, list[float]]:
    """Returns the series of a benchmark, of each loop that did it in every round."""
    return {
        loop: [figures[loop][name][figures[loop][name]["clock"]] for figures in rounds]
        for loop in loops
        if all(name in figures[loop] for figures in rounds)
    }


def _label(rounds: list[Any], loops: list[str], name: str) -> str:
    clocks = {
        figures[loop][name]["clock"]
        for figures in rounds
        for loop in loops
        if name in figures[loop]
    }
    return f"{name} *" if "wall" in clocks else name


def _ratio_cells(ratios: dict[str, Ratio], compared: list[str]) -> list[str]:
    cells = [f"{ratios[loop].value:.2f}" if loop in ratios else "–" for loop in compared]
    if "uvloop" in compared:
        uvloop = ratios.get("uvloop")
        cells.append(f"{uvloop.low:.2f}..{uvloop.high:.2f}" if uvloop else "–")
    return cells


def _target_cells(ratios: dict[str, Ratio], target: float | None) -> list[str]:
    if target is None or "uvloop" not in ratios:
        return ["–", "–"]
    return [f"{target:.1f}", "yes" if ratios["uvloop"].value >= target else "no"]
