"""CPython's own tools that look into a process from outside see its tasks (from 3.14 on)."""

from __future__ import annotations

import _asyncio
import asyncio
import gc
import re
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from support.patience import SECONDS

import vivace

pytestmark = pytest.mark.skipif(sys.version_info < (3, 14), reason="the tools came with 3.14")

# Waits for tasks in each of the ways, then lets the tools look.
PROGRAM = """
import asyncio, subprocess, sys, os
import vivace

async def works():
    await asyncio.Event().wait()

async def waits(task):
    await task

async def shields(task):
    await asyncio.shield(task)

async def selects(task):
    await asyncio.wait([task])

async def yields():
    # One that has waited before and now waits for something else.
    gone = asyncio.create_task(asyncio.sleep(0))
    await gone
    await asyncio.Event().wait()

async def groups():
    async with asyncio.TaskGroup() as group:
        first = group.create_task(works(), name="first")
        second = group.create_task(works(), name="second")
        for name, waiting in (
            ("waits", waits(first)),
            ("waits too", waits(first)),
            ("shields", shields(second)),
            ("selects", selects(second)),
            ("yields", yields()),
        ):
            group.create_task(waiting, name=name)
        await asyncio.gather(first, second)

async def main():
    asyncio.create_task(groups(), name="groups").set_name("renamed")
    eager = asyncio.Task(works(), loop=asyncio.get_running_loop(), name="eager", eager_start=True)
    numbered = asyncio.create_task(works())
    # Memory of tasks that are gone is used again.
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(100)))
    for _ in range(100):
        await asyncio.sleep(0)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)

{"asyncio": asyncio.run, "vivace": vivace.run}[sys.argv[1]](main())
"""


def seen(tmp_path: Path, runner: str, tool: str) -> str:
    """What a tool of `python -m asyncio` prints of the program."""
    source = tmp_path / "program.py"
    source.write_text(PROGRAM)
    program = subprocess.Popen(
        [sys.executable, str(source), runner],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
            told = subprocess.run(
                [sys.executable, "-m", "asyncio", tool, str(program.pid)],
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        finally:
            program.kill()
    if "PermissionError" in told.stderr or "AsyncioDebug" in told.stderr:
        assert runner == "asyncio", told.stderr
        pytest.skip("this Python or this machine does not let its tools look")
    assert told.returncode == 0, told.stderr
    return told.stdout


def in_one_order(lines: list[str]) -> list[str]:
    """Sorted, without what differs from run to run: the numbers of most tasks, addresses."""
    unnumbered = (re.sub(r"Task-(?!1\b)\d+", "Task-N", line) for line in lines)
    return sorted(re.sub(r"0x[0-9a-f]+ *", "* ", line).strip("│├└─ ") for line in unnumbered)


def test_the_table_is_that_of_asyncio(tmp_path: Path) -> None:
    def rows(runner: str) -> list[str]:
        # Each begins with the number of the thread.
        lines = seen(tmp_path, runner, "ps").splitlines()[2:]
        return in_one_order([re.sub(r"  +", "  ", line.partition(" ")[2]) for line in lines])

    found = rows("vivace")
    names = {row.removeprefix("* ").split("  ")[0] for row in found}
    assert names >= {"Task-1", "renamed", "first", "waits too", "shields", "eager", "yields"}, found
    assert found == rows("asyncio")


def test_the_tree_is_that_of_asyncio(tmp_path: Path) -> None:
    found = in_one_order(seen(tmp_path, "vivace", "pstree").splitlines())
    assert "(T) waits too" in found
    assert found == in_one_order(seen(tmp_path, "asyncio", "pstree").splitlines())


def awaited_by(future: asyncio.Future[Any]) -> object:
    """What asyncio's own struct says of who waits."""
    return _asyncio.Future._asyncio_awaited_by.__get__(future)  # type: ignore[attr-defined]


def test_what_is_shown_follows_what_happens() -> None:
    async def works() -> None:
        await release.wait()

    async def main() -> None:
        working = asyncio.create_task(works())

        async def waits() -> None:
            await working

        assert asyncio.Task.get_coro(working) is working.get_coro()
        assert awaited_by(working) is None
        waiting = [asyncio.create_task(waits()) for _ in range(3)]
        await asyncio.sleep(0)
        assert awaited_by(working) == set(waiting)
        assert working._asyncio_awaited_by == set(waiting)  # type: ignore[attr-defined]
        release.set()
        await asyncio.gather(*waiting)
        assert not awaited_by(working)
        assert not working._asyncio_awaited_by  # type: ignore[attr-defined]
        alone = asyncio.create_task(asyncio.sleep(0))
        await alone
        assert awaited_by(alone) is None

    release = asyncio.Event()
    vivace.run(main())


def test_what_is_shown_keeps_nothing_alive() -> None:
    class Marker:
        pass

    async def works(marker: Marker) -> None:
        await asyncio.sleep(0)

    async def waits(marker: Marker) -> None:
        await asyncio.create_task(works(marker), name="x" * 100)

    async def main() -> list[weakref.ref[Marker]]:
        kept = []
        for _ in range(3):
            marker = Marker()
            kept.append(weakref.ref(marker))
            await asyncio.create_task(waits(marker))
            # Abandoned while one waits for the other: a cycle, which is found.
            left = asyncio.create_task(waits(marker))
            await asyncio.sleep(0)
            left.cancel()
            del left, marker
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return kept

    gc.disable()
    try:
        assert [reference() for reference in vivace.run(main())] == [None] * 3
    finally:
        gc.enable()


def test_a_cycle_of_a_task_and_what_it_waits_for_is_collected() -> None:
    class Marker:
        pass

    async def waits(marker: Marker, future: asyncio.Future[None]) -> None:
        await future

    loop = vivace.EventLoop()
    loop.set_exception_handler(lambda loop, context: None)
    marker = Marker()
    reference = weakref.ref(marker)
    inner = loop.create_task(waits(marker, loop.create_future()))
    outer = loop.create_task(waits(marker, inner))
    loop.run_until_complete(asyncio.sleep(0))
    del inner, outer, marker
    loop.close()
    gc.collect()
    assert reference() is None
