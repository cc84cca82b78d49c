"""What an ASGI application costs by itself: called on vivace's loop, without a server.

    python measure_application.py MODULE:NAME PATH SECONDS

Prints CPU microseconds per request as JSON. `receive` and `send` do nothing, so this is the
application's own share of what a request costs on any server.
"""

import asyncio
import importlib
import json
import sys
import time
from typing import Any

import vivace

BATCH = 100


async def receive() -> dict[str, Any]:
    """Returns an empty body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: dict[str, Any]) -> None:
    """Takes a message."""


def new_scope(path: str) -> dict[str, Any]:
    """Returns what a server says of a request from wrk."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8000")],
        "state": {},
        "extensions": {},
    }


async def measure(application: Any, path: str, seconds: float) -> float:
    """Returns CPU microseconds per request, each in a task of its own as servers do it."""
    loop = asyncio.get_running_loop()

    async def some() -> None:
        for _ in range(BATCH):
            await loop.create_task(application(new_scope(path), receive, send))

    await some()
    requests = 0
    begin = time.process_time()
    while (elapsed := time.process_time() - begin) < seconds:
        await some()
        requests += BATCH
    return elapsed * 1e6 / requests


def main() -> None:
    """Measures the application of the command line."""
    name, path, seconds = sys.argv[1:]
    module, _, attribute = name.partition(":")
    application = getattr(importlib.import_module(module), attribute)
    cpu_us = vivace.run(measure(application, path, float(seconds)))
    print(json.dumps({"cpu_us": cpu_us}))


if __name__ == "__main__":
    main()
