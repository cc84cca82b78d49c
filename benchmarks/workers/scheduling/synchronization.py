"""Benchmarks of the standard library's queue, event, lock and time-out on each loop."""

import asyncio
from asyncio import AbstractEventLoop

from .registry import benchmark


@benchmark(operations=20_000)
async def queue(loop: AbstractEventLoop, operations: int) -> None:
    """One item from a producer to a consumer through a `Queue(1)`: a put and a get."""
    items: asyncio.Queue[int] = asyncio.Queue(1)

    async def produce() -> None:
        for item in range(operations):
            await items.put(item)

    producer = loop.create_task(produce())
    for _ in range(operations):
        await items.get()
    await producer


@benchmark(operations=20_000)
async def event(loop: AbstractEventLoop, operations: int) -> None:
    """One round trip of two tasks that wake each other by an `Event` each."""
    ping = asyncio.Event()
    pong = asyncio.Event()

    async def answer() -> None:
        for _ in range(operations):
            await ping.wait()
            ping.clear()
            pong.set()

    answering = loop.create_task(answer())
    for _ in range(operations):
        ping.set()
        await pong.wait()
        pong.clear()
    await answering


@benchmark(operations=20_000)
async def lock(loop: AbstractEventLoop, operations: int) -> None:
    """One `async with lock` of two tasks that always wait for each other."""
    shared = asyncio.Lock()

    async def contend() -> None:
        for _ in range(operations // 2):
            async with shared:
                await asyncio.sleep(0)

    await asyncio.gather(contend(), contend())


@benchmark(operations=20_000)
async def timeout(loop: AbstractEventLoop, operations: int) -> None:
    """One `async with timeout(10)` around a `sleep(0)`."""
    for _ in range(operations):
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
