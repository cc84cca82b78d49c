"""Benchmarks of callbacks and timers: `call_soon`, `call_later`, `cancel`."""

from asyncio import AbstractEventLoop, sleep

from .registry import benchmark

BATCH = 1000

# As many as a server with 10,000 connections keeps for their time-outs.
LIVE_TIMERS = 10_000


@benchmark(operations=60_000)
async def call_soon(loop: AbstractEventLoop, operations: int) -> None:
    """A callback schedules itself again: one call and one turn of the loop."""
    done = loop.create_future()
    left = operations

    def again() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(again)
        else:
            done.set_result(None)

    loop.call_soon(again)
    await done


@benchmark(operations=60_000)
async def call_soon_args(loop: AbstractEventLoop, operations: int) -> None:
    """The same with an argument for the callback."""
    done = loop.create_future()

    def again(left: int) -> None:
        if left:
            loop.call_soon(again, left - 1)
        else:
            done.set_result(None)

    loop.call_soon(again, operations)
    await done


@benchmark(operations=200_000)
async def call_soon_burst(loop: AbstractEventLoop, operations: int) -> None:
    """One of 1000 callbacks scheduled in one turn, and its run in the next."""

    def nothing() -> None:
        pass

    call = loop.call_soon
    for _ in range(operations // BATCH):
        for _ in range(BATCH):
            call(nothing)
        await sleep(0)


@benchmark(operations=50_000)
async def timer_fire(loop: AbstractEventLoop, operations: int) -> None:
    """One of 10,000 `call_later` calls, due within 20 ms in mixed order, and its run."""
    timers = min(operations, LIVE_TIMERS)
    delays = [((index * 7919) % timers + 1) / timers * 0.02 for index in range(timers)]
    left = 0
    done = loop.create_future()

    def fired() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    for _ in range(operations // timers):
        left = timers
        done = loop.create_future()
        for delay in delays:
            loop.call_later(delay, fired)
        await done


@benchmark(operations=50_000)
async def timer_cancel(loop: AbstractEventLoop, operations: int) -> None:
    """One of 10,000 `call_later` calls far in the future, and its `cancel` before it is due."""

    def nothing() -> None:
        raise AssertionError("a cancelled timer ran")

    timers = min(operations, LIVE_TIMERS)
    for _ in range(operations // timers):
        handles = [loop.call_later(60 + index * 0.001, nothing) for index in range(timers)]
        for handle in handles:
            handle.cancel()
        await sleep(0)
