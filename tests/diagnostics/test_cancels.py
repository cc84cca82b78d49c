"""V220: tasks that ignore being cancelled, and who cancelled them."""

from __future__ import annotations

from typing import Any

BEGIN = """
    import asyncio
    from vivace.see import _cancels, _sites, _tick
    _cancels.LIMIT = 0.2

    async def looks(times=6):
        for _ in range(times):
            await asyncio.sleep(0.1)
            _tick.tick(asyncio.get_running_loop())

"""

IGNORES = (
    BEGIN
    + """
    async def worker():
        while True:
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                break
        await asyncio.sleep(1.5)  # <- goes on

    async def stopper(task):
        await asyncio.sleep(0)
        task.cancel()  # <- cancelled

    async def main():
        task = asyncio.create_task(worker(), name="worker")  # <- made
        await asyncio.create_task(stopper(task), name="stopper")
        await looks()
        by = _sites.canceller(task)
        print(by.task, by.coro, by.site.line, by.site.function)
        await task

    asyncio.run(main())
"""
)

CLEAN = (
    BEGIN
    + """
    async def tidies_up():
        try:
            await asyncio.sleep(99)
        finally:
            await asyncio.sleep(0.6)

    async def tidies_up_and_raises():
        try:
            await asyncio.sleep(99)
        except asyncio.CancelledError:
            await asyncio.sleep(0.6)
            raise

    async def times_out():
        try:
            async with asyncio.timeout(0.05):
                await asyncio.sleep(99)
        except TimeoutError:
            await asyncio.sleep(0.8)

    async def waits_for_another(other):
        try:
            await other
        except asyncio.CancelledError:
            pass

    async def takes_back():
        try:
            await asyncio.sleep(99)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
        await asyncio.sleep(0.8)

    async def main():
        first = asyncio.create_task(tidies_up())
        outer = asyncio.create_task(waits_for_another(first))
        more = [
            asyncio.create_task(each())
            for each in (tidies_up_and_raises, times_out, takes_back)
        ]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        outer.cancel()
        more[0].cancel()
        more[2].cancel()
        await looks(10)
        assert first.done() and outer.done()
        assert _sites.canceller(more[2]) is None
        await asyncio.gather(*more, return_exceptions=True)

    asyncio.run(main())
"""
)


def test_a_task_that_goes_on(watch: Any) -> None:
    done = watch(IGNORES)
    found = done.only("V220")
    assert (found["line"], found["function"]) == (done.line("goes on"), "worker")
    assert found["task"]["name"] == "worker"
    assert found["task"]["created"]["line"] == done.line("made")
    by = found["cancelled_by"]
    assert (by["name"], by["coro"]) == ("stopper", "stopper")
    assert (by["line"], by["function"]) == (done.line("cancelled"), "stopper")
    assert done.stdout.split() == ["stopper", "stopper", str(done.line("cancelled")), "stopper"]


def test_cancelled_outside_of_tasks(watch: Any) -> None:
    done = watch(
        BEGIN
        + """
    def stop(task):
        task.cancel()  # <- cancelled

    async def main():
        task = asyncio.create_task(asyncio.sleep(99))
        asyncio.get_running_loop().call_soon(stop, task)
        await asyncio.wait([task])
        by = _sites.canceller(task)
        print(repr(by.task), by.site.line, by.site.function)

    asyncio.run(main())
    """
    )
    assert done.stdout.split() == ["''", str(done.line("cancelled")), "stop"]
    assert done.untimed == []


def test_a_default_name(watch: Any) -> None:
    done = watch(
        BEGIN
        + """
    async def main():
        task = asyncio.create_task(asyncio.sleep(99))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        print(_sites.canceller(task).task)

    asyncio.run(main())
    """
    )
    assert done.stdout.split() == ["Task-1"]


def test_clean_programs_hear_nothing(watch: Any) -> None:
    assert watch(CLEAN).untimed == []


def test_off(watch: Any) -> None:
    source = IGNORES.replace("by = _sites", "0 and _sites").replace("print(by", "0 and (by")
    assert watch(source, diag="0").findings == []
