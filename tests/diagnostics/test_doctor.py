"""`vivace doctor`, the socket and the page: what is wrong, also after the end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from .looking import LIMIT, Program, running

BLOCKED = """
import asyncio, time

async def block():
    await asyncio.sleep(1.2)
    print("ready", flush=True)
    time.sleep(1000)  # <- block

async def main():
    await asyncio.create_task(block(), name="culprit")

asyncio.run(main())
"""

FINE = """
import asyncio

async def main():
    task = asyncio.create_task(asyncio.sleep(1000), name="sleeper")
    await asyncio.sleep(1.2)
    print("ready", flush=True)
    try:
        await task
    except asyncio.CancelledError as error:
        print(*error.args, flush=True)

asyncio.run(main())
"""


def blocked_for(program: Program, seconds: float) -> None:
    deadline = time.monotonic() + LIMIT
    while program.top()["loops"][0]["running_for"] < seconds:
        assert time.monotonic() < deadline


def test_a_process_in_order_gets_a_clean_bill(tmp_path: Path) -> None:
    with running(tmp_path, FINE) as program:
        text = program.vivace("doctor", str(program.pid), status=0)
        assert "0 problems" in text
        assert "[ok] blocked loop" in text
        assert "[PROBLEM]" not in text
        told = json.loads(program.vivace("doctor", "--json", str(program.pid)))
        assert {check["verdict"] for check in told["checks"]} == {"ok"}


def test_what_was_killed_during_a_block_is_named(tmp_path: Path) -> None:
    with running(tmp_path, BLOCKED) as program:
        deadline = time.monotonic() + LIMIT
        while not [finding for finding in program.top()["findings"] if finding["code"] == "V101"]:
            assert time.monotonic() < deadline
        program.process.kill()
        program.process.wait(30)
        for target in (str(program.pid), str(program.ring)):
            text = program.vivace("doctor", target, status=1)
            assert "[PROBLEM] the process ended without cleaning up" in text
            assert "the process is dead" in text
            assert "loop 0 was in culprit block" in text
            assert "before its last sign of life: V101 LOOP BLOCKED" in text
            assert f"program.py:{program.line('block')}" in text
        assert "culprit  block" in program.vivace("ps", str(program.pid))


ENDING = """
import asyncio, os, time

async def block():
    print("ready", flush=True)
    while not os.path.exists(__file__ + ".end"):
        time.sleep(0.01)

