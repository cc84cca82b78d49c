"""V202: tasks that failed and nobody looked."""

from __future__ import annotations

from typing import Any

BEGIN = """
    import asyncio, gc
    from vivace.see import _tick, _unobserved
    _unobserved.LIMIT = 0.2

    kept = []

    async def fail():
        raise KeyError("etag")  # <- raised

    async def looks(times=6):
        for _ in range(times):
            await asyncio.sleep(0.1)
            _tick.tick(asyncio.get_running_loop())

"""

KEPT = (
    BEGIN
    + """
    async def main():
        kept.append(asyncio.create_task(fail(), name="refresh"))  # <- made
        await looks()

    asyncio.run(main())
    assert _unobserved.counters == {"unobserved": 1, "retracted": 0}, _unobserved.counters
    for task in kept:
        task._log_traceback = False
"""
)

GONE = (
    BEGIN
    + """
    async def main():
        asyncio.create_task(fail())  # <- made
        await looks()
        gc.collect()
        await looks(2)

    asyncio.run(main())
"""
)

CLEAN = (
    BEGIN
    + """
    async def main():
        loop = asyncio.get_running_loop()
        # Looked at after a while.
        first = asyncio.create_task(fail())
        await asyncio.sleep(0.15)
        _tick.tick(loop)
        await asyncio.gather(first, return_exceptions=True)
        # Cancelled.
        second = asyncio.create_task(asyncio.sleep(9))
        await asyncio.sleep(0)
        second.cancel()
        kept.append(second)
        # Looked at by a callback.
        third = asyncio.create_task(fail())
        third.add_done_callback(lambda task: task.exception())
        kept.append(third)
        # Awaited.
        fourth = asyncio.create_task(fail())
        try:
            await fourth
        except KeyError:
            pass
        # Of a group.
        try:
            async with asyncio.TaskGroup() as group:
                kept.append(group.create_task(fail()))
        except* KeyError:
            pass
        await looks()

    asyncio.run(main())
"""
)

LATER = (
    BEGIN
    + """
    async def main():
        task = asyncio.create_task(fail())
        await looks()
        assert _unobserved.counters == {"unobserved": 1, "retracted": 0}
        assert _unobserved.pending() == [task]
        try:
            await task
        except KeyError:
            pass
        await looks(2)
        assert _unobserved.counters == {"unobserved": 1, "retracted": 1}
        assert _unobserved.pending() == []

    asyncio.run(main())
"""
)


def test_a_failure_that_is_kept(watch: Any) -> None:
    done = watch(KEPT)
    found = done.only("V202")
    assert (found["line"], found["function"]) == (done.line("raised"), "fail")
    assert found["task"]["name"] == "refresh"
    assert found["task"]["coro"] == "fail"
    assert found["task"]["created"]["line"] == done.line("made")
    assert found["task"]["created"]["function"] == "main"
    assert found["error"] == {"type": "KeyError", "message": "'etag'"}
    assert "never retrieved" not in done.stderr


def test_a_failure_that_is_gone_is_told_once(watch: Any) -> None:
    done = watch(GONE)
    found = done.only("V202")
    assert found["line"] == done.line("raised")
    assert found["task"]["created"]["line"] == done.line("made")
    # asyncio's own message stays what it is.
    assert done.stderr.count("Task exception was never retrieved") == 1


def test_a_failure_that_was_told_and_then_goes(watch: Any) -> None:
    done = watch(
        BEGIN
        + """
    async def main():
        kept.append(asyncio.create_task(fail()))
        await looks()
        kept.clear()
        gc.collect()
        await looks(2)

    asyncio.run(main())
    """
    )
    assert len(done.of("V202")) == 1
    assert done.stderr.count("Task exception was never retrieved") == 1


ENDS = """
    import asyncio

    kept = []

    async def fail():
        raise KeyError("etag")  # <- raised

    async def main():
        kept.append(asyncio.create_task(fail()))  # <- made
        await asyncio.sleep(0)

    asyncio.run(main())
"""


def test_a_program_that_ends_before_anybody_has_looked(watch: Any) -> None:
    done = watch(ENDS)
    found = done.only("V202")
    assert found["line"] == done.line("raised")
    assert found["task"]["created"]["line"] == done.line("made")


def test_a_program_that_looks_when_the_loop_has_ended(watch: Any) -> None:
    assert watch(ENDS + "    print(kept[0].exception())\n").untimed == []


def test_whoever_looks_later_takes_it_back(watch: Any) -> None:
    done = watch(LATER)
    assert len(done.of("V202")) == 1


def test_clean_programs_hear_nothing(watch: Any) -> None:
    assert watch(CLEAN).untimed == []


def test_off(watch: Any) -> None:
    for source in (KEPT, GONE, ENDS):
        source = source.replace("    assert _unobserved.counters", "    0 and _unobserved.counters")
        assert watch(source, diag="0").findings == []


def test_nobody_has_to_ask_for_a_look(watch: Any) -> None:
    done = watch(
        """
        import asyncio
        from vivace.see import _unobserved
        _unobserved.LIMIT = 0.2

        kept = []

        async def fail():
            raise KeyError("etag")  # <- raised

        async def main():
            kept.append(asyncio.create_task(fail()))
            await asyncio.sleep(8)

        asyncio.run(main())
        kept[0].exception()
        """
    )
    assert done.only("V202")["line"] == done.line("raised")
