"""Runs the stages of `make test` one after another and sums up what they say.

    python3 tools/stages.py [--missing 3.12] fmt clippy rust python-3.13

Each stage is a target of the Makefile. A stage that fails does not keep the
later ones from running. At the end stand the closing lines of every test runner,
the time of each stage, and alone on the last line the sum:

    N passed, N failed, N skipped

The exit status is 0 if every stage succeeded and no test failed. Only the
standard library is used: this runs before anything is installed.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

# A stage that takes longer hangs: it is ended, so that the others get their turn.
_LIMIT = 25 * 60.0
_LOGS = Path(".work/logs")

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PYTEST = re.compile(r"^=*\s*((?:\d+ \w+(?:, )?)+) in [\d.]+s")
_CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;")
_PLAIN = re.compile(r"^(?:\S+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")

# What pytest calls its outcomes, and which of our three each of them is.
_OUTCOMES = {
    "passed": "passed",
    "failed": "failed",
    "error": "failed",
    "errors": "failed",
    "xpassed": "failed",
    "skipped": "skipped",
    "xfailed": "skipped",
}


@dataclass
class Counts:
    """How many tests passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Counts) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass
class Result:
    """How a stage ended."""

    name: str
    status: int = 0
    seconds: float = 0.0
    counts: Counts = field(default_factory=Counts)
    closing_lines: list[str] = field(default_factory=list)
    compiled: int = 0


def main() -> int:
    """Runs the stages and returns the exit status."""
    # Started in the background of a shell it inherits SIGINT ignored, and so would every test.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(description="runs stages of `make test`")
    parser.add_argument("--missing", action="append", default=[], metavar="VERSION")
    parser.add_argument("stages", nargs="+", metavar="STAGE")
    options = parser.parse_args()
    _LOGS.mkdir(parents=True, exist_ok=True)
    results = []
    for name in options.stages:
        print(f"\n--- {name} ---", flush=True)
        results.append(_run(name))
    return _report(results, options.missing)


def counts_of(line: str) -> Counts | None:
    """Returns what a line says if it is the closing line of a test runner."""
    if match := _CARGO.match(line) or _PLAIN.match(line):
        return Counts(*(int(number or 0) for number in match.groups()))
    if match := _PYTEST.match(line):
        counts = Counts()
        for part in match[1].split(", "):
            number, _, outcome = part.partition(" ")
            if kind := _OUTCOMES.get(outcome):
                setattr(counts, kind, getattr(counts, kind) + int(number))
        return counts
    return None


def _run(name: str) -> Result:
    result = Result(name)
    start = time.monotonic()
    process = subprocess.Popen(
        [os.environ.get("MAKE", "make"), "--no-print-directory", name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # A group of its own: ending the stage ends everything that it started.
        start_new_session=True,
        # A stage is a `make` of its own, not a part of ours and its job server.
        env={key: value for key, value in os.environ.items() if key != "MAKEFLAGS"},
    )
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, _LIMIT)
    try:
        with (_LOGS / f"{name}.log").open("w") as log:
            assert process.stdout is not None
            for line in _echoed(process.stdout, log.write):
                counts = counts_of(line)
                if counts is not None:
                    result.counts.add(counts)
                    result.closing_lines.append(line)
                elif line.lstrip().startswith("Compiling "):
                    result.compiled += 1
        result.status = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        result.seconds = time.monotonic() - start
    if result.status == -signal.SIGKILL:
        print(f"{name}: ended after {result.seconds:.0f} seconds", flush=True)
    return result


def _echoed(lines: Iterable[str], write: Callable[[str], object]) -> Iterator[str]:
    for line in lines:
        print(line, end="", flush=True)
        write(line)
        yield _COLOUR.sub("", line).strip()


def _report(results: list[Result], missing: list[str]) -> int:
    total = Counts()
    print("\n--- what the test runners said ---")
    for result in results:
        total.add(result.counts)
        for line in result.closing_lines:
            print(f"{result.name:16} {line}")
    print("\n--- stages ---")
    for result in results:
        verdict = "ok" if result.status == 0 else f"FAILED ({result.status})"
        compiled = f", {result.compiled} crates compiled" if result.compiled else ""
        print(f"{result.name:16} {result.seconds:6.0f} s  {verdict}{compiled}")
    seconds = sum(result.seconds for result in results)
    failed = [result.name for result in results if result.status]
    print(f"{'all':16} {seconds:6.0f} s  {'failed: ' + ' '.join(failed) if failed else 'ok'}")
    if missing:
        print(f"Pythons that this machine has not: {', '.join(missing)}")
    print(total, flush=True)
    return 1 if failed or total.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