async def main():
    await asyncio.sleep(1.2)
    await asyncio.create_task(block(), name="culprit")
    print("over", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


def test_a_block_that_lasts_is_a_problem_and_then_no_more(tmp_path: Path) -> None:
    with running(tmp_path, ENDING) as program:
        blocked_for(program, 0.2)
        text = program.vivace("doctor", str(program.pid), status=1)
        assert "[PROBLEM] loop 0 is blocked, for" in text
        (tmp_path / "program.py.end").touch()
        program.says("over")
        assert "is blocked, for" not in program.vivace("doctor", str(program.pid), status=None)


@pytest.mark.parametrize(
    "content", [b"", b"VIVACERG", b"x" * 100_000, b"VIVACERG" + b"\xff" * 100_000]
)
def test_what_is_no_ring_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.ring"
    path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "vivace", "doctor", str(path)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 3
    [line] = done.stderr.splitlines()
    assert line.startswith(f"vivace doctor: {path}: it ")


def ask(program: Program, **request: Any) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(LIMIT)
        client.connect(str(program.ring.with_suffix(".sock")))
        client.sendall(json.dumps(request).encode() + b"\n")
        answer: dict[str, Any] = json.loads(client.makefile().readline())
        return answer


def test_the_socket_answers_freshly(tmp_path: Path) -> None:
    with running(tmp_path, FINE) as program:
        answer = ask(program, do="doctor")
        assert answer["fresh"] is True
        assert "0 problems" in answer["text"]
        view = ask(program, do="view")["view"]
        assert view["snapshot_age"] < 5
        assert "sleeper" in [task["name"] for task in view["tasks"]]
        assert "sleeper" in ask(program, do="ps")["text"]
        assert "error" in ask(program, do="eval", code="1/0")
        mode = program.ring.with_suffix(".sock").stat().st_mode
        assert mode & 0o777 == 0o600


def test_the_socket_answers_while_the_loop_is_blocked_and_says_so(tmp_path: Path) -> None:
    with running(tmp_path, BLOCKED) as program:
        blocked_for(program, 0.1)
        answer = ask(program, do="doctor")
        assert answer["fresh"] is False
        assert "is blocked" in answer["text"]


def test_tasks_are_cancelled_only_if_that_was_allowed(tmp_path: Path) -> None:
    with running(tmp_path, FINE) as program:
        number = program.task("sleeper")["id"]
        assert "VIVACE_CONTROL=1" in ask(program, do="cancel", task=number)["error"]
    with running(tmp_path, FINE, VIVACE_CONTROL="1") as program:
        assert "no task has the number" in ask(program, do="cancel", task=10**9)["text"]
        number = program.task("sleeper")["id"]
        assert ask(program, do="cancel", task=number)["text"] == "asked sleeper to cancel"
        program.process.wait(LIMIT)
        assert program.process.returncode == 0
        assert not program.ring.exists()
        assert not program.ring.with_suffix(".sock").exists()


def test_sigquit_asks_the_doctor(tmp_path: Path) -> None:
    with running(tmp_path, BLOCKED) as program:
        blocked_for(program, 0.2)
        program.process.send_signal(signal.SIGQUIT)
        deadline = time.monotonic() + LIMIT
        while "tasks:" not in program.stderr():
            assert time.monotonic() < deadline
            assert program.process.poll() is None
        assert "vivace doctor" in program.stderr()
        assert "is blocked" in program.stderr()


def test_sigquit_with_nobody_at_standard_error(tmp_path: Path) -> None:
    unheard = """
import os
reading, writing = os.pipe()
os.dup2(writing, 2)
os.close(reading)
"""
    with running(tmp_path, unheard + FINE) as program:
        program.process.send_signal(signal.SIGQUIT)
        for _ in range(5):
            assert ask(program, do="refresh")["fresh"]
            program.process.send_signal(signal.SIGQUIT)


@pytest.mark.parametrize("diag", ["0", "1"])
def test_a_program_with_its_own_sigquit_keeps_it(tmp_path: Path, diag: str) -> None:
    source = FINE.replace("import asyncio\n", "import asyncio, signal\n").replace(
        "async def main():",
        "async def main():\n"
        "    loop = asyncio.get_running_loop()\n"
        "    loop.add_signal_handler(signal.SIGQUIT, lambda: task.cancel('mine'))",
    )
    with running(tmp_path, source, VIVACE_DIAG=diag) as program:
        program.process.send_signal(signal.SIGQUIT)
        program.says("mine")
        assert "vivace doctor" not in program.stderr()


def test_without_diagnostics_sigquit_ends_the_program(tmp_path: Path) -> None:
    with running(tmp_path, FINE, VIVACE_DIAG="0") as program:
        program.process.send_signal(signal.SIGQUIT)
        program.process.wait(LIMIT)
        assert program.process.returncode == -signal.SIGQUIT
        assert not (tmp_path / "rings").exists()


def test_a_program_asks_about_itself(watch: Any) -> None:
    done = watch(
        """
        import asyncio, vivace

        async def main():
            task = asyncio.create_task(asyncio.sleep(1000), name="sleeper")
            await asyncio.sleep(0)
            told = vivace.diagnostics()
            print([task["kind"] for task in told["tasks"] if task["name"] == "sleeper"])
            print(told["state"], len(told["loops"]), {check["verdict"] for check in told["checks"]})

        vivace.run(main())
        """
    )
    assert done.stdout == "['sleep']\nrunning 1 {'ok'}\n"
    assert watch("import vivace\nprint(vivace.diagnostics())\n", diag="0").stdout == "{}\n"


def get(url: str, **headers: str) -> tuple[int, str, Any]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as response:
            return response.status, response.read().decode(), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers


def page_of(program: Program) -> str:
    [line] = [line for line in program.stderr().splitlines() if "the page of process" in line]
    return line.rpartition(" ")[2]


def test_the_page_needs_its_token(tmp_path: Path) -> None:
    with running(tmp_path, BLOCKED, "--web=127.0.0.1:0") as program:
        blocked_for(program, 0.1)
        url = page_of(program)
        base, _, token = url.partition("/?token=")
        assert len(token) == 32
        status, body, headers = get(url)
        assert (status, headers.get_content_type()) == (200, "text/html")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert token not in body
        status, body, _ = get(f"{base}/view?token={token}")
        told = json.loads(body)
        assert (status, told["fresh"], told["view"]["pid"]) == (200, False, program.pid)
        for bad in ("/", "/view", "/?token=", f"/?token={token[:-1]}", f"/?token={'0' * 32}"):
            assert get(base + bad)[0] == 403, bad
        assert get(url, Host="evil.example")[0] == 403
        assert get(url, Origin="http://evil.example")[0] == 403
        assert get(url, Origin=base)[0] == 200


@pytest.mark.parametrize("where", ["0.0.0.0:0", "example.org:80", "8000"])
def test_the_page_is_for_this_machine_alone(tmp_path: Path, where: str) -> None:
    program = Program(tmp_path, FINE, f"--web={where}")
    try:
        assert program.process.wait(LIMIT) == 2
        assert f"--web takes an address of this machine, such as 127.0.0.1:8100, not {where!r}" in (
            program.stderr()
        )
    finally:
        program.process.kill()
        assert program.process.stdout is not None
        program.process.stdout.close()


def test_forking_is_not_warned_of(watch: Any) -> None:
    """The threads of the diagnostics are not there while Python forks, and are afterwards."""
    done = watch(
        """
        import asyncio, os, vivace, warnings
        warnings.simplefilter("error")

        def names():
            folder = f"/proc/{os.getpid()}/task"
            return sorted(open(f"{folder}/{n}/comm").read().strip() for n in os.listdir(folder))

        OURS = ["vivace-attend", "vivace-watchdog"]

        async def main():
            # A thread gets its name when it has begun.
            while [name for name in names() if name in OURS] != OURS:
                await asyncio.sleep(0.01)
            for _ in range(3):
                child = os.fork()
                if child == 0:
                    os._exit(len(names()) - 1)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
                # They begin again with the next turn.
                await asyncio.sleep(0.01)
                while [name for name in names() if name in OURS] != OURS:
                    await asyncio.sleep(0.01)

        vivace.run(main())
        """,
        status=None,
    )
    assert done.status == 0, done.stderr
    assert "DeprecationWarning" not in done.stderr
