"""`vivace metrics`: the numbers of other processes, one or all together, without their help."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .looking import LIMIT, Program, running
from .test_metrics import parsed, samples

#: Makes so many tasks, and then blocks its loop for good, or waits.
PROGRAM = """
    import asyncio, os, sys, time
    import vivace
    from vivace.see._findings import report

    async def main():
        number = int(os.environ["NUMBER"])
        await asyncio.gather(*(asyncio.create_task(asyncio.sleep(0)) for _ in range(number)))
        waiting = [asyncio.create_task(asyncio.sleep(1000)) for _ in range(number)]
        await asyncio.sleep(0)
        report("V202")
        if os.environ.get("AND") == "block":
            with open(os.environ["TEXT"], "w") as file:
                file.write(vivace.metrics_text())
            print("ready", flush=True)
            time.sleep(1000)
        print("ready", flush=True)
        await asyncio.sleep(1000)

    asyncio.run(main())
"""


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Any]:
    """Starts a program with a number of tasks of its own; all share one folder of files."""
    started: list[Program] = []

    def start(number: int, source: str = PROGRAM, **environment: str) -> Program:
        folder = tmp_path / f"program {len(started)}"
        folder.mkdir()
        program = Program(
            folder,
            source,
            NUMBER=str(number),
            VIVACE_DIAG_DIR=str(tmp_path / "rings"),
            **environment,
        )
        started.append(program)
        program.says("ready")
        return program

    yield start
    for program in started:
        program.process.send_signal(signal.SIGCONT)
        program.process.kill()
        program.process.wait(30)
        assert program.process.stdout is not None
        program.process.stdout.close()


def test_the_text_is_that_of_the_process_although_it_is_blocked(
    tmp_path: Path, programs: Any
) -> None:
    text = tmp_path / "text"
    program = programs(5, AND="block", TEXT=str(text))
    own = parsed(text.read_text())
    seen = parsed(program.vivace("metrics", str(program.pid)))
    assert list(seen) == list(own)
    for name in (
        "asyncio_task_created",
        "asyncio_task_completed",
        "asyncio_task_count",
        "asyncio_task_unobserved_errors",
        "asyncio_eventloop_iterations",
    ):
        assert own[name].samples == seen[name].samples, name
    assert samples(seen["asyncio_task_created"], "_total") == {(): 11}
    assert samples(seen["asyncio_task_unobserved_errors"], "_total") == {(): 1}
    # The step that blocks it now is counted as busy.
    assert 0.5 < samples(seen["asyncio_eventloop_utilization_ratio"])[()] <= 1
    os.kill(program.pid, signal.SIGSTOP)
    stopped = parsed(program.vivace("metrics", str(program.pid)))
    assert samples(stopped["asyncio_task_created"], "_total") == {(): 11}


def test_all_are_summed(programs: Any) -> None:
    several = [programs(2), programs(3), programs(5, AND="block", TEXT=os.devnull)]
    families = parsed(several[0].vivace("metrics", "--all"))
    assert samples(families["asyncio_task_created"], "_total") == {(): 3 + 2 * (2 + 3 + 5)}
    assert samples(families["asyncio_task_unobserved_errors"], "_total") == {(): 3}
    count = samples(families["asyncio_task_count"])
    assert count[(("state", "waiting"),)] + count[(("state", "running"),)] == 3 + (2 + 3 + 5)
    delays = samples(families["asyncio_eventloop_delay_seconds"], "_count")[()]
    alone = (parsed(one.vivace("metrics", str(one.pid))) for one in several)
    assert delays == sum(
        samples(one["asyncio_eventloop_delay_seconds"], "_count")[()] for one in alone
    )
    # Shares cannot be added.
    shares = samples(families["asyncio_eventloop_utilization_ratio"])
    assert set(shares) == {(("pid", str(one.pid)),) for one in several}
    assert all(0 <= share <= 1 for share in shares.values())


def test_dead_and_reused_files_are_not_counted(tmp_path: Path, programs: Any) -> None:
    one, dead = programs(2), programs(3)
    dead.process.kill()
    dead.process.wait(30)
    rings = tmp_path / "rings"
    # The file of an earlier process whose number somebody else has now, and no file at all.
    another = subprocess.Popen(["sleep", str(LIMIT)])
    shutil.copy(rings / f"{dead.pid}.ring", rings / f"{another.pid}.ring")
    (rings / "1.ring").write_bytes(b"VIVACERG")
    # A copy is not counted once more.
    shutil.copy(rings / f"{one.pid}.ring", rings / "2.ring")
    try:
        text = one.vivace("metrics", str(another.pid), status=1)
    finally:
        another.kill()
        another.wait()
    assert "runs no loop of vivace" in text
    families = parsed(one.vivace("metrics", "--all"))
    assert samples(families["asyncio_task_created"], "_total") == {(): 5}
    text = one.vivace("metrics", str(dead.pid), status=1)
    assert text == (
        f"vivace metrics: process {dead.pid} is dead; vivace doctor {dead.pid} tells of its end\n"
    )


FORKING = """
    import asyncio, os, signal
    from vivace.see._findings import report

    async def work(number):
        await asyncio.gather(*(asyncio.create_task(asyncio.sleep(0)) for _ in range(number)))
        os.write(ready[1], b"x")
        await asyncio.sleep(1000)

    ready = os.pipe()
    report("V202")
    asyncio.run(asyncio.sleep(0))
    children = []
    for number in (10, 20):
        child = os.fork()
        if not child:
            signal.alarm(100)
            asyncio.run(work(number))
        children.append(child)
    for _ in children:
        os.read(ready[0], 1)
    print("ready", flush=True)
    os.waitpid(children[0], 0)
