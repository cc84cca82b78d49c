"""asyncio.Runner and asyncio.run over the loop."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest


def test_runner_uses_the_factory(loop_factory):
    made = []

    def factory():
        made.append(loop_factory())
        return made[-1]

    async def main():
        return asyncio.get_running_loop()

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(main()) is runner.get_loop()
        assert runner.run(main()) is made[0]
    assert len(made) == 1
    assert made[0].is_closed()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio.run takes a factory since 3.12")
def test_asyncio_run(loop_factory):
    async def main():
        return type(asyncio.get_running_loop())

    plain = loop_factory()
    plain.close()
    assert asyncio.run(main(), loop_factory=loop_factory) is type(plain)


def test_what_is_left_at_the_end_is_cancelled(loop_factory):
    seen = []

    async def background():
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(0)
            seen.append("cleaned up")

    async def main():
        background_task.append(asyncio.create_task(background()))
        await asyncio.sleep(0)

    background_task = []
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
        assert seen == []
    assert seen == ["cleaned up"]
    assert background_task[0].cancelled()


def test_a_failure_while_cancelling_is_reported(loop_factory, reports):
    async def background():
        try:
            await asyncio.sleep(100)
        finally:
            raise ZeroDivisionError

    async def main():
        tasks.append(asyncio.create_task(background()))
        await asyncio.sleep(0)

    tasks = []
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.get_loop().set_exception_handler(reports)
        runner.run(main())
    context = reports.take_one()
    assert context["message"] == "unhandled exception during asyncio.run() shutdown"
    assert context["task"] is tasks[0]
    assert isinstance(context["exception"], ZeroDivisionError)


def test_the_default_executor_is_joined(loop_factory):
    released = threading.Event()
    threads = []

    def work():
        threads.append(threading.current_thread())
        released.wait()

    async def main():
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, work)
        loop.call_soon(released.set)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    assert not threads[0].is_alive()


def test_debug(loop_factory):
    async def main():
        return asyncio.get_running_loop().get_debug()

    for debug in (True, False):
        with asyncio.Runner(debug=debug, loop_factory=loop_factory) as runner:
            assert runner.run(main()) is debug


def test_in_another_thread(loop_factory):
    async def main():
        await asyncio.sleep(0.001)
        return threading.current_thread()

    results = []

    def work():
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            results.append(runner.run(main()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [thread]


def test_a_failing_main(loop_factory):
    async def main():
        raise ZeroDivisionError

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        with pytest.raises(ZeroDivisionError):
            runner.run(main())

        async def again():
            return 1

        assert runner.run(again()) == 1


@pytest.mark.skipif(sys.version_info < (3, 13), reason="the class takes a factory since 3.13")
def test_isolated_asyncio_test_case(loop_factory):
    import unittest

    factory = loop_factory

    class Case(unittest.IsolatedAsyncioTestCase):
        loop_factory = staticmethod(factory)

        async def asyncSetUp(self):
            self.value = await asyncio.sleep(0, 5)

        async def test_value(self):
            self.assertEqual(self.value, 5)
            self.addAsyncCleanup(asyncio.sleep, 0)

    result = unittest.TestResult()
    Case("test_value").run(result)
    assert result.wasSuccessful(), result.failures + result.errors
