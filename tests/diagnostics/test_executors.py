"""V120: executors whose threads are all busy while jobs wait."""

from __future__ import annotations

from typing import Any

BEGIN = """
    import asyncio, threading, time
    from vivace.see import _executors, _tick
    _executors.LIMIT = 0.3

    async def looks(times):
        for _ in range(times):
            await asyncio.sleep(0.1)
            _tick.tick(asyncio.get_running_loop())

    over = threading.Event()

    def work():
        over.wait(30)  # <- waits

"""

ANYIO = (
    BEGIN
    + """
    import anyio, anyio.from_thread

    started = []

    async def another():
        return await anyio.to_thread.run_sync(time.time)

    def needs_one_more():
        started.append(1)
        anyio.from_thread.run(another)  # <- needs

    async def main():
        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(anyio.to_thread.run_sync, needs_one_more)
            while len(started) < 40:
                await asyncio.sleep(0.01)
            await looks(6)
            # Nobody would ever end this.
            anyio.to_thread.current_default_thread_limiter().total_tokens = 41

    asyncio.run(main())
"""
)

DEFAULT = (
    BEGIN
    + """
    from concurrent.futures import ThreadPoolExecutor

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(2, thread_name_prefix="pool"))
        jobs = [asyncio.create_task(asyncio.to_thread(work)) for _ in range(5)]
        await looks(6)
        over.set()
        await asyncio.gather(*jobs)

    asyncio.run(main())
"""
)

CLEAN = (
    BEGIN
    + """
    from concurrent.futures import ThreadPoolExecutor

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(2))
        # As many jobs as threads.
        jobs = [asyncio.create_task(asyncio.to_thread(work)) for _ in range(2)]
        await looks(6)
        over.set()
        await asyncio.gather(*jobs)
        # Bursts.
        for _ in range(6):
            await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.01) for _ in range(8)))
            await looks(1)

    asyncio.run(main())
"""
)


def test_anyios_threads(watch: Any) -> None:
    done = watch(ANYIO)
    found = done.only("V120")
    assert found["executor"] == "anyio's threads"
    assert (found["size"], found["busy"], found["waiting"], found["stuck"]) == (40, 40, 40, 40)
    assert (found["line"], found["function"]) == (done.line("needs"), "needs_one_more")
    assert found["longest"]["seconds"] >= 0.3


def test_the_default_executor(watch: Any) -> None:
    done = watch(DEFAULT)
    found = done.only("V120")
    assert found["executor"] == "default executor"
    assert (found["size"], found["busy"], found["waiting"], found["stuck"]) == (2, 2, 3, 2)
    assert (found["line"], found["function"]) == (done.line("waits"), "work")
    assert found["longest"]["thread"].startswith("pool")


def test_clean_programs_hear_nothing(watch: Any) -> None:
    assert watch(CLEAN).untimed == []


def test_off(watch: Any) -> None:
    for source in (ANYIO, DEFAULT):
        assert watch(source, diag="0").findings == []
