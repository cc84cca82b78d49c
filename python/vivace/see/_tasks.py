"""The tasks of this process: the one that runs, and those that are pending."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from vivace import _native


def current() -> Any:
    """The task that runs in this thread, or None; also where no loop runs."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def of_loop(loop: Any) -> list[Any]:
    """The pending tasks of a loop, also those of another make."""
    return list(asyncio.all_tasks(loop))


def of_all_loops() -> list[Any]:
    """The pending tasks of all loops that are open, also those of another make."""
    from vivace import _loop

    return [task for loop in tuple(_loop._loops) if not loop.is_closed() for task in of_loop(loop)]


def pending() -> list[Any]:
    """Our own tasks, of all loops that are open, in no order."""
    if sys.version_info < (3, 14):
        return list(_native._all_tasks())
    # There the list is asyncio's own.
    return [task for task in of_all_loops() if isinstance(task, _native.Task)]