"""


def test_workers_that_were_forked_count_for_themselves(tmp_path: Path) -> None:
    """As gunicorn and `vivace serve` make them: nothing of the parent is counted twice."""
    with running(tmp_path, FORKING) as program:
        try:
            families = parsed(program.vivace("metrics", "--all"))
        finally:
            for child in children(program.pid):
                os.kill(child, signal.SIGKILL)
        # The parent's loop has ended: that took two tasks more.
        assert samples(families["asyncio_task_created"], "_total") == {(): 3 + 11 + 21}
        assert samples(families["asyncio_task_unobserved_errors"], "_total") == {(): 1}
        shares = samples(families["asyncio_eventloop_utilization_ratio"])
        assert len(shares) == 3


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_several_loops_of_one_process(tmp_path: Path, programs: Any) -> None:
    two = programs(
        0,
        """
        import asyncio, threading, vivace

        async def forever():
            await asyncio.sleep(1000)

        def other():
            vivace.run(forever())

        async def main():
            threading.Thread(target=other, daemon=True).start()
            loop = asyncio.get_running_loop()
            while 'loop="1"' not in vivace.metrics_text():
                await asyncio.sleep(0.01)
            print("ready", flush=True)
            await asyncio.sleep(1000)

        vivace.run(main())
        """,
    )
    one = programs(4)
    alone = parsed(two.vivace("metrics", str(two.pid)))
    created = samples(alone["asyncio_task_created"], "_total")
    assert created == {(("loop", "0"),): 1, (("loop", "1"),): 1}
    families = parsed(one.vivace("metrics", "--all"))
    created = samples(families["asyncio_task_created"], "_total")
    # All are told apart then: a sum of some loops with others would be none.
    assert created == {(("loop", "0"),): 1 + 9, (("loop", "1"),): 1}


def test_the_command_line(tmp_path: Path, programs: Any) -> None:
    environment = os.environ | {"VIVACE_DIAG_DIR": str(tmp_path / "rings")}

    def call(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "vivace", "metrics", *arguments],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env=environment,
        )
        assert bool(done.stdout) == (done.returncode == 0)
        return done.returncode, done.stdout or done.stderr

    none = "vivace metrics: no process of this user runs a loop of vivace, with diagnostics on\n"
    assert call("--all") == (1, none)
    assert call() == (2, none)
    assert call("--all", "1") == (
        2,
        "vivace metrics: give the number of a process, or --all, not both\n",
    )
    assert call("x") == (2, "vivace metrics: 'x' is not the number of a process\n")
    program = programs(1)
    assert parsed(call()[1]) and parsed(call(str(program.pid))[1])
    off = programs(1, VIVACE_DIAG="0")
    status, text = call(str(off.pid))
    assert status == 1
    assert "runs no loop of vivace, or with VIVACE_DIAG=0" in text
    # The diagnostics of the command itself have nothing to do with it.
    environment["VIVACE_DIAG"] = "0"
    assert parsed(call("--all")[1])
