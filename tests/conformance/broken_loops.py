"""Loops that are wrong on purpose, for `test_runner.py` to see that the runner notices."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from typing import Any


class Crashing(asyncio.SelectorEventLoop):
    """Kills its process when it is asked for a timer."""

    def call_later(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        os.abort()


class Hanging(asyncio.SelectorEventLoop):
    """Blocks for ever when it is asked for a timer."""

    def call_later(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        threading.Event().wait()


class Failing(asyncio.SelectorEventLoop):
    """Raises when it is asked for a timer."""

    def call_later(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        raise ZeroDivisionError("no timers today")


class Flaky(asyncio.SelectorEventLoop):
    """Works for the first tests of a process and then no more."""

    made = 0

    def __init__(self, selector: Any = None) -> None:
        super().__init__(selector)
        type(self).made += 1

    def run_until_complete(self, future: Any) -> Any:
        if self.made > 3:
            raise ZeroDivisionError("no more today")
        return super().run_until_complete(future)


class CrashingAtExit(asyncio.SelectorEventLoop):
    """Does everything right and kills its process when Python shuts down."""

    def __init__(self, selector: Any = None) -> None:
        super().__init__(selector)
        atexit.register(os.abort)
