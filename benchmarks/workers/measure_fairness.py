"""Counts the round trips of an echo pair on one loop, alone and beside a `sleep(0)` spinner.

    python measure_fairness.py LOOP SECONDS

Both ends of the pair live on the loop. A loop that goes on with what is ready and rarely looks
at its sockets starves the pair; one that looks too often starves the spinner. Prints one line of
JSON: round trips and spinner turns per second of CPU time. Started by `suites/fairness.py`.
"""

import asyncio
import gc
import json
import sys
import time
from asyncio import BaseTransport
from typing import cast

from loops import new_event_loop

MESSAGE = b"x" * 100


class Echo(asyncio.Protocol):
    """The answering end."""

    def connection_made(self, transport: BaseTransport) -> None:
        """Keeps the transport to write to."""
        # Not every loop's transports are subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Writes the bytes back."""
        self.transport.write(data)


class Count(Echo):
    """The asking end: answers each answer with the next message, and counts."""

    round_trips = 0
    received = 0

    def data_received(self, data: bytes) -> None:
        """Counts complete answers."""
        self.received += len(data)
        if self.received == len(MESSAGE):
            self.received = 0
            self.round_trips += 1
            self.transport.write(MESSAGE)


async def connect_pair() -> tuple[asyncio.Server, Count]:
    """Returns a server and the asking end of a TCP connection whose other end echoes."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    _, count = await loop.create_connection(Count, host, port)
    return server, count


async def measure(seconds: float, spin: bool) -> dict[str, float]:
    """Returns round trips and spinner turns per CPU second."""
    server, count = await connect_pair()
    turns = 0

    async def spinner() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    spinning = asyncio.create_task(spinner()) if spin else None
    count.transport.write(MESSAGE)
    await asyncio.sleep(seconds / 4)
    gc.collect()
    before = count.round_trips, turns
    cpu = time.process_time()
    await asyncio.sleep(seconds)
    cpu = time.process_time() - cpu
    figures = {
        "round_trips": (count.round_trips - before[0]) / cpu,
        "turns": (turns - before[1]) / cpu,
    }
    if spinning is not None:
        spinning.cancel()
    count.transport.abort()
    server.close()
    return figures


def main() -> None:
    """Measures the loop of the command line alone and with the spinner."""
    package, seconds = sys.argv[1:]
    figures = {}
    for name, spin in (("alone", False), ("beside", True)):
        with asyncio.Runner(loop_factory=lambda: new_event_loop(package)) as runner:
            figures[name] = runner.run(measure(float(seconds), spin))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
