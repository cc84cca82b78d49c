"""Reads `exclusions.toml` and `known_differences.toml`: what does not count, and what may fail.

Each row names tests by patterns over `module.Class.test` and gives a reason; `python` limits it to
versions. A row that matches nothing on a version it is for is stale, and the run says so and fails:
that keeps the files true.
"""

from __future__ import annotations

import dataclasses
import operator
import re
import tomllib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from tests.conformance.identity import TestId

_COMPARE = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}


class RuleError(Exception):
    """A file of rules cannot be read; the message says what is wrong where."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """One row.

    Attributes:
        reason: Why, for the reader of a report.
        patterns: Shell-style patterns over `module.Class.test`.
        python: A condition like `>=3.12,<3.14`, empty for every version.
    """

    reason: str
    patterns: tuple[str, ...]
    python: str = ""

    def applies_to(self, version: Sequence[int]) -> bool:
        """Whether the row is for this version of Python."""
        for condition in filter(None, (part.strip() for part in self.python.split(","))):
            match = re.fullmatch(r"(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+)*)", condition)
            if match is None:
                raise RuleError(f"not a condition on versions: {condition!r}")
            wanted = tuple(int(part) for part in match[2].split("."))
            if not _COMPARE[match[1]](tuple(version[: len(wanted)]), wanted):
                return False
        return True


def read(path: Path, version: Sequence[int]) -> list[Rule]:
    """Reads the rows of a file that are for this version of Python.

    Raises:
        RuleError: A row is not as it should be.
    """
    rows = tomllib.loads(path.read_text(encoding="utf-8")).get("tests", [])
    rules = []
    for row in rows:
        if (
            not row.get("reason")
            or not row.get("match")
            or set(row) - {"reason", "match", "python"}
        ):
            raise RuleError(
                f"{path.name}: a row needs `match` and `reason`, and may have `python`: {row}"
            )
        rule = Rule(row["reason"], tuple(row["match"]), row.get("python", ""))
        if rule.applies_to(version):
            rules.append(rule)
    return rules


def match(rules: Iterable[Rule], tests: Sequence[TestId]) -> tuple[dict[TestId, str], list[str]]:
    """Finds the tests that rows are about.

    Returns:
        The reason by test, the first row's where several match, and the patterns without match.
    """
    reasons: dict[TestId, str] = {}
    stale: list[str] = []
    names = [(test, str(test)) for test in tests]
    for rule in rules:
        for pattern in rule.patterns:
            found = [test for test, name in names if fnmatchcase(name, pattern)]
            if not found:
                stale.append(pattern)
            for test in found:
                reasons.setdefault(test, rule.reason)
    return reasons, stale
