"""The numbers of the loops for Prometheus: see ``crates/vivace-python/src/see/metrics.rs``."""

from __future__ import annotations

import asyncio

from vivace import _loop, _native


def metrics_text() -> str:
    """The numbers of this process's loops and tasks, in Prometheus' text format.

    Nothing is counted for it: what the loops keep anyway is read, so that it may be asked at any
    time and from any thread. Counters go on from one loop to the next. A loop's number is the
    label ``loop`` if there has been more than one at a time.

    Returns:
        The text, of media type ``text/plain; version=0.0.4``; empty under ``VIVACE_DIAG=0``.
    """
    loop = asyncio._get_running_loop()
    if isinstance(loop, _loop.EventLoop) and loop._see_counters:
        # Without the executors, which are looked at once a second, none of their threads count.
        from . import _executors, _gauges  # noqa: F401

        _gauges.watch(loop)
    return _native.see_metrics_text()
