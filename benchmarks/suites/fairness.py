"""Fairness: what a task that never waits costs the sockets of the same loop.

An echo pair and a `sleep(0)` spinner share a loop. How many round trips the pair still makes says
whether a loop that has work ready looks at its sockets often enough.
"""

from typing import Any

from harness.environment import Environment
from harness.figures import ratio
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
    medians = {}
    for loop in loops:
        alone = sorted(figures[loop]["alone"]["round_trips"] for figures in rounds)
        beside = sorted(figures[loop]["beside"]["round_trips"] for figures in rounds)
        turns = sorted(figures[loop]["beside"]["turns"] for figures in rounds)
        middle = len(rounds) // 2
        medians[loop] = beside
        table.rows.append(
            [
                loop,
                f"{alone[middle]:.0f}",
                f"{beside[middle]:.0f} ({beside[0]:.0f}..{beside[-1]:.0f})",
                f"{beside[middle] / alone[middle] * 100:.0f} %",
                f"{turns[middle]:.0f}",
                f"{turns[middle] / beside[middle]:.1f}" if beside[middle] else "–",
            ]
        )
    if subject != "uvloop" and subject in loops and "uvloop" in loops:
        over = ratio(medians[subject], medians["uvloop"])
        table.remarks.append(
            f"Beside the spinner the pair makes {over.value:.2f} times the round trips on "
            f"{subject} that it makes on uvloop (target: at least 1)."
        )
    table.remarks.append(
        f"Median of {len(rounds)} rounds (smallest..largest). Client and server are on the same "
        "loop, so a round trip is two turns of a loop that looks at its sockets in every turn."
    )
    return [table]
