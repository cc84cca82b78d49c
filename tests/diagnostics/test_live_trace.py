"""`vivace trace PID --for TIME`: a process that runs is traced from outside, for a while."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.http_wire import within

from .looking import Program

WORKS = """
    import asyncio

    async def worker():
        while True:
            await asyncio.sleep(0.01)

    async def main():
        tasks = [asyncio.create_task(worker(), name=f"worker-{n}") for n in range(3)]
        await asyncio.sleep(0.05)
        print("ready", flush=True)
        await asyncio.gather(*tasks)

    asyncio.run(main())
"""

LIMIT = 120.0


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A program of three tasks that work all the time."""
    program = Program(tmp_path, WORKS)
    try:
        program.says("ready")
        yield program
    finally:
        program.process.kill()
        program.process.communicate()


def trace(program: Program, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vivace", "trace", *arguments],
        env=program.environment,
        cwd=program.folder,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


def events(path: Path) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads(path.read_text())["traceEvents"]
    return loaded


def test_what_it_does_from_now_on_is_recorded(program: Program) -> None:
    pid = str(program.pid)
    for name in ("a.json", "b.json"):  # once more: the first trace has left nothing behind
        done = trace(program, "-o", name, pid, "--for", "1s")
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("traced 1"), done.stderr
        text = json.dumps(events(program.folder / name))
        for number in range(3):
            assert f"worker-{number}" in text
        # Short steps, which are not kept without having been asked for.
        assert text.count("worker") > 60
    assert not program.ring.with_suffix(".trace").exists()
    assert program.process.poll() is None


def test_the_last_seconds_are_found_wherever_they_are(program: Program) -> None:
    """As the other commands do: in the folder that the process has in its environment."""
    program.environment.pop("VIVACE_DIAG_DIR")
    done = trace(program, "-o", "a.json", "--last", "10s", str(program.pid))
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("traced "), done.stderr


def test_the_page(program: Program) -> None:
    done = trace(program, "--for=300ms", str(program.pid))
    assert done.returncode == 0, done.stderr
    assert "<html" in (program.folder / "trace.html").read_text()[:1000].lower()


def test_the_file_of_a_trace_is_let_go_of(program: Program) -> None:
    done = trace(program, "-o", "a.json", "--for", "200ms", str(program.pid))
    assert done.returncode == 0, done.stderr

    def open_files() -> list[str]:
        folder = Path(f"/proc/{program.pid}/fd")
        return [os.readlink(path) for path in folder.iterdir() if path.is_symlink()]

    within(lambda: not any(".trace" in name for name in open_files()), "the file was closed")


def test_one_at_a_time(program: Program) -> None:
    first = subprocess.Popen(
        [sys.executable, "-m", "vivace", "trace", "--for", "60s", str(program.pid)],
        env=program.environment,
        cwd=program.folder,
        stderr=subprocess.DEVNULL,
    )
    try:
        within(program.ring.with_suffix(".trace").exists, "the trace has begun")
        second = trace(program, "--for", "1s", str(program.pid))
        assert second.returncode == 2
        assert "it is being traced already" in second.stderr
    finally:
        first.kill()
        first.wait()


def test_nothing_stays_if_who_asked_is_killed(program: Program) -> None:
    recording = program.ring.with_suffix(".trace")
    asking = subprocess.Popen(
        [sys.executable, "-m", "vivace", "trace", "--for", "600s", str(program.pid)],
        env=program.environment,
        cwd=program.folder,
        stderr=subprocess.DEVNULL,
    )
    within(recording.exists, "the trace has begun")
    asking.kill()
    asking.wait()
    within(lambda: not recording.exists(), "the recording was removed")
    # It has ended, too: another one may begin.
    done = trace(program, "-o", "a.json", "--for", "200ms", str(program.pid))
    assert done.returncode == 0, done.stderr
    assert not recording.exists()


def test_nothing_stays_if_the_process_is_killed(program: Program, tmp_path: Path) -> None:
    recording = program.ring.with_suffix(".trace")
    asking = subprocess.Popen(
        [sys.executable, "-m", "vivace", "trace", "--for", "600s", str(program.pid)],
        env=program.environment,
        cwd=program.folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    within(recording.exists, "the trace has begun")
    program.process.kill()
    _, said = asking.communicate(timeout=LIMIT)
    assert asking.returncode == 2
    assert f"process {program.pid} does not answer" in said
    # The next process that begins there cleans up.
    (tmp_path / "next").mkdir()
    after = Program(tmp_path / "next", WORKS, VIVACE_DIAG_DIR=str(program.ring.parent))
    try:
        after.says("ready")
        assert not recording.exists()
    finally:
        after.process.kill()
        after.process.communicate()


def test_mistakes(program: Program) -> None:
    pid = str(program.pid)
    for arguments, said in {
        ("--for", "soon", pid): "--for soon: it takes a time",
        ("--for", "2s", "--last", "2s", pid): "goes without --last",
        ("--for", "2s", "script.py"): "takes the number of a process",
        ("--for", "61m", pid): "an hour at most",
        ("--for", "2s", "1"): "process 1",
    }.items():
        done = trace(program, *arguments)
        assert done.returncode != 0
        assert said in done.stderr, (arguments, done.stderr)


def test_nothing_without_diagnostics(tmp_path: Path) -> None:
    program = Program(tmp_path, WORKS, VIVACE_DIAG="0")
    try:
        program.says("ready")
        done = trace(program, "--for", "200ms", str(program.pid))
        assert done.returncode == 2
        assert "runs no loop of vivace" in done.stderr
    finally:
        program.process.kill()
        program.process.communicate()
