"""Tests of the runner itself: what a loop does wrong must come out as what it is, and cost no more.

They run a handful of CPython's tests on loops that are broken on purpose, `broken_loops.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
# Some of these tests need timers, others do not.
TESTS = "test_threads.", "test_pep492.LockTests", "test_pep492.StreamReaderTests"


def run(loop: str, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    """Runs the runner and returns its exit status, its output and its JSON."""
    chosen = [part for test in TESTS for part in ("-k", test)]
    command = [sys.executable, "-m", "tests.conformance", "--loop", loop, "-j", "1"]
    ended = subprocess.run(
        [*command, *chosen, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    version = ".".join(map(str, sys.version_info[:3]))
    label = loop.replace(":", "-")
    path = ROOT / ".work" / "conformance" / f"{version}-{label}-part.json"
    return ended.returncode, ended.stdout, json.loads(path.read_text()) if path.exists() else {}


def statuses(result: dict[str, Any]) -> dict[str, str]:
    """The status of each test that was run on the candidate."""
    return {row["test"]: row["status"] for row in result["tests"] if "status" in row}


def test_stock_passes_everything() -> None:
    code, output, result = run("stock")
    assert code == 0, output
    assert set(statuses(result).values()) == {"passed"}
    assert output.splitlines()[-1] == f"{len(statuses(result))} passed, 0 failed, 0 skipped"


@pytest.mark.parametrize(
    ("loop", "status", "words"),
    [
        ("Crashing", "crash", "SIGABRT"),
        ("Hanging", "hang", "in call_later"),
        ("Failing", "error", "no timers today"),
    ],
)
def test_what_goes_wrong_costs_one_test(loop: str, status: str, words: str) -> None:
    code, output, result = run(f"tests.conformance.broken_loops:{loop}", "--patience", "0.1")
    assert code == 1, output
    ends = statuses(result)
    assert set(ends.values()) == {"passed", status}
    assert ends["test_pep492.LockTests.test_context_manager_async_with"] == status
    assert ends["test_pep492.StreamReaderTests.test_readline"] == "passed"
    wrong = [row for row in result["tests"] if row.get("status") == status]
    assert all(words in row["detail"] for row in wrong)


def test_what_passes_alone_is_flaky() -> None:
    code, output, result = run("tests.conformance.broken_loops:Flaky", "-k", "test_pep492.Cor")
    assert code == 0, output
    # On a busy machine others may be, too.
    flaky = [row["detail"] for row in result["tests"] if row.get("flaky")]
    assert any("no more today" in detail for detail in flaky), flaky


def test_a_crash_at_exit_is_a_failure() -> None:
    code, output, result = run("tests.conformance.broken_loops:CrashingAtExit")
    assert code == 1, output
    ends = statuses(result)
    assert ends.pop("test_threads.ToThreadTests.[exit]") == "crash"
    assert {end for test, end in ends.items() if not test.endswith("[exit]")} == {"passed"}
