"""Runs tests in child processes: one process per TestCase class, with a time limit for each test.

A crash or a hang costs the running test only: the rest of the class goes on in a new process. What
failed is run once more, alone in a process; what passes then is flaky, not failed.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tests.conformance.candidate import Candidate
from tests.conformance.identity import AT_EXIT, CaseClass, Section, TestId
from tests.conformance.outcome import Outcome

WORKER = Path(__file__).with_name("worker.py")

# A test may take this many seconds, or four times what it takes on stock asyncio and a little.
_LEAST_LIMIT, _STOCK_FACTOR, _GRACE = 12.0, 4.0, 8.0
# Stock's own first run has nothing to be measured by; some of its tests wait for 30 s.
_LIMIT_WITHOUT_STOCK = 60.0
# Importing the candidate and a test module; leaving Python after the last test.
_START_LIMIT, _EXIT_LIMIT = 60.0, 20.0
# Repeating every hang would make a run with many of them endless.
_HANGS_REPEATED_PER_CLASS = 3
# Up to this many repeats run with nothing beside them, which is the fairest; more share the cores.
_REPEATS_ONE_BY_ONE = 12
# Of the output of a process that died, this much is kept.
_LAST_WORDS = 6000

# What would change asyncio's behaviour in the children for reasons outside the candidate.
_UNSET = (
    "PYTHONASYNCIODEBUG",
    "PYTHONDEVMODE",
    "PYTHONWARNINGS",
    "PYTHONOPTIMIZE",
    "PYTHONUNBUFFERED",
    "PYTHONSAFEPATH",
    "PYTHONMALLOC",
    "PYTHONTRACEMALLOC",
)

Progress = Callable[[CaseClass, Mapping[str, Outcome]], None]


@dataclasses.dataclass
class Supervisor:
    """Runs tests on one candidate.

    Attributes:
        candidate: The implementation under test.
        jobs: How many child processes run at once.
        stock_seconds: How long each test takes on stock asyncio, where that is known.
        progress: Called with the outcomes of each class when it is through.
        patience: Factor on all time limits, for slow machines and sanitizers.
    """

    candidate: Candidate
    jobs: int
    stock_seconds: Mapping[TestId, float]
    progress: Progress
    patience: float = 1.0

    def run(self, tests: Sequence[TestId]) -> dict[TestId, Outcome]:
        """Runs the tests and repeats what failed."""
        by_class: dict[CaseClass, list[str]] = {}
        for test in tests:
            by_class.setdefault(test.case_class, []).append(test.name)
        # Longest first, so that no long class is left for the end.
        order = sorted(
            by_class,
            key=lambda one: (
                -sum(self.stock_seconds.get(TestId(one, name), 0.0) for name in by_class[one])
            ),
        )
        outcomes: dict[TestId, Outcome] = {}
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            for case_class, found in pool.map(
                lambda one: (one, self._run_class(one, by_class[one])), order
            ):
                outcomes |= {TestId(case_class, name): end for name, end in found.items()}
                self.progress(case_class, found)
        return outcomes | self._repeat(outcomes, by_class)

    def _run_class(self, case_class: CaseClass, names: Sequence[str]) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        left = list(names)
        while left:
            found |= self._run_process(case_class, left)
            left = [name for name in left if name not in found]
        return found

    def _repeat(
        self, outcomes: Mapping[TestId, Outcome], by_class: Mapping[CaseClass, list[str]]
    ) -> dict[TestId, Outcome]:
        hangs: dict[CaseClass, int] = {}
        again: list[TestId] = []
        for test, end in outcomes.items():
            if end.status == "hang":
                hangs[test.case_class] = hangs.get(test.case_class, 0) + 1
                if hangs[test.case_class] > _HANGS_REPEATED_PER_CLASS:
                    continue
            if end.bad:
                again.append(test)

        def run_alone(test: TestId) -> Outcome:
            names = by_class[test.case_class] if test.name == AT_EXIT else [test.name]
            found = self._run_process(test.case_class, names)
            if test.name == AT_EXIT:
                return found.get(AT_EXIT, Outcome("passed"))
            return found[test.name]

        jobs = 1 if len(again) <= _REPEATS_ONE_BY_ONE else self.jobs
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            ends = dict(zip(again, pool.map(run_alone, again), strict=True))
        return {
            test: dataclasses.replace(end, flaky=True, detail=outcomes[test].detail)
            if end.passed
            else end
            for test, end in ends.items()
        }

    def _limit(self, test: TestId) -> float:
        stock = self.stock_seconds.get(test)
        if stock is None:
            return _LIMIT_WITHOUT_STOCK * self.patience
        return max(_LEAST_LIMIT, _STOCK_FACTOR * stock + _GRACE) * self.patience

    def _run_process(self, case_class: CaseClass, names: Sequence[str]) -> dict[str, Outcome]:
        """Runs tests of one class in one process, up to the first crash or hang.

        Returns:
            At least one outcome, so that a caller who goes on with the rest comes to an end.
        """
        limits = {name: self._limit(TestId(case_class, name)) for name in names}
        on_stock = case_class.section is Section.FOREIGN
        candidate = self.candidate.on_stock_loop() if on_stock else self.candidate
        generated = case_class.section is not Section.LOOP
        job = {
            "factory": candidate.factory,
            "task": candidate.task if generated else None,
            "future": candidate.future if generated else None,
            "module": case_class.module,
            "class": case_class.name,
            "tests": list(names),
            "limits": limits,
        }
        return _Run(names, limits, self.patience).watch(job)


class _Run:
    """The life of one worker process."""

    def __init__(self, names: Sequence[str], limits: Mapping[str, float], patience: float) -> None:
        self._names = names
        self._limits = limits
        self._patience = patience
        self._found: dict[str, Outcome] = {}
        self._running: str | None = None
        self._fixture: Outcome | None = None
        self._done = False

    def watch(self, job: dict[str, Any]) -> dict[str, Outcome]:
        with Worker(job) as worker:
            for event in worker.events(self._limit):
                self._take(event, worker)
                if self._done:
                    break
            # The stream ended: done, dead, or silent for longer than the limit.
            silent = worker.silent
            code = None if silent else worker.wait(_EXIT_LIMIT * self._patience)
            self._conclude(code, silent, worker)
        return self._found

    def _limit(self) -> float:
        if self._running is None:
            return _START_LIMIT * self._patience
        return self._limits[self._running]

    def _take(self, event: dict[str, Any], worker: Worker) -> None:
        kind = event.pop("event")
        if kind == "start":
            self._running = event["test"]
            worker.mark()
        elif kind == "end":
            name = event.pop("test")
            self._found[name] = Outcome(**event)
            self._running = None
        elif kind == "fixture":
            self._fixture = Outcome(event["status"], event["detail"])
        elif kind == "done":
            self._done = True

    def _conclude(self, code: int | None, silent: bool, worker: Worker) -> None:
        if self._done:
            rest = self._fixture or Outcome("error", "unittest reported no result")
            self._found |= {name: rest for name in self._names if name not in self._found}
            if code != 0:
                self._found[AT_EXIT] = _death(code, worker)
            return
        end = _death(None if silent else code, worker)
        if self._running is not None:
            self._found[self._running] = end
        elif not self._found:
            # It died before its first test, so it would do so again for each of them.
            self._found |= dict.fromkeys(self._names, end)
        else:
            # It died between two tests: the next one gets the blame.
            blamed = next((name for name in self._names if name not in self._found), AT_EXIT)
            self._found[blamed] = end


def _death(code: int | None, worker: Worker) -> Outcome:
    words = worker.last_words()
    if code is None:
        return Outcome("hang", words)
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
    return Outcome("crash", f"{how}\n{words}")


class Worker(contextlib.AbstractContextManager["Worker"]):
    """A worker process with its stream of events and its output.

    Attributes:
        silent: The stream ended because no event came in time.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self.silent = False
        self._folder = tempfile.TemporaryDirectory(
            prefix="conformance-", ignore_cleanup_errors=True
        )
        self._output: BinaryIO = tempfile.TemporaryFile()
        self._marked = 0
        reader, writer = os.pipe()
        self._reader = reader
        environment = {k: v for k, v in os.environ.items() if k not in _UNSET}
        environment["TMPDIR"] = self._folder.name
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-X", "faulthandler", WORKER, json.dumps(job), str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            cwd=self._folder.name,
            env=environment,
            pass_fds=(writer,),
            start_new_session=True,
        )
        os.close(writer)

    def events(self, limit: Callable[[], float]) -> Iterator[dict[str, Any]]:
        """Yields events until the stream ends or `limit()` seconds pass without one."""
        buffer = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._reader, selectors.EVENT_READ)
            deadline = time.monotonic() + limit()
            while True:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    self.silent = True
                    return
                data = os.read(self._reader, 65536)
                if not data:
                    return
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    yield json.loads(line)
                    deadline = time.monotonic() + limit()

    def wait(self, seconds: float) -> int | None:
        """Waits for the process to end; None if it does not in time."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def mark(self) -> None:
        """Remembers that what was printed so far is not the running test's."""
        self._marked = os.fstat(self._output.fileno()).st_size

    def last_words(self) -> str:
        """The end of what the process printed since the last mark."""
        self._output.seek(0, os.SEEK_END)
        start = max(self._marked, self._output.tell() - _LAST_WORDS)
        self._output.seek(start)
        return self._output.read().decode(errors="replace").strip()

    def __exit__(self, *exc_info: object) -> None:
        # The session is killed as a whole: a test that hangs may have left children of its own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._reader)
        self._output.close()
        self._folder.cleanup()
