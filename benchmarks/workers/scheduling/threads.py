"""Benchmarks of what crosses threads, in elapsed time."""

import threading
from asyncio import AbstractEventLoop

from .registry import benchmark


@benchmark(operations=50_000, clock="wall")
async def call_soon_threadsafe(loop: AbstractEventLoop, operations: int) -> None:
    """One call from another thread that does nothing else, and the callback's run."""
    done = loop.create_future()
    left = operations

    def arrived() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    def call() -> None:
        for _ in range(operations):
            loop.call_soon_threadsafe(arrived)

    caller = threading.Thread(target=call)
    caller.start()
    await done
    caller.join()


@benchmark(operations=3_000, clock="wall")
async def run_in_executor(loop: AbstractEventLoop, operations: int) -> None:
    """One `await run_in_executor(None, ...)` of a function that returns at once."""

    def nothing() -> None:
        pass

    for _ in range(operations):
        await loop.run_in_executor(None, nothing)
