"""`--metrics [HOST:]PORT`: the numbers of a server, told by a thread without Python.

    one process       the server counts, and answers on the port
    several workers   each worker counts and reports; the parent answers for all

Who calls it: `_server.py`, `_supervisor.py` and `_worker.py`. What is counted and how workers
report is the engine's (`vivace._native.Metrics`).
"""

from __future__ import annotations

import asyncio
import socket

from vivace import _native

from ._checks import parse_metrics
from ._errors import NotStarted
from ._logging import error_logger

__all__ = ["Beating", "answer_for_workers", "answer_on"]

# `/livez` fails when the loop has not turned for so many seconds.
_STALL = 10.0

# The loop shows so often that it turns.
_BEAT = 0.5


def answer_on(where: str) -> _native.Metrics:
    """Counts for this process, and answers on an address.

    Args:
        where: `PORT` or `HOST:PORT`.

    Raises:
        NotStarted: The address is taken. That has been logged.
    """
    metrics = _native.Metrics()
    with _listening(where) as sock:
        metrics.listen(sock.fileno(), _STALL)
    return metrics


def answer_for_workers(where: str) -> tuple[_native.Metrics, str]:
    """Answers on an address for all workers that report.

    Returns:
        What ends it when it is closed, and the address that workers report to.

    Raises:
        NotStarted: The address is taken. That has been logged.
    """
    metrics = _native.Metrics()
    with _listening(where) as sock:
        return metrics, metrics.listen_for_workers(sock.fileno(), _STALL)


def _listening(where: str) -> socket.socket:
    host, port = parse_metrics(where)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host, port), family=family)
    except OSError as error:
        error_logger.error("metrics: cannot listen on %s: %s", where, error)
        raise NotStarted(f"{error}") from error
    bound = sock.getsockname()
    shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    error_logger.info("Metrics on http://%s:%d/metrics", shown, bound[1])
    return sock


class Beating:
    """Shows the metrics that the running loop turns, until it is ended."""

    def __init__(self, metrics: _native.Metrics) -> None:
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._beat()

    def _beat(self) -> None:
        self._metrics.beat()
        self._timer = self._loop.call_later(_BEAT, self._beat)

    def end(self) -> None:
        """No more beats."""
        self._timer.cancel()
