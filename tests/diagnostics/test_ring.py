"""The file of a process: who can read it, when it is removed, what becomes of it in a fork."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LIST = """
    import os, stat, vivace
    folder = os.environ["VIVACE_DIAG_DIR"]

    async def main():
        for name in sorted(os.listdir(folder)):
            about = os.stat(os.path.join(folder, name))
            print(name.replace(str(os.getpid()), "PID"), oct(stat.S_IMODE(about.st_mode)))
"""


def test_there_is_a_file_while_a_loop_runs_and_none_after(watch: Any, tmp_path: Path) -> None:
    done = watch(LIST + "    vivace.run(main())\n    vivace.run(main())\n")
    assert done.stdout == "PID.ring 0o600\nPID.sock 0o600\n" * 2
    rings = tmp_path / "rings"
    assert list(rings.iterdir()) == []
    assert stat.S_IMODE(rings.stat().st_mode) == 0o700


def test_there_is_no_file_when_off(watch: Any, tmp_path: Path) -> None:
    (tmp_path / "rings").mkdir()
    assert watch(LIST + "    vivace.run(main())\n", diag="0").stdout == ""


def test_a_folder_that_others_may_write_in_is_not_used(watch: Any, tmp_path: Path) -> None:
    rings = tmp_path / "rings"
    rings.mkdir()
    rings.chmod(0o777)
    done = watch(LIST + "    vivace.run(main())\n")
    assert done.stdout == ""
    assert f"vivace: VIVACE_DIAG_DIR={rings}: other users may write in it" in done.stderr


def test_a_link_in_place_of_the_file_is_not_followed(watch: Any, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("keep me")
    done = watch(
        """
        import os, vivace
        folder = os.environ["VIVACE_DIAG_DIR"]
        os.mkdir(folder, 0o700)
        os.symlink(os.path.dirname(folder) + "/precious", f"{folder}/{os.getpid()}.ring")

        async def main():
            print(os.path.islink(f"{folder}/{os.getpid()}.ring"))

        vivace.run(main())
        """
    )
    assert done.stdout == "False\n"
    assert target.read_text() == "keep me"


def test_a_forked_child_has_a_file_of_its_own(watch: Any) -> None:
    done = watch(
        """
        import asyncio, os, vivace
        folder = os.environ["VIVACE_DIAG_DIR"]

        def bytes_of(pid):
            # The pages that the parent alone writes: all but the counters of its loop.
            with open(f"{folder}/{pid}.ring", "rb") as file:
                return file.read(4096)

        async def in_child(parent, before):
            await asyncio.sleep(0.01)
            assert os.path.exists(f"{folder}/{os.getpid()}.ring")
            assert bytes_of(os.getpid())[16:24] == os.getpid().to_bytes(8, "little")
            assert bytes_of(parent) == before

        async def main():
            parent = os.getpid()
            before = bytes_of(parent)
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    asyncio._set_running_loop(None)
                    vivace.run(in_child(parent, before))
                    status = 0
                finally:
                    os._exit(status)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            print(status, bytes_of(parent) == before)

        vivace.run(main())
        """
    )
    assert done.stdout == "0 True\n"


def test_tasks_are_written_down_in_a_child_that_was_forked_while_they_were(watch: Any) -> None:
    done = watch(
        """
        import asyncio, os, sys
        from vivace.see import _snapshot

        async def main():
            await asyncio.sleep(0)

        # As by another thread, in the midst of it.
        assert _snapshot._one.acquire(blocking=False)
        child = os.fork()
        if child == 0:
            asyncio.run(main())
            print(_snapshot.take())
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)
        print(_snapshot.take())
        """
    )
    assert done.stdout == "True\nFalse\n"


def test_a_loop_that_ran_when_the_process_forked_does_no_harm_in_the_child(watch: Any) -> None:
    done = watch(
        """
        import asyncio, os, vivace
        folder = os.environ["VIVACE_DIAG_DIR"]
        parent = os.getpid()

        async def main():
            with open(f"{folder}/{parent}.ring", "rb") as file:
                child = os.fork()
                if child == 0:
                    # Returns into the loop, whose probes go on.
                    return
                os.waitpid(child, 0)
                file.seek(16)
                print(file.read(8) == parent.to_bytes(8, "little"))
                assert os.path.exists(f"{folder}/{parent}.ring")

        try:
            vivace.run(main())
        finally:
            if os.getpid() != parent:
                os._exit(0)
        """
    )
    assert done.stdout == "True\n"


SLEEPER = """
import asyncio, os, vivace
async def main():
    print("ready", flush=True)
    await asyncio.sleep(60)
vivace.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_what_was_killed_leaves_its_file(tmp_path: Path, number: signal.Signals) -> None:
    rings = tmp_path / "rings"
    environment = os.environ | {"VIVACE_DIAG_DIR": str(rings)}
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER], env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        process.wait(30)
    [left] = rings.glob("*.ring")
    assert left.name == f"{process.pid}.ring"
    # The next one to come lets it be, as it is for the doctor; but not the socket.
    run = [sys.executable, "-c", SLEEPER.replace("60", "0")]
    subprocess.run(run, env=environment, check=True, timeout=60, stdout=subprocess.DEVNULL)
    assert list(rings.iterdir()) == [left]


def test_of_many_that_were_killed_the_last_are_kept(tmp_path: Path) -> None:
    rings = tmp_path / "rings"
    environment = os.environ | {"VIVACE_DIAG_DIR": str(rings)}
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER], env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    [left] = rings.glob("*.ring")
    for number in range(30):
        copy = rings / f"{number}-copy.ring"
        copy.write_bytes(left.read_bytes()[:400_000])
        os.utime(copy, (1e9, 1e9))
    run = [sys.executable, "-c", SLEEPER.replace("60", "0")]
    subprocess.run(run, env=environment, check=True, timeout=60, stdout=subprocess.DEVNULL)
    assert list(rings.iterdir()) == [left]
