"""Sleep: what a sleep costs, and how late it is, when all sleepers ask for different times."""

from typing import Any

from harness.environment import Environment
from harness.figures import median
from harness.placement import SERVER_CPU, children_on
from harness.plan import Plan
from harness.rounds import rotated
from harness.table import Table
from harness.worker import WorkerError, run_worker

NAME = "sleep"
TITLE = "Sleep"


def measure(environment: Environment, plan: Plan) -> dict[str, Any]:
    """Returns the figures of every round, by loop."""
    rounds = []
    for number in range(plan.rounds):
        figures = {}
        for loop in rotated(list(environment.loops), number):
            if loop in environment.left_out:
                continue
            seconds = str(plan.seconds * 2)
            try:
                with children_on(SERVER_CPU):
                    figures[loop] = run_worker(
                        environment.python, "measure_sleep.py", loop, seconds, limit=60
                    )
            except WorkerError as error:
                environment.left_out[loop] = str(error)
        rounds.append(figures)
    return {"rounds": rounds}


def tables(record: dict[str, Any]) -> list[Table]:
    """Returns the table of cost and punctuality."""
    rounds = record["data"]["rounds"]
    table = Table(
        f"{TITLE}, 10 tasks that sleep 0.5 to 1.4 ms each",
        ["loop", "CPU µs per sleep", "late by µs, median", "99th percentile"],
    )
    for loop in record["loops"]:
        if not all(loop in figures for figures in rounds):
            continue
        cpu = [figures[loop]["cpu_us"] for figures in rounds]
        table.rows.append(
            [
                loop,
                f"{median(cpu):.1f} ({min(cpu):.1f}..{max(cpu):.1f})",
                f"{median([figures[loop]['late_p50_us'] for figures in rounds]):.0f}",
                f"{median([figures[loop]['late_p99_us'] for figures in rounds]):.0f}",
            ]
        )
    table.remarks.append(f"Median of {len(rounds)} rounds (smallest..largest).")
    return [table]
