"""V210: tasks that become more and more."""

from __future__ import annotations

from typing import Any

BEGIN = """
    import asyncio
    from vivace.see import _leaks, _tick
    _leaks.INTERVAL = 0.05

    async def looks(times):
        for _ in range(times):
            await asyncio.sleep(0.06)
            _tick.tick(asyncio.get_running_loop())

"""

LEAK = (
    BEGIN
    + """
    ready = None

    async def refresh():
        await ready.wait()  # <- waits

    async def short():
        await asyncio.sleep(0.01)

    async def makes(kept):
        for _ in range(8):
            for _ in range(10):
                kept.append(asyncio.create_task(refresh()))  # <- made
                kept.append(asyncio.create_task(short()))
            await looks(1)

    async def main():
        global ready
        ready = asyncio.Event()
        await makes([])

    asyncio.run(main())
"""
)

CLEAN = (
    BEGIN
    + """
    async def worker():
        await asyncio.sleep(0.03)

    async def stays(event):
        await event.wait()

    async def main():
        event = asyncio.Event()
        kept = []
        # Many, but no more of them.
        for _ in range(200):
            kept.append(asyncio.create_task(stays(event)))
        for _ in range(8):
            # Many, but they end.
            for _ in range(30):
                kept.append(asyncio.create_task(worker()))
            # A few.
            kept.append(asyncio.create_task(stays(event)))
            await looks(1)
        event.set()
        await looks(1)

    asyncio.run(main())
"""
)


def test_a_place_whose_tasks_become_more(watch: Any) -> None:
    done = watch(LEAK)
    found = done.only("V210")
    assert (found["line"], found["function"]) == (done.line("made"), "makes")
    assert found["task"]["coro"] == "refresh"
    assert found["counts"] == sorted(found["counts"])
    assert found["waits"]["line"] == done.line("waits")


def test_clean_programs_hear_nothing(watch: Any) -> None:
    assert watch(CLEAN).untimed == []


def test_off(watch: Any) -> None:
    assert watch(LEAK, diag="0").findings == []


def test_where_a_task_is_made(watch: Any) -> None:
    done = watch(
        """
        import asyncio
        import vivace
        from vivace.see._sites import created

        async def job(): pass

        def say(task):
            print(*(f"{site.function}:{site.line}" for site in created(task)))

        async def main():
            loop = asyncio.get_running_loop()
            say(asyncio.create_task(job()))  # <- 1
            say(loop.create_task(job()))  # <- 2
            say(asyncio.ensure_future(job()))  # <- 3
            async with asyncio.TaskGroup() as group:
                say(group.create_task(job()))  # <- 4
            say(vivace.Task(job(), loop=loop))  # <- 5
            say(asyncio.gather(job())._children[0])  # <- 6
            say(asyncio.current_task())

        asyncio.run(main())  # <- run
        """
    )
    expected = [f"main:{done.line(str(n))}" for n in range(1, 7)]
    assert done.stdout.splitlines() == [*expected, f"<module>:{done.line('run')}"]


def test_ten_frames_with_the_dear_detectors(watch: Any) -> None:
    done = watch(
        """
        import asyncio
        from vivace.see._sites import created

        async def job(): pass

        def inner():
            return asyncio.create_task(job())  # <- inner

        def middle():
            return inner()  # <- middle

        async def main():
            task = middle()  # <- main
            print(*(site.line for site in created(task)[:3]))

        asyncio.run(main())
        """,
        diag="dev",
    )
    assert done.stdout.split() == [str(done.line(mark)) for mark in ("inner", "middle", "main")]


def test_nothing_is_kept_when_off(watch: Any) -> None:
    done = watch(
        """
        import asyncio
        from vivace import _native

        async def main():
            task = asyncio.current_task()
            task.cancel()
            print(_native.see_created(task), _native.see_cancelled(task))
            task.uncancel()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                pass

        asyncio.run(main())
        """,
        diag="0",
    )
    assert done.stdout.split() == ["[]", "None"]
