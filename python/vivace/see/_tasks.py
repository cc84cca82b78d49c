"""The pending tasks of this process, of all loops that are open."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from vivace import _native


def pending() -> list[Any]:
    """Our tasks, in no order."""
    if sys.version_info < (3, 14):
        return list(_native._all_tasks())
    # There the list is asyncio's own.
    from vivace import _loop

    return [
        task
        for loop in tuple(_loop._loops)
        if not loop.is_closed()
        for task in asyncio.all_tasks(loop)
        if isinstance(task, _native.Task)
    ]
