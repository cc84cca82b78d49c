"""`vivace top` and `vivace ps`: the truth about a process, with and without its help."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .looking import LIMIT, running

SERVER = """
import asyncio

async def child(lock):
    async with lock:  # <- lock
        await asyncio.sleep(1000)  # <- sleep

async def parent(lock):
    await asyncio.gather(  # <- gather
        asyncio.create_task(child(lock), name="first"),
        asyncio.create_task(child(lock), name="second"),
    )

async def main():
    task = asyncio.create_task(parent(asyncio.Lock()), name="parent")
    await asyncio.sleep(1.2)
    print("ready", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


def test_tasks_are_shown_with_what_they_wait_for(tmp_path: Path) -> None:
    with running(tmp_path, SERVER) as program:
        first, second, parent = map(program.task, ["first", "second", "parent"])
        assert (first["kind"], first["line"]) == ("sleep", program.line("sleep"))
        assert (second["kind"], second["line"]) == ("Lock", program.line("lock"))
        assert second["waits"] == 'Lock "lock", held by first'
        assert second["holder"] == first["id"]
        assert 0 < first["age"] < 60
        assert parent["delay"] < 60
        assert parent["kind"] == "gather"
        assert sorted(parent["awaits"]) == sorted([first["id"], second["id"]])
        assert Path(first["file"]) == program.path
        view = program.top()
        assert view["state"] == "running"
        assert view["loops"][0]["phase"] == "polling"
        assert view["snapshot_age"] < 60


def test_ps_draws_who_waits_for_whom(tmp_path: Path) -> None:
    with running(tmp_path, SERVER) as program:
        program.task("second")
        lines = program.vivace("ps", str(program.pid)).splitlines()
        [place] = [n for n, line in enumerate(lines) if line.lstrip("│├└─ ").startswith("parent")]
        assert "├─ first  child" in lines[place + 1]
        assert "└─ second  child" in lines[place + 2]
        assert f"program.py:{program.line('lock')}" in lines[place + 2]


def test_once_has_a_line_for_each_task(tmp_path: Path) -> None:
    with running(tmp_path, SERVER) as program:
        program.task("second")
        text = program.vivace("top", str(program.pid), "--once", "--sort", "task")
        names = [line for line in text.splitlines() if " child " in line]
        assert len(names) == 2
        assert names[0].index("first") == names[1].index("second")
        only = program.vivace("top", str(program.pid), "--once", "--filter", "second")
        [line] = [line for line in only.splitlines() if " child " in line]
        assert " second " in line


STUCK = """
import asyncio, ctypes

async def stuck():
    print("ready", flush=True)
    # Keeps the GIL: PyDLL does not let go of it.
    ctypes.PyDLL(None).usleep(2_000_000_000)  # <- stuck

async def main():
    asyncio.create_task(asyncio.sleep(1000), name="sleeper")
    await asyncio.sleep(1.2)
    await asyncio.create_task(stuck(), name="culprit")

asyncio.run(main())
"""


def test_a_process_that_is_stuck_in_c_with_the_gil_is_seen(tmp_path: Path) -> None:
    with running(tmp_path, STUCK) as program:
        deadline = time.monotonic() + LIMIT
        while (view := program.top())["loops"][0]["running_for"] < 0.3:
            assert time.monotonic() < deadline, view
        seen = view["loops"][0]
        assert seen["phase"] == "running"
        assert seen["current"] == "task"
        assert seen["utilisation"] > 0.9
        assert [task["name"] for task in view["tasks"]].count("sleeper") == 1
        text = program.vivace("doctor", str(program.pid), status=1)
        assert "[PROBLEM]" in text
        assert "is blocked" in text


def test_a_process_that_was_stopped_is_seen(tmp_path: Path) -> None:
    with running(tmp_path, SERVER) as program:
        program.task("second")
        program.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, program.pid, os.WSTOPPED | os.WNOWAIT)
        view = program.top()
        assert view["state"] == "stopped"
        assert {"first", "second", "parent"} <= {task["name"] for task in view["tasks"]}
        assert "the process is stopped" in program.vivace("ps", str(program.pid))


