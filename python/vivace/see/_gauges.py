"""Numbers that nobody keeps: read once a second for the metrics, and when those are asked for."""

from __future__ import annotations

import sys
from typing import Any

from vivace import _native


def watch(loop: Any) -> None:
    """Write down how many descriptors, threads, jobs, ready and deadlocked tasks a loop has."""
    executors = sys.modules.get("vivace.see._executors")
    deadlocks = sys.modules.get("vivace.see._deadlocks")
    counts = {"default executor": (0, 0), "anyio's threads": (0, 0)}
    if executors is not None:
        for load in executors.loads(loop):
            counts[load.name] = (len(load.threads), load.waiting)
    _native.see_gauges(
        loop,
        loop._descriptor_count(),
        0 if deadlocks is None else deadlocks.count(loop),
        *counts["default executor"],
        *counts["anyio's threads"],
    )
