"""V230: what is left when a loop ends."""

from __future__ import annotations

from typing import Any

CLOSED = """
    import asyncio

    async def job():
        await asyncio.sleep(99)  # <- waits

    async def main():
        global task
        task = asyncio.create_task(job(), name="job")  # <- made
        await asyncio.sleep(0.01)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
"""

NOT_CLOSED = CLOSED.replace("    loop.close()\n", "")

CANCELLED = """
    import asyncio

    async def job():
        try:
            await asyncio.sleep(99)
        except asyncio.CancelledError:
            await asyncio.sleep(99)

    async def main():
        global task
        task = asyncio.create_task(job())
        await asyncio.sleep(0.01)
        task.cancel()  # <- cancelled
        await asyncio.sleep(0.01)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
"""

THREAD = """
    import asyncio, threading, time
    from vivace.see import _exit, _tick
    _exit.LIMIT = 0.2

    over = threading.Event()

    def work():
        over.wait(30)  # <- waits

    def looks(loop, times):
        _tick.tick(loop)
        if times:
            loop.call_later(0.1, looks, loop, times - 1)
        else:
            over.set()

    async def main():
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, work)
        looks(loop, 6)

    asyncio.run(main())
"""

RUN = """
    import asyncio

    async def job():
        try:
            await asyncio.sleep(99)  # <- waits
        finally:
            await asyncio.sleep(0.01)

    async def main():
        asyncio.create_task(job(), name="job")  # <- made
        await asyncio.to_thread(lambda: None)
        await asyncio.sleep(0.01)

    asyncio.run(main())
"""


def test_a_loop_closed_over_its_tasks(watch: Any) -> None:
    done = watch(CLOSED)
    found = done.only("V230")
    [task] = found["tasks"]
    assert (task["name"], task["coro"]) == ("job", "job")
    assert task["created"]["line"] == done.line("made")
    assert task["waits"]["line"] == found["line"] == done.line("waits")
    assert "cancelled_by" not in task


def test_a_loop_that_is_not_closed(watch: Any) -> None:
    done = watch(NOT_CLOSED)
    [task] = done.only("V230")["tasks"]
    assert task["waits"]["line"] == done.line("waits")


def test_the_canceller_is_named(watch: Any) -> None:
    done = watch(CANCELLED)
    [task] = done.only("V230")["tasks"]
    assert task["cancelled_by"]["coro"] == "main"
    assert task["cancelled_by"]["line"] == done.line("cancelled")


def test_a_thread_that_keeps_the_loop_from_ending(watch: Any) -> None:
    done = watch(THREAD)
    found = done.only("V230")
    [thread] = found["threads"]
    assert (found["line"], found["function"]) == (done.line("waits"), "work")
    assert thread["stack"][0]["function"] == "work"


def test_a_loop_that_only_waits_for_its_thread_is_looked_at_in_time(watch: Any) -> None:
    done = watch(
        """
        import asyncio, time
        from vivace.see import _exit
        _exit.LIMIT = 0.2

        def work():
            time.sleep(3)  # <- waits

        async def main():
            asyncio.get_running_loop().run_in_executor(None, work)

        asyncio.run(main())
        """
    )
    assert done.only("V230")["line"] == done.line("waits")


def test_what_run_cancels_is_no_finding(watch: Any) -> None:
    assert watch(RUN).untimed == []


def test_unless_the_dear_detectors_are_asked(watch: Any) -> None:
    done = watch(RUN, diag="dev")
    found = done.only("V230")
    [task] = found["cancelled"]
    assert task["name"] == "job"
    assert task["created"]["line"] == done.line("made")
    assert task["waits"]["line"] == done.line("waits")


def test_whoever_was_cancelled_before_and_went_on_is_listed_with_his_canceller(watch: Any) -> None:
    done = watch(
        """
        import asyncio

        async def job():
            try:
                await asyncio.sleep(99)
            except asyncio.CancelledError:
                await asyncio.sleep(99)  # <- waits

        async def stop(task):
            task.cancel()  # <- cancelled

        async def main():
            task = asyncio.create_task(job(), name="job")
            await asyncio.sleep(0)
            await asyncio.create_task(stop(task), name="stopper")
            await asyncio.sleep(0)

        asyncio.run(main())
        """,
        diag="dev",
    )
    [task] = done.only("V230")["cancelled"]
    assert (task["name"], task["waits"]["line"]) == ("job", done.line("waits"))
    assert task["cancelled_by"]["name"] == "stopper"
    assert task["cancelled_by"]["line"] == done.line("cancelled")


def test_a_loop_in_a_thread_of_its_own_goes_on_to_the_end(watch: Any) -> None:
    done = watch(
        """
        import asyncio, threading

        async def serves():
            await asyncio.sleep(99)

        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        future = asyncio.run_coroutine_threadsafe(serves(), loop)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05), loop).result()
        """
    )
    assert done.untimed == []


def test_off(watch: Any) -> None:
    for source in (CLOSED, NOT_CLOSED, CANCELLED, THREAD):
        assert watch(source, diag="0").findings == []


def test_a_loop_that_is_never_closed_is_no_error(watch: Any) -> None:
    """It is dropped when the interpreter ends, and nothing can be imported any more."""
    done = watch(
        """
        import asyncio, builtins, vivace

        class Cycle:
            pass

        builtins.kept = Cycle()
        builtins.kept.itself = builtins.kept
        builtins.kept.loop = vivace.new_event_loop()
        builtins.kept.loop.run_until_complete(asyncio.sleep(0))
        """
    )
    assert "Error" not in done.stderr
    assert "Exception ignored" not in done.stderr