HOSTILE = """
import asyncio

async def main():
    names = ["\\x1b[2J\\x1b]0;x\\x07", "<script>alert(1)</script>", "a\\nb\\rc", "\\u202egnp.exe"]
    tasks = [asyncio.create_task(asyncio.sleep(1000), name=name) for name in names]
    await asyncio.sleep(1.2)
    print("ready", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


def test_hostile_names_are_shown_as_text(tmp_path: Path) -> None:
    with running(tmp_path, HOSTILE) as program:
        program.task("<script>alert(1)</script>")
        for arguments in (["top", "--once"], ["ps"], ["doctor"]):
            text = program.vivace(arguments[0], str(program.pid), *arguments[1:], status=None)
            assert not set("\x1b\x07\r\u202e") & set(text), arguments
        once = program.vivace("top", str(program.pid), "--once")
        assert "\\x1b[2J\\x1b]0;x\\x07" in once
        assert "a\\nb\\x0dc" in once
        assert "<script>alert(1)</script>" in once
        assert "\\u{202e}gnp.exe" in once


@contextmanager
def stranger() -> Iterator[int]:
    """The number of a process that runs no loop."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def test_what_is_wrong_with_the_command_line_is_said(tmp_path: Path) -> None:
    with running(tmp_path, SERVER) as program:
        assert "'me' is not the number of a process" in program.vivace("top", "me", status=2)
        assert "this is no terminal" in program.vivace("top", str(program.pid), status=2)
        gone = program.vivace("ps", "4194303", status=1)
        assert gone.startswith("vivace ps: no process 4194303")
        with stranger() as pid:
            other = program.vivace("top", "--once", str(pid), status=1)
            assert f"process {pid} (" in other
            assert "runs no loop of vivace" in other


def test_the_one_process_that_runs_needs_no_number(tmp_path: Path) -> None:
    with running(tmp_path, SERVER) as program:
        assert f"pid {program.pid}" in program.vivace("ps")


def test_the_file_of_an_earlier_process_is_not_taken_for_this_one(tmp_path: Path) -> None:
    with running(tmp_path, SERVER) as program:
        bytes_of_it = bytearray(program.ring.read_bytes())
        with stranger() as pid:
            bytes_of_it[16:24] = pid.to_bytes(8, "little")
            stale = program.ring.with_name(f"{pid}.ring")
            stale.write_bytes(bytes_of_it)
            text = program.vivace("top", "--once", str(pid), status=1)
            assert "runs no loop of vivace" in text
            assert f"an earlier process of this number has left {stale}" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_refused(tmp_path: Path) -> None:
    import vivace

    with running(tmp_path, SERVER) as program:
        program.task("second")
        # In a child that becomes nobody; the modules are loaded before, as they may lie where
        # nobody else can read.
        code = f"""
            import gettext, locale, os, shutil, socket, sys
            from vivace._cli import top, ps, doctor, metrics
            os.environ.pop("VIVACE_DIAG_DIR")
            os.setgid(65534); os.setuid(65534)
            for command, arguments in ((ps, []), (doctor, []), (top, ["--once"]), (metrics, [])):
                print(command.main([{str(program.pid)!r}, *arguments]), flush=True)
            try:
                open({str(program.ring)!r}, "rb")
            except PermissionError:
                print("no file")
            client = socket.socket(socket.AF_UNIX)
            try:
                client.connect({str(program.ring.with_suffix(".sock"))!r})
            except PermissionError:
                print("no socket")
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env=program.environment | {"PYTHONPATH": str(Path(vivace.__file__).parent.parent)},
        )
        assert done.stdout.split() == "1 3 1 1 no file no socket".split(), done.stderr
        refused = f"process {program.pid} belongs to user 0: become that user, or root"
        assert done.stderr.count(refused) == 4


def test_the_numbers_of_a_busy_loop_add_up(tmp_path: Path) -> None:
    with running(
        tmp_path,
        """
        import asyncio

        async def spin():
            while True:
                await asyncio.sleep(0)

        async def main():
            task = asyncio.create_task(spin(), name="spin")
            await asyncio.sleep(1.2)
            print("ready", flush=True)
            await asyncio.sleep(1000)

        asyncio.run(main())
        """,
    ) as program:
        spin = program.task("spin")
        assert spin["steps"] > 1000
        view = program.top()
        assert view["loops"][0]["utilisation"] > 0.5
        assert view["loops"][0]["steps"] > 1000
        assert json.dumps(view)
