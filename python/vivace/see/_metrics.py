"""The numbers of the loops for Prometheus: see ``crates/vivace-python/src/see/metrics.rs``."""

from __future__ import annotations

from vivace import _native


def metrics_text() -> str:
    """The numbers of this process's loops and tasks, in Prometheus' text format.

    Nothing is counted for it: what the loops keep anyway is read, so that it may be asked at any
    time and from any thread. Counters go on from one loop to the next. A loop's number is the
    label ``loop`` if there has been more than one at a time.

    Returns:
        The text, of media type ``text/plain; version=0.0.4``; empty under ``VIVACE_DIAG=0``.
    """
    return _native.see_metrics_text()
