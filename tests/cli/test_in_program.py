"""Programs that name vivace themselves: run, new_event_loop, install and the policy."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import unittest

import pytest
from support.patience import SECONDS

import vivace


async def _running() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def python(source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a program that may change its process for good."""
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def test_run_returns_the_result() -> None:
    async def main() -> int:
        await asyncio.sleep(0)
        return 42

    assert vivace.run(main()) == 42


def test_run_uses_and_closes_vivaces_loop() -> None:
    loop = vivace.run(_running())
    assert type(loop) is vivace.EventLoop
    assert loop.is_closed()


def test_run_debug() -> None:
    async def debug() -> bool:
        return asyncio.get_running_loop().get_debug()

    assert vivace.run(debug(), debug=True) is True
    assert vivace.run(debug(), debug=False) is False
    assert vivace.run(debug()) is False


def test_run_with_a_factory() -> None:
    class Own(asyncio.SelectorEventLoop):
        pass

    assert type(vivace.run(_running(), loop_factory=Own)) is Own


def test_run_inside_a_running_loop() -> None:
    async def main() -> None:
        coroutine = _running()
        try:
            with pytest.raises(RuntimeError, match=r"vivace.run\(\) cannot be called"):
                vivace.run(coroutine)
        finally:
            coroutine.close()

    vivace.run(main())


def test_run_passes_exceptions() -> None:
    async def main() -> None:
        raise LookupError("from within")

    with pytest.raises(LookupError, match="from within"):
        vivace.run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="loop_factory came with Python 3.12")
def test_asyncio_run_with_the_factory() -> None:
    loop = asyncio.run(_running(), loop_factory=vivace.new_event_loop)
    assert type(loop) is vivace.EventLoop


def test_runner_with_the_factory() -> None:
    with asyncio.Runner(loop_factory=vivace.new_event_loop) as runner:
        assert type(runner.run(_running())) is vivace.EventLoop
        assert type(runner.get_loop()) is vivace.EventLoop


@pytest.mark.skipif(sys.version_info < (3, 13), reason="loop_factory came with Python 3.13")
def test_unittest_with_the_class() -> None:
    found = []

    class Test(unittest.IsolatedAsyncioTestCase):
        # Not new_event_loop, which being a function would become a method here.
        loop_factory = vivace.EventLoop

        async def test(self) -> None:
            found.append(type(asyncio.get_running_loop()))

    result = unittest.TestResult()
    Test("test").run(result)
    assert result.wasSuccessful()
    assert found == [vivace.EventLoop]


def test_tasks_and_futures_are_vivaces() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert type(asyncio.current_task()) is vivace.Task
        assert type(loop.create_future()) is vivace.Future
        assert issubclass(vivace.Task, asyncio.Task)
        assert issubclass(vivace.Future, asyncio.Future)

    vivace.run(main())


def test_install() -> None:
    # With every warning an error: on 3.14, where policies are deprecated, ours stays silent.
    done = python(
        """
        import asyncio, threading, vivace
        async def running(): return type(asyncio.get_running_loop())
        vivace.install()
        assert asyncio.run(running()) is vivace.EventLoop
        found = []
        thread = threading.Thread(target=lambda: found.append(asyncio.run(running())))
        thread.start(); thread.join()
        assert found == [vivace.EventLoop]
        """,
        "-W",
        "error",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_policy() -> None:
    done = python(
        """
        import asyncio, warnings, vivace
        async def running(): return type(asyncio.get_running_loop())
        with warnings.catch_warnings():
            # Of the program's own use of policies, on 3.14.
            warnings.simplefilter("ignore")
            assert isinstance(vivace.EventLoopPolicy(), asyncio.AbstractEventLoopPolicy)
            assert isinstance(vivace.EventLoopPolicy(), asyncio.DefaultEventLoopPolicy)
            asyncio.set_event_loop_policy(vivace.EventLoopPolicy())
        assert asyncio.run(running()) is vivace.EventLoop
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            asyncio.set_event_loop_policy(None)
        assert asyncio.run(running()) is asyncio.SelectorEventLoop
        """,
        "-W",
        "error",
    )
    assert (done.returncode, done.stderr) == (0, "")
