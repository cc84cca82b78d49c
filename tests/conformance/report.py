"""Tells people and tools what came out: text on standard output, JSON in a file."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from tests.conformance.comparison import Judged, Verdict
from tests.conformance.identity import CaseClass, TestId
from tests.conformance.outcome import Outcome

_TITLES = {
    Verdict.EXCLUDED: "excluded",
    Verdict.NOT_COUNTED: "not counted",
    Verdict.SKIPPED: "skipped by the suite",
    Verdict.KNOWN_DIFFERENCE: "known differences",
}
_LINES_OF_A_FAILURE = 25


class Report:
    """The verdicts of one run.

    Attributes:
        label: What the candidate is called.
        judged: All chosen tests with their verdicts.
        stale: Patterns of the rule files that match nothing.
        skipped_modules: Why a module of the suite cannot be imported here, by its name.
        seconds: How long the run took.
    """

    def __init__(
        self,
        label: str,
        judged: Sequence[Judged],
        stale: Sequence[str],
        skipped_modules: Mapping[str, str],
        seconds: float,
    ) -> None:
        self.label = label
        self.judged = judged
        self.stale = stale
        self.skipped_modules = skipped_modules
        self.seconds = seconds

    def with_verdict(self, *verdicts: Verdict) -> list[Judged]:
        """The tests with one of these verdicts."""
        return [one for one in self.judged if one.verdict in verdicts]

    @property
    def failed(self) -> list[Judged]:
        """What makes the run fail."""
        return self.with_verdict(Verdict.FAILED, Verdict.UNEXPECTED_PASS)

    @property
    def flaky(self) -> list[Judged]:
        """What passed only when it was repeated alone."""
        return [one for one in self.judged if one.outcome is not None and one.outcome.flaky]

    @property
    def ok(self) -> bool:
        """Whether every test that counts passed or is a known difference, and some test counts."""
        counted = self.with_verdict(Verdict.PASSED, Verdict.KNOWN_DIFFERENCE)
        return not self.failed and not self.stale and bool(counted)

    def print(self, out: TextIO, verbose: bool) -> None:
        """Prints the whole report; the summary comes last."""
        for verdict, title in _TITLES.items():
            _print_by_reason(out, title, self.with_verdict(verdict))
        for module, reason in self.skipped_modules.items():
            print(f"module skipped by the suite: {module}: {reason}", file=out)
        for one in self.flaky:
            print(f"flaky: {one.test}: {one.outcome.last_line() if one.outcome else ''}", file=out)
        for one in self.failed:
            _print_failure(out, one, verbose)
        for pattern in self.stale:
            print(f"STALE: a rule's pattern matches no test on this Python: {pattern}", file=out)
        self._print_summary(out)

    def _print_summary(self, out: TextIO) -> None:
        known = len(self.with_verdict(Verdict.KNOWN_DIFFERENCE))
        skipped = len(self.with_verdict(Verdict.SKIPPED))
        passed = len(self.with_verdict(Verdict.PASSED))
        failed = len(self.failed)
        print(
            f"conformance {sys.version.split()[0]} loop={self.label}: {passed} passed, "
            f"{failed} failed, {skipped} skipped, {known} known differences, "
            f"{len(self.flaky)} flaky, {len(self.with_verdict(Verdict.EXCLUDED))} excluded, "
            f"{len(self.with_verdict(Verdict.NOT_COUNTED))} not counted, in {self.seconds:.0f} s",
            file=out,
        )
        # A stale rule is a failure too, though of a file rather than of a test.
        print(
            f"{passed} passed, {failed + len(self.stale)} failed, {skipped + known} skipped",
            file=out,
        )

    def write_json(self, path: Path) -> None:
        """Writes everything that is known about every chosen test."""
        content: dict[str, Any] = {
            "python": sys.version,
            "loop": self.label,
            "ok": self.ok,
            "seconds": round(self.seconds, 1),
            "stale": list(self.stale),
            "tests": [_as_json(one) for one in self.judged],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _as_json(one: Judged) -> dict[str, Any]:
    row: dict[str, Any] = {
        "test": str(one.test),
        "section": one.test.case_class.section.value,
        "verdict": one.verdict.value,
    }
    if one.reason:
        row["reason"] = one.reason
    if one.outcome is not None:
        row |= {
            "status": one.outcome.status,
            "seconds": one.outcome.seconds,
            "flaky": one.outcome.flaky,
            "detail": one.outcome.detail,
        }
    return row


def _print_by_reason(out: TextIO, title: str, judged: Iterable[Judged]) -> None:
    by_reason: dict[str, dict[CaseClass, list[str]]] = {}
    for one in judged:
        classes = by_reason.setdefault(one.reason, {})
        classes.setdefault(one.test.case_class, []).append(one.test.name)
    for reason, classes in by_reason.items():
        print(f"{title}, {sum(map(len, classes.values()))}: {reason}", file=out)
        for case_class, names in classes.items():
            print(
                textwrap.fill(
                    f"{case_class}: {' '.join(names)}",
                    100,
                    initial_indent="    ",
                    subsequent_indent="        ",
                    break_long_words=False,
                    break_on_hyphens=False,
                ),
                file=out,
            )


def _print_failure(out: TextIO, one: Judged, verbose: bool) -> None:
    if one.verdict is Verdict.UNEXPECTED_PASS:
        print(f"UNEXPECTED PASS: {one.test}: take its row out of known_differences.toml", file=out)
        return
    assert one.outcome is not None
    print(f"FAILED ({one.outcome.status}): {one.test}: {one.outcome.last_line()}", file=out)
    if verbose:
        lines = one.outcome.detail.splitlines()
        print(textwrap.indent("\n".join(lines[-_LINES_OF_A_FAILURE:]), "    "), file=out)


def print_progress(
    out: TextIO, what: str, verbose: bool, case_class: CaseClass, found: Mapping[str, Outcome]
) -> None:
    """Prints one line about a class that is through, if something went wrong in it or always."""
    bad = sum(outcome.bad for outcome in found.values())
    if bad or verbose:
        seconds = sum(outcome.seconds for outcome in found.values())
        print(
            f"{what}: {case_class}: {len(found) - bad} of {len(found)} fine, {seconds:.1f} s",
            file=out,
            flush=True,
        )


def print_list(out: TextIO, tests: Sequence[TestId], excluded: Mapping[TestId, str]) -> None:
    """Prints the chosen tests, and why some are excluded."""
    for test in tests:
        reason = excluded.get(test)
        print(
            f"{test}  [{test.case_class.section.value}]"
            + (f"  excluded: {reason}" if reason else ""),
            file=out,
        )
