"""One line in the log for each request: who, what, the answer, how long.

The line is written when the answer is complete. It is handed to a thread that
writes it: a log on a slow disk or a stopped terminal must not stop the loop.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_logger = logging.getLogger("sourcerevision.requests")


class RequestLog:
    """ASGI middleware that logs each HTTP request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # An application that fails before it answers is answered for with 500.
        status = 500

        async def watching_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        start = time.perf_counter()
        try:
            await self._app(scope, receive, watching_send)
        finally:
            client = scope.get("client")
            _logger.info(
                "%s %s %s %d %.1f ms",
                client[0] if client else "-",
                scope["method"],
                # repr, so that no path can forge a line of its own.
                repr(scope["path"])[1:-1],
                status,
                (time.perf_counter() - start) * 1000,
            )


@contextmanager
def written_by_a_thread() -> Iterator[None]:
    """Has the request log written to standard error by a thread, while it lasts."""
    output = logging.StreamHandler()
    output.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(lines, output)
    handler = logging.handlers.QueueHandler(lines)
    _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)
    listener.start()
    try:
        yield
    finally:
        _logger.removeHandler(handler)
        listener.stop()
