"""Runs the stages of `make test` and sums up what they say.

    python3 tools/stages.py [--missing 3.12] fmt clippy rust python-3.12,python-3.13

Each stage is a target of the Makefile. They run one after another, but those
that are joined by commas run at the same time: most of the test suite waits.
What these say is printed when each ends. A stage that fails does not keep the
later ones from running. At the end stand the closing lines of every test runner,
the beginnings of what failed, the time of each stage, and alone on the last line
the sum:

    N passed, N failed, N skipped

A test that failed and passed when it was repeated counts as passed; what it said
at first is shown, since such a test, or what it tests, depends on chance.

The exit status is 0 if every stage succeeded and no test failed. Only the
standard library is used: this runs before anything is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

# A stage that takes longer hangs: it is ended, so that the others get their turn.
_LIMIT = 50 * 60.0
_LOGS = Path(".work/logs")

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PYTEST = re.compile(r"^=*\s*((?:\d+ \w+(?:, )?)+) in [\d.]+s")
_CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;")
_PLAIN = re.compile(r"^(?:\S+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")

# What stands above the report of a test that failed: pytest's lines and cargo's. Such a report
# ends with the next one, or with a section of the runner.
_FAILED_TEST = re.compile(r"^_{3,} (?P<pytest>\S.*\S) _{3,}$|^---- (?P<cargo>.+) stdout ----$")
_SECTION = re.compile(r"^={3,} .* ={3,}$|^failures:$|^test result: ")

# What pytest-rerunfailures tells of tests that were repeated, at the end of the run.
_REPEATED_TEST = re.compile(r"^(?P<outcome>RERUN|PASSED|FAILED|ERROR) (?P<name>\S+)")

# So many lines of failures are shown: of all stages, of one test, and of the end of a stage that
# says nothing of tests.
_LINES_OF_ALL = 150
_LINES_OF_A_TEST = 6
_LINES_OF_AN_END = 25
_WIDTH = 160

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
    # Started in the background of a shell, or by nohup, it inherits these signals ignored, and so
    # would every test.
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    parser = argparse.ArgumentParser(description="runs stages of `make test`")
    parser.add_argument("--missing", action="append", default=[], metavar="VERSION")
    parser.add_argument("stages", nargs="+", metavar="STAGE[,STAGE...]")
    options = parser.parse_args()
    _LOGS.mkdir(parents=True, exist_ok=True)
    results = []
    begin = time.monotonic()
    for stage in options.stages:
        names = stage.split(",")
        if len(names) == 1:
            print(f"\n--- {stage} ---", flush=True)
            results.append(_run(stage, _print))
        else:
            results += _run_together(names)
    return _report(results, options.missing, time.monotonic() - begin)


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


def _print(line: str) -> None:
    print(line, end="", flush=True)


def _run_together(names: list[str]) -> list[Result]:
    """Runs stages at the same time; each is printed as a whole when it has ended."""
    printing = threading.Lock()
    said: dict[str, list[str]] = {name: [] for name in names}
    ended = threading.Event()

    def run(name: str) -> Result:
        result = _run(name, said[name].append)
        with printing:
            print(f"\n--- {name} ---\n{''.join(said[name])}", end="", flush=True)
        return result

    def tell_of_progress() -> None:
        # Whoever reads along sees that it goes on, and how far it is.
        while not ended.wait(60):
            far = (f"{name}: {lines[-1].strip()[-70:]}" for name, lines in said.items() if lines)
            with printing:
                print(*far, sep="   ", flush=True)

    threading.Thread(target=tell_of_progress, daemon=True).start()
    pool = ThreadPoolExecutor(len(names))
    try:
        return list(pool.map(run, names))
    except BaseException:
        for process in list(_running):
            _kill(process)
        raise
    finally:
        ended.set()
        pool.shutdown()


# What runs now: it is ended with us.
_running: set[subprocess.Popen[str]] = set()


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _run(name: str, echo: Callable[[str], object]) -> Result:
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
    _running.add(process)
    limit = threading.Timer(_LIMIT, _kill, [process])
    limit.daemon = True
    limit.start()
    try:
        with (_LOGS / f"{name}.log").open("w") as log:
            assert process.stdout is not None
            for line in _echoed(process.stdout, echo, log.write):
                counts = counts_of(line)
                if counts is not None:
                    result.counts.add(counts)
                    result.closing_lines.append(line)
                elif line.lstrip().startswith("Compiling "):
                    result.compiled += 1
        result.status = process.wait()
    except BaseException:
        _kill(process)
        process.wait()
        raise
    finally:
        limit.cancel()
        _running.discard(process)
        result.seconds = time.monotonic() - start
    if result.status == -signal.SIGKILL:
        echo(f"{name}: ended after {result.seconds:.0f} seconds\n")
    return result


def _echoed(lines: Iterable[str], *writers: Callable[[str], object]) -> Iterator[str]:
    for line in lines:
        for write in writers:
            write(line)
        yield _COLOUR.sub("", line).strip()


def what_failed(lines: list[str]) -> list[str]:
    """Returns the name and the first words of each test that failed, from the log of a stage."""
    found: list[str] = []
    report: list[str] | None = None
    for line in [*lines, "=== end ==="]:
        if (match := _FAILED_TEST.match(line)) or _SECTION.match(line):
            if report:
                # pytest marks what matters; the rest of its report is source code.
                marked = [each for each in report if each.startswith("E ")]
                found += [f"    {each}" for each in (marked or report)[:_LINES_OF_A_TEST]]
            report = None
            if match:
                found.append(match["pytest"] or match["cargo"])
                report = []
        elif report is not None and line.strip():
            report.append(line)
    return found


def what_was_repeated(lines: list[str]) -> list[str]:
    """Returns the name and the first words of each test that passed when it was repeated."""
    said: dict[str, list[str]] = {}
    failed = set()
    report: list[str] = []
    for line in lines:
        if match := _REPEATED_TEST.match(line):
            report = []
            if match["outcome"] == "RERUN":
                report = said.setdefault(match["name"], [])
            elif match["outcome"] != "PASSED":
                failed.add(match["name"])
        elif _SECTION.match(line):
            report = []
        elif line.startswith("E "):
            report.append(f"    {line}")
    found: list[str] = []
    for name, words in said.items():
        if name not in failed:
            found += [name, *words[:_LINES_OF_A_TEST]]
    return found


def _log_of(result: Result) -> list[str]:
    log = (_LOGS / f"{result.name}.log").read_text(errors="replace")
    return [_COLOUR.sub("", line).rstrip() for line in log.splitlines()]


def _print_repeated(results: list[Result]) -> None:
    told = {result.name: what_was_repeated(_log_of(result)) for result in results}
    if any(told.values()):
        print("\n--- what passed only when it was repeated ---")
    for name, found in told.items():
        if not found:
            continue
        print(f"{name}:")
        for line in found:
            print(f"  {line[:_WIDTH]}")


def _failures_of(result: Result) -> list[str]:
    """The lines that say why a stage failed."""
    lines = _log_of(result)
    found = what_failed(lines)
    if not found or not result.closing_lines:
        # A compiler, a linter, or a test runner that was ended in the middle.
        found += ["the end of the log:", *(f"    {line}" for line in lines[-_LINES_OF_AN_END:])]
    return found


def _print_failures(results: list[Result]) -> None:
    failed = [result for result in results if result.status or result.counts.failed]
    if not failed:
        return
    print("\n--- what failed ---")
    share = _LINES_OF_ALL // len(failed)
    for result in failed:
        lines = _failures_of(result)
        print(f"{result.name}:")
        for line in lines[:share]:
            print(f"  {line[:_WIDTH]}")
        if len(lines) > share:
            print(f"  ... and {len(lines) - share} lines more: {_LOGS / result.name}.log")


def _report(results: list[Result], missing: list[str], seconds: float) -> int:
    total = Counts()
    print("\n--- what the test runners said ---")
    for result in results:
        total.add(result.counts)
        for line in result.closing_lines:
            print(f"{result.name:16} {line}")
    _print_repeated(results)
    _print_failures(results)
    print("\n--- stages ---")
    for result in results:
        verdict = "ok" if result.status == 0 else f"FAILED ({result.status})"
        compiled = f", {result.compiled} crates compiled" if result.compiled else ""
        print(f"{result.name:16} {result.seconds:6.0f} s  {verdict}{compiled}")
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
