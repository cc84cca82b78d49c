"""Judges every test: does it count, and did the candidate do what stock asyncio does?"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence

from tests.conformance.identity import AT_EXIT, Section, TestId
from tests.conformance.outcome import Outcome
from tests.conformance.stock_results import StockResults


class Verdict(enum.Enum):
    """What a test says about the candidate."""

    PASSED = "passed"
    FAILED = "failed"
    KNOWN_DIFFERENCE = "known difference"
    UNEXPECTED_PASS = "unexpected pass"
    SKIPPED = "skipped"
    EXCLUDED = "excluded"
    NOT_COUNTED = "not counted"


NEVER_ASKS = "never asks for a loop through any of the ways in"
FAKE_CLOCK = "moves the clock of the suite's own loop by hand"


@dataclasses.dataclass(frozen=True)
class Judged:
    """A test with its verdict.

    Attributes:
        test: The test.
        verdict: The verdict.
        reason: Why it is excluded, skipped, not counted or known to differ.
        outcome: What the candidate did, if the test was run on it.
    """

    test: TestId
    verdict: Verdict
    reason: str = ""
    outcome: Outcome | None = None


def does_not_count(test: TestId, stock: Outcome) -> Judged | None:
    """Judges a test by what stock asyncio made of it; None if the candidate has to run it."""
    if stock.status == "skipped":
        return Judged(test, Verdict.SKIPPED, stock.detail)
    if not stock.passed:
        return Judged(
            test, Verdict.NOT_COUNTED, f"stock asyncio fails it here: {stock.last_line()}"
        )
    if test.case_class.section is Section.LOOP:
        if stock.loops == 0:
            return Judged(test, Verdict.NOT_COUNTED, NEVER_ASKS)
        if stock.fake_clocks > 0:
            return Judged(test, Verdict.NOT_COUNTED, FAKE_CLOCK)
    return None


def judge(
    tests: Sequence[TestId],
    excluded: Mapping[TestId, str],
    known: Mapping[TestId, str],
    stock: StockResults,
    outcomes: Mapping[TestId, Outcome],
) -> list[Judged]:
    """Judges the chosen tests.

    Args:
        tests: All tests that were chosen.
        excluded: Reasons of those that are excluded.
        known: Reasons of those that are known to differ.
        stock: What stock asyncio made of the tests that are not excluded.
        outcomes: What the candidate made of those that count, with failures at exit.
    """
    judged = []
    for test in tests:
        if test in excluded:
            judged.append(Judged(test, Verdict.EXCLUDED, excluded[test]))
        else:
            judged.append(
                does_not_count(test, stock[test]) or _compare(test, outcomes[test], known.get(test))
            )
    # A process that dies while Python shuts down fails a test of its own.
    for test, outcome in outcomes.items():
        if test.name == AT_EXIT and outcome.bad and stock[test].passed:
            judged.append(Judged(test, Verdict.FAILED, outcome=outcome))
    return judged


def _compare(test: TestId, outcome: Outcome, known: str | None) -> Judged:
    # Stock passed it, so a skip on the candidate is a difference like any other.
    if outcome.passed:
        verdict = Verdict.PASSED
        # A test that passes now and then may stay listed until it always does.
        if known is not None and not outcome.flaky:
            verdict = Verdict.UNEXPECTED_PASS
    else:
        verdict = Verdict.FAILED if known is None else Verdict.KNOWN_DIFFERENCE
    return Judged(test, verdict, known or "", outcome)
