"""A pytest plugin that bounds every test in time.

Two stages. First a signal interrupts the test with an exception that event loops let through
(they pass KeyboardInterrupt on and swallow other things). If the main thread is stuck where no
signal handler can run, a second timer, in a thread of C, prints every stack and ends the process.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Generator
from types import FrameType

import pytest

from support.patience import FACTOR, TEST_SECONDS

GRACE_SECONDS = 15.0

# pytest redirects file descriptor 2; the last words must reach the terminal all the same.
_terminal = os.dup(2)


class TimeLimitExceeded(KeyboardInterrupt):
    """The test took longer than it may."""


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise TimeLimitExceeded


def _limit(item: pytest.Item) -> float:
    marker = item.get_closest_marker("time_limit")
    return float(marker.args[0]) * FACTOR if marker else TEST_SECONDS


def _bounded(item: pytest.Item) -> Generator[None, object, object]:
    seconds = _limit(item)
    previous = signal.signal(signal.SIGALRM, _interrupt)
    # Repeats, for a test that catches the first one in a `finally` and goes on waiting.
    signal.setitimer(signal.ITIMER_REAL, seconds, 2.0)
    faulthandler.dump_traceback_later(seconds + GRACE_SECONDS, exit=True, file=_terminal)
    try:
        return (yield)
    except TimeLimitExceeded as exc:
        tb = exc.__traceback__
        raise pytest.fail.Exception(f"took longer than {seconds:g} s").with_traceback(tb) from None
    except KeyboardInterrupt as exc:
        # Some tests raise it on purpose; one that gets out must not end the whole run, unless
        # there is somebody who may have pressed the keys.
        if sys.stdin is not None and sys.stdin.isatty():
            raise
        raise pytest.fail.Exception("KeyboardInterrupt").with_traceback(exc.__traceback__) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        if signal.getsignal(signal.SIGALRM) is _interrupt:
            signal.signal(signal.SIGALRM, previous)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from _bounded(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from _bounded(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from _bounded(item))


def pytest_report_header() -> str:
    return f"time limit for a test: {TEST_SECONDS:g} s, Python {sys.version.split()[0]}"
