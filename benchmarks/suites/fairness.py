"""Fairness: what a task that never waits costs the sockets of the same loop.

An echo pair and a `sleep(0)` spinner share a loop. How many round trips the pair still makes says
whether a loop that has work ready looks at its sockets often enough.
"""

from typing import Any

from harness.environment import Environment
from harness.figures import median, ratio
from harness.placement import SERVER_CPU, children_on
from harness.plan import Plan
from harness.rounds import rotated
from harness.table import Table
from harness.worker import WorkerError, run_worker

NAME = "fairness"
TITLE = "Fairness"


def measure(environment: Environment, plan: Plan) -> dict[str, Any]:
    """Returns the figures of every round, by loop."""
    rounds = []
    for number in range(plan.rounds):
        figures = {}
        for loop in rotated(list(environment.loops), number):
            if loop in environment.left_out:
                continue
            try:
                with children_on(SERVER_CPU):
                    figures[loop] = run_worker(
                        environment.python,
                        "measure_fairness.py",
                        loop,
                        str(plan.seconds * 2),
                        limit=60,
                    )
            except WorkerError as error:
                environment.left_out[loop] = str(error)
        rounds.append(figures)
    return {"rounds": rounds}


def tables(record: dict[str, Any]) -> list[Table]:
    """Returns the table of round trips."""
    rounds, subject = record["data"]["rounds"], record["subject"]
    loops = [loop for loop in record["loops"] if all(loop in figures for figures in rounds)]
    table = Table(
        f"{TITLE}, round trips of an echo pair per second of CPU time",
        ["loop", "alone", "beside a spinner", "kept", "spinner turns", "turns per round trip"],
    )
    beside_spinner = {}
    for loop in loops:
        alone = [figures[loop]["alone"]["round_trips"] for figures in rounds]
        beside = [figures[loop]["beside"]["round_trips"] for figures in rounds]
        turns = [figures[loop]["beside"]["turns"] for figures in rounds]
        beside_spinner[loop] = beside
        table.rows.append(
            [
                loop,
                f"{median(alone):.0f}",
                f"{median(beside):.0f} ({min(beside):.0f}..{max(beside):.0f})",
                f"{median(beside) / median(alone) * 100:.0f} %",
                f"{median(turns):.0f}",
                f"{median(turns) / median(beside):.1f}" if median(beside) else "–",
            ]
        )
    if subject != "uvloop" and subject in loops and "uvloop" in loops:
        over = ratio(beside_spinner[subject], beside_spinner["uvloop"])
        table.remarks.append(
            f"Beside the spinner the pair makes {over.value:.2f} times the round trips on "
            f"{subject} that it makes on uvloop (target: at least 1)."
        )
    table.remarks.append(
        f"Median of {len(rounds)} rounds (smallest..largest). Client and server are on the same "
        "loop, so a round trip is two turns of a loop that looks at its sockets in every turn."
    )
    return [table]
