"""What stock asyncio makes of each test in the running interpreter, kept between runs.

A test counts only if stock asyncio passes it in this very harness and interpreter, and time limits
follow stock's times. The results are kept in a file per interpreter and state of the harness, so
that the second run is quick; a test that is not in there yet is run when it is first asked for.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.conformance.candidate import STOCK
from tests.conformance.identity import AT_EXIT, TestId
from tests.conformance.outcome import Outcome
from tests.conformance.supervisor import Progress, Supervisor

# What the outcome of a test depends on; a change of anything else leaves the kept results valid.
_HARNESS = (
    "adaptations",
    "generated_classes",
    "identity",
    "injection",
    "outcome",
    "recording",
    "supervisor",
    "worker",
)


def _harness_hash() -> str:
    digest = hashlib.sha256()
    for name in _HARNESS:
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return digest.hexdigest()[:16]


class StockResults:
    """Outcomes on stock asyncio, run when missing and kept in a folder.

    Args:
        folder: Where the file is kept.
    """

    def __init__(self, folder: Path) -> None:
        version = sys.version.split()[0]
        # Two builds of one version may differ, in OpenSSL for one.
        build = hashlib.sha256(f"{sys.version}{sys.base_prefix}".encode()).hexdigest()[:8]
        self._path = folder / f"stock-{version}-{build}-{_harness_hash()}.json"
        self._outcomes: dict[str, Outcome] = {}
        if self._path.exists():
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            self._outcomes = {name: Outcome(**fields) for name, fields in kept.items()}

    def missing(self, tests: Iterable[TestId]) -> list[TestId]:
        """Those tests that have not been run on stock asyncio yet."""
        return [test for test in tests if str(test) not in self._outcomes]

    def complete(
        self, tests: Iterable[TestId], jobs: int, progress: Progress, patience: float
    ) -> None:
        """Runs what is missing and keeps the outcomes."""
        missing = self.missing(tests)
        if not missing:
            return
        found = Supervisor(STOCK, jobs, {}, progress, patience).run(missing)
        self._outcomes |= {str(test): end for test, end in found.items()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        for stale in self._path.parent.glob(f"{self._path.name.rpartition('-')[0]}-*.json"):
            stale.unlink(missing_ok=True)
        kept = {name: dataclasses.asdict(end) for name, end in self._outcomes.items()}
        partial = self._path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(kept, indent=0), encoding="utf-8")
        partial.replace(self._path)

    def __getitem__(self, test: TestId) -> Outcome:
        if test.name == AT_EXIT:
            return self._outcomes.get(str(test), Outcome("passed"))
        return self._outcomes[str(test)]

    def seconds(self, tests: Iterable[TestId]) -> dict[TestId, float]:
        """How long stock asyncio takes for each test that it passes."""
        return {test: self[test].seconds for test in tests if self[test].passed}
