"""Turns what unittest reports into events for the supervising process. Used by the worker only."""

from __future__ import annotations

import faulthandler
import json
import time
import traceback
import unittest
from collections.abc import Mapping
from typing import Any, TextIO

from tests.conformance import injection

# A test that has this long left before it is killed says where every thread of its process is.
_LAST_WORDS = 1.0


class EventWriter:
    """Writes events, one JSON object a line, to a file descriptor of the supervisor."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, event: str, **fields: Any) -> None:
        """Writes one event at once, for the process may be killed at any moment."""
        self._stream.write(json.dumps({"event": event, **fields}) + "\n")
        self._stream.flush()


class Recorder(unittest.TestResult):
    """A TestResult that reports each test when it starts and when it ends.

    Args:
        events: Where the events go.
        doors: The injection whose use is reported with each test.
        limits: Seconds after which the supervisor kills the process, by name of the test.
    """

    def __init__(
        self, events: EventWriter, doors: injection.Injection, limits: Mapping[str, float]
    ) -> None:
        super().__init__()
        self._events = events
        self._doors = doors
        self._limits = limits
        self._status = "passed"
        self._detail = ""
        self._started = 0.0

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().startTest(test)
        self._status, self._detail = "passed", ""
        self._doors.reset_counts()
        name = test._testMethodName
        self._events.write("start", test=name)
        faulthandler.dump_traceback_later(max(0.1, self._limits[name] - _LAST_WORDS))
        self._started = time.monotonic()

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        seconds = time.monotonic() - self._started
        faulthandler.cancel_dump_traceback_later()
        injection.reset_after_test()
        self._events.write(
            "end",
            test=test._testMethodName,
            status=self._status,
            detail=self._detail,
            seconds=round(seconds, 3),
            loops=self._doors.loops,
            fake_clocks=self._doors.fake_clocks,
        )
        super().stopTest(test)

    def _worse(self, test: Any, status: str, detail: str) -> None:
        if not isinstance(test, unittest.TestCase):
            # A class or module fixture: every test without a result of its own has this one.
            self._events.write("fixture", status=status, detail=detail)
        elif self._status == "passed":
            self._status, self._detail = status, detail

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        self._worse(test, "error", _format(err))

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        self._worse(test, "failed", _format(err))

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self._worse(test, "failed" if failed else "error", f"{subtest}\n{_format(err)}")

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        self._worse(test, "skipped", reason)

    def addUnexpectedSuccess(self, test: Any) -> None:  # noqa: N802
        self._worse(test, "failed", "unexpected success")


def _format(err: tuple[Any, Any, Any]) -> str:
    return "".join(traceback.format_exception(*err))
