"""Whether anything could still wake a task of a loop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any


def is_idle(loop: Any) -> bool:
    """Whether nothing is left that could wake a task of the loop, seen from inside of it."""
    return (
        loop._ready_length() == 0
        and loop._descriptor_count() <= _own_descriptors(loop)
        and all(handle.cancelled() for handle in loop._timer_handles())
        and not loop._signal_handlers
        and not _handles_signals()
        and not _other_threads(loop)
    )


def _own_descriptors(loop: Any) -> int:
    """How many of the loop's descriptors are its own."""
    own = getattr(loop, "_ssock", None)
    return int(own is not None and loop._watched(own.fileno()) is not None)


def _handles_signals() -> bool:
    """Whether a function of the program runs when a signal comes."""
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if callable(handler) and handler not in (signal.default_int_handler,):
            owner = getattr(getattr(handler, "func", handler), "__self__", None)
            # asyncio.run's own: it cancels the main task.
            if not isinstance(owner, asyncio.Runner):
                return True
    return False


def _other_threads(loop: Any) -> bool:
    """Whether another thread runs Python code, those apart that wait for work of the loop."""
    others = set(sys._current_frames()) - {threading.get_ident()}
    if not others:
        return False
    executor: Any = getattr(loop, "_default_executor", None)
    threads = getattr(executor, "_threads", ())
    resting = getattr(executor, "_idle_semaphore", None)
    if resting is not None and executor._work_queue.empty() and resting._value >= len(threads):
        others -= {thread.ident for thread in threads}
    return bool(others)


def has_foreign_threads() -> bool:
    """Whether there are threads that Python does not know: C code in one may call the loop.

    Those of the engine itself do not count. If that cannot be told, there are some.
    """
    known = {thread.native_id for thread in threading.enumerate()} | {threading.get_native_id()}
    try:
        others = {int(number) for number in os.listdir("/proc/self/task")} - known
        names = [Path(f"/proc/self/task/{number}/comm").read_text() for number in others]
    except OSError:
        return True
    return not all(name.startswith("vivace-") for name in names)
