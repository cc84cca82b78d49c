"""Benchmarks of tasks and futures: creating, awaiting, gathering, sleeping."""

import asyncio
from asyncio import AbstractEventLoop

from .registry import benchmark

BATCH = 1000


async def _return_one() -> int:
    return 1


async def _yield_once() -> int:
    await asyncio.sleep(0)
    return 1


@benchmark(operations=30_000)
async def create_await(loop: AbstractEventLoop, operations: int) -> None:
    """`await loop.create_task(...)` of a coroutine that returns at once."""
    for _ in range(operations):
        await loop.create_task(_return_one())


@benchmark(operations=30_000)
async def future(loop: AbstractEventLoop, operations: int) -> None:
    """A future created, awaited, and resolved by a callback."""
    for _ in range(operations):
        waiter = loop.create_future()
        loop.call_soon(waiter.set_result, 1)
        await waiter


@benchmark(operations=40_000)
async def gather(loop: AbstractEventLoop, operations: int) -> None:
    """One of 1000 coroutines given to `gather`, each of which yields once."""
    for _ in range(operations // BATCH):
        await asyncio.gather(*[_yield_once() for _ in range(BATCH)])


@benchmark(operations=40_000)
async def task_group(loop: AbstractEventLoop, operations: int) -> None:
    """One of 1000 tasks of a `TaskGroup`, each of which yields once."""
    for _ in range(operations // BATCH):
        async with asyncio.TaskGroup() as group:
            for _ in range(BATCH):
                group.create_task(_yield_once())


@benchmark(operations=100_000)
async def sleep_zero(loop: AbstractEventLoop, operations: int) -> None:
    """One `sleep(0)` of 100 tasks that do nothing else."""
    tasks = 100

    async def spin(times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0)

    await asyncio.gather(*[spin(operations // tasks) for _ in range(tasks)])


@benchmark(operations=10_000)
async def sleep_time(loop: AbstractEventLoop, operations: int) -> None:
    """One `sleep` of 1 ms of 100 tasks that all sleep as long: one wake-up serves many."""
    tasks = 100

    async def doze(times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0.001)

    await asyncio.gather(*[doze(operations // tasks) for _ in range(tasks)])
