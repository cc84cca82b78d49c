"""V201: coroutines that are made and never awaited."""

from __future__ import annotations

import sys
from typing import Any

BARE = """
    import asyncio

    async def foo(): pass

    async def main():
        foo()  # <- bare

    asyncio.run(main())
"""

ASSIGNED = """
    import asyncio

    async def foo(): pass

    async def other():
        await foo()

    async def handler():
        c = foo()  # <- made

    async def main():
        await other()
        await handler()
        await handler()

    asyncio.run(main())
"""

GATHER = """
    import asyncio

    async def foo(): pass

    async def main():
        try:
            await asyncio.gather(foo(), 1 / 0)  # <- left
        except ZeroDivisionError:
            pass

    asyncio.run(main())
"""

CYCLE = """
    import asyncio, gc

    async def foo(): pass

    def make():
        box = {}
        box["box"] = box
        box["coro"] = foo()  # <- made

    async def main():
        gc.disable()
        make()
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()  # <- collector

    asyncio.run(main())
"""

CLEAN = """
    import asyncio, gc, warnings

    async def foo(): pass

    async def waits(coro):
        await coro

    async def main():
        foo().close()
        coro = foo()
        task = asyncio.create_task(waits(coro))
        del coro
        await task
        await asyncio.gather(foo(), foo())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            foo()
        gc.collect()

    asyncio.run(main())
"""

UNRUN = """
    async def foo(): pass

    foo()  # <- bare
"""

WARNING = "RuntimeWarning: coroutine 'foo' was never awaited"


def test_a_bare_call_is_named_with_its_line(watch: Any) -> None:
    done = watch(BARE)
    found = done.only("V201")
    assert (found["line"], found["function"], found["exact"]) == (done.line("bare"), "main", True)
    assert found["coro"] == "foo"
    assert found["task"]["coro"] == "main"
    assert f"{done.path}:{done.line('bare')}: {WARNING}" in done.stderr


def test_a_bare_call_deep_in_ordinary_functions(watch: Any) -> None:
    done = watch(
        """
        import asyncio

        class Mailer:
            async def send(self, *to): pass

        def notify(mailer):
            mailer.send(
                "a",  # not awaited
            )  # <- bare

        async def main():
            notify(Mailer())

        asyncio.run(main())
        """
    )
    found = done.only("V201")
    assert found["coro"] == "Mailer.send"
    assert found["function"] == "notify"
    assert found["line"] == done.line("bare") - 2


def test_a_program_that_forgets_to_make_a_loop(watch: Any) -> None:
    done = watch(UNRUN)
    found = done.only("V201")
    assert (found["line"], found["function"], found["exact"]) == (
        done.line("bare"),
        "<module>",
        True,
    )
    assert "asyncio.run(foo())" in str(found["report"])


def test_what_is_assigned_and_lost(watch: Any) -> None:
    done = watch(ASSIGNED)
    first, second = done.of("V201")
    assert first["exact"] is False
    assert "handler" in first["title"]
    [likely] = first["likely"]
    assert (likely["line"], likely["function"]) == (done.line("made"), "handler")
    # From then on coroutines remember where they are made.
    assert (second["exact"], second["line"]) == (True, done.line("made"))
    assert second["function"] == "handler"
    # And the standard warning does not show it.
    assert done.stderr.count(WARNING) == 2
    assert "Coroutine created at" not in done.stderr


def test_an_exception_in_between(watch: Any) -> None:
    done = watch(GATHER)
    found = done.only("V201")
    assert (found["line"], found["exact"]) == (done.line("left"), True)
    expected = "ZeroDivisionError: division by zero"
    assert found["error"] == (expected if sys.version_info >= (3, 12) else "an exception")


def test_the_collectors_line_is_not_blamed(watch: Any) -> None:
    done = watch(CYCLE)
    found = done.only("V201")
    assert found["exact"] is False
    assert "dropped" not in found
    assert "line" not in found
    [likely] = found["likely"]
    assert likely["line"] == done.line("made")
    assert f"program.py:{done.line('collector')} " not in str(found["report"])


def test_clean_programs_hear_nothing(watch: Any) -> None:
    done = watch(CLEAN)
    assert done.untimed == []


def test_off(watch: Any) -> None:
    for source in (BARE, ASSIGNED, GATHER, CYCLE, UNRUN):
        done = watch(source, diag="0")
        assert done.untimed == []
        assert WARNING in done.stderr


def test_the_depth_is_given_back(watch: Any) -> None:
    done = watch(
        """
        import asyncio, sys
        from vivace.see import _tick, _unawaited

        async def foo(): pass

        def lose():
            c = foo()

        async def main():
            lose()
            print(sys.get_coroutine_origin_tracking_depth())
            _unawaited._thread.until = 0.0
            _tick.tick(asyncio.get_running_loop())
            print(sys.get_coroutine_origin_tracking_depth())

        asyncio.run(main())

        async def again():
            lose()
            print(sys.get_coroutine_origin_tracking_depth())

        asyncio.run(again())
        print(sys.get_coroutine_origin_tracking_depth())
        """
    )
    assert done.stdout.split() == ["1", "0", "1", "0"]


def test_a_program_that_sets_the_depth_keeps_it(watch: Any) -> None:
    done = watch(
        """
        import asyncio, sys

        async def foo(): pass

        def lose():
            c = foo()  # <- made

        async def main():
            sys.set_coroutine_origin_tracking_depth(3)
            lose()
            print(sys.get_coroutine_origin_tracking_depth())

        asyncio.run(main())
        print(sys.get_coroutine_origin_tracking_depth())
        """
    )
    assert done.stdout.split() == ["3", "3"]
    # The origin that the program asked for is used, and shown in the warning.
    assert done.only("V201")["line"] == done.line("made")
    assert "Coroutine created at" in done.stderr


def test_the_dear_detectors_know_the_line_at_once(watch: Any) -> None:
    source = ASSIGNED + "    import sys; print(sys.get_coroutine_origin_tracking_depth())\n"
    done = watch(source, diag="dev")
    found = done.of("V201")
    assert [each["line"] for each in found] == [done.line("made")]
    assert done.stdout.split() == ["0"]


def test_debug_mode(watch: Any) -> None:
    done = watch(ASSIGNED.replace("asyncio.run(main())", "asyncio.run(main(), debug=True)"))
    for found in done.of("V201"):
        assert (found["exact"], found["line"]) == (True, done.line("made"))
    assert done.stderr.count("Coroutine created at") == 2


def test_debug_mode_that_comes_later(watch: Any) -> None:
    done = watch(
        """
        import asyncio, sys

        async def foo(): pass

        def lose():
            c = foo()

        async def main():
            lose()
            asyncio.get_running_loop().set_debug(True)
            await asyncio.sleep(0)
            print(sys.get_coroutine_origin_tracking_depth() > 1)

        asyncio.run(main())
        print(sys.get_coroutine_origin_tracking_depth())
        """
    )
    assert done.stdout.split() == ["True", "0"]


def test_warnings_as_errors_are_what_they_were(watch: Any) -> None:
    strict = "import asyncio, warnings; warnings.simplefilter('error')"
    source = BARE.replace("import asyncio", strict)
    with_diagnostics, without = watch(source), watch(source, diag="0")
    assert with_diagnostics.of("V201")
    strip = [line for line in with_diagnostics.stderr.splitlines() if "0x" not in line]
    assert strip == [line for line in without.stderr.splitlines() if "0x" not in line]
    assert WARNING in with_diagnostics.stderr
