"""The plugin for pytest, in a pytest of its own: what fails a test, and what does not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

# Ends a hang; no test depends on it.
LIMIT = 120.0

Check = Callable[..., str]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Runs pytest on a file and returns its output; `outcomes` are its counts."""

    def check(source: str, *flags: str, **outcomes: int) -> str:
        path = tmp_path / "test_it.py"
        path.write_text("import asyncio\nimport pytest\n" + textwrap.dedent(source))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "vivace.pytest_plugin"),
                *("-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", os.devnull),
                *flags,
                str(path),
            ],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            cwd=tmp_path,
            env=os.environ | {"VIVACE_DIAG_DIR": str(tmp_path / "rings")},
        )
        found = {
            word.rstrip("s"): int(count)
            for count, word in re.findall(r"(\d+) (passed|failed|errors?)", done.stdout)
        }
        assert found == outcomes, done.stdout + done.stderr
        return done.stdout + done.stderr

    return check


def line_of(source: str, mark: str) -> int:
    lines = textwrap.dedent(source).splitlines()
    # Two lines of imports stand before.
    [number] = [n for n, line in enumerate(lines, 3) if line.endswith(f"# <- {mark}")]
    return number


LEAK = """
    async def worker():
        await asyncio.Event().wait()  # <- waits

    async def main():
        asyncio.create_task(worker(), name="left")
        await asyncio.sleep(0)

    def test_leaks():
        asyncio.run(main())

    def test_waits_for_its_tasks():
        async def main():
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0))
            cancelled = asyncio.create_task(worker())
            await asyncio.sleep(0)
            cancelled.cancel()
        asyncio.run(main())

    @pytest.mark.vivace_allow("V210")
    def test_may_leak():
        asyncio.run(main())
"""


def test_a_leaked_task_fails_the_test(check: Check) -> None:
    text = check(LEAK, passed=2, failed=1)
    assert "V210 TASK LEAK left worker() is left pending: Event at " in text
    assert f"test_it.py:{line_of(LEAK, 'waits')}" in text


def test_a_coroutine_that_nobody_awaits_fails_the_test(check: Check) -> None:
    source = """
    async def send():
        pass

    def test_forgets():
        async def main():
            send()
        asyncio.run(main())

    def test_awaits():
        asyncio.run(send())
    """
    text = check(source, "-W", "ignore", passed=1, failed=1)
    assert "V201 NEVER AWAITED" in text
    assert "send()" in text


def test_the_warning_of_a_lost_coroutine_stays_at_its_line(check: Check) -> None:
    source = """
    async def send():
        pass

    @pytest.mark.vivace_allow("V201")
    def test_forgets():
        async def main():
            send()  # <- lost
        asyncio.run(main())
    """
    text = check(source, passed=1)
    assert f"test_it.py:{line_of(source, 'lost')}: RuntimeWarning: coroutine 'send' was" in text


def test_a_code_that_is_none_is_refused(check: Check) -> None:
    source = """
    @pytest.mark.vivace_allow("V999")
    def test_passes():
        pass
    """
    assert "ERROR: test_it.py::test_passes: vivace_allow('V999'): no such code" in check(source)


def test_nothing_is_looked_at_when_off(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVACE_DIAG", "0")
    source = """
    import os, time

    async def worker():
        await asyncio.Event().wait()

    def test_does_everything_wrong():
        async def main():
            worker()
            asyncio.create_task(worker())
            await asyncio.sleep(0)
            time.sleep(0.2)
            os.stat("/")
        asyncio.run(main())
    """
    text = check(source, "-v", "--vivace-strict", passed=1)
    assert "vivace: nothing is looked at (VIVACE_DIAG=0)" in text


def test_blocking_the_loop_fails_the_test(check: Check) -> None:
    source = """
    import time

    def test_blocks():
        async def main():
            time.sleep(0.5)  # <- blocks
        asyncio.run(main())

    def test_does_not():
        asyncio.run(asyncio.sleep(0.01))

    @pytest.mark.vivace_allow("V101")
    def test_may_block():
        async def main():
            time.sleep(0.5)
        asyncio.run(main())
    """
    text = check(source, passed=2, failed=1)
    assert "Failed: V101 LOOP BLOCKED" in text
    assert f"test_it.py:{line_of(source, 'blocks')}" in text


def test_a_finding_fails_the_test_each_time(check: Check) -> None:
    source = """
    from vivace.see._findings import report

    @pytest.mark.parametrize("number", range(2))
    def test_blocks(number):
        report("V101", "1 s", place="a.py:1", lines=[("do", "nothing")])

    def test_has_other_findings():
        report("V230", "something", place="a.py:1")
    """
    text = check(source, failed=2, passed=1)
    assert "V101 LOOP BLOCKED 1 s\n  do     nothing" in text


DEADLOCK = """
    async def transfer(mine, theirs):
        async with mine:
            await asyncio.sleep(0)
            async with theirs:
                pass

    async def main():
        a, b = asyncio.Lock(), asyncio.Lock()
        both = transfer(a, b), transfer(b, a)
        tasks = [asyncio.ensure_future(one) for one in both]
        for _ in range(100):
            await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()

    def test_deadlock():
        asyncio.run(main())
"""


def test_a_deadlock_fails_the_test(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVACE_DIAG_DEADLOCK", "0.2")
    assert "V301 DEADLOCK (certain) 2 tasks" in check(DEADLOCK, failed=1)


BLOCKING = """
    import os, socket, time, threading

    def run(function):
        async def main():
            return function()  # <- calls
        return asyncio.run(main())

    def read():
        with open(__file__) as file:  # <- opens
            return file.read()

    def look():
        return os.stat(__file__)  # <- stats

    def sleep():
        time.sleep(0.001)  # <- sleeps

    def receive():
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.send(b"x")
            return ours.recv(1)

    @pytest.mark.parametrize("function", [read, look, sleep, receive])
    def test_blocks(function):
        run(function)
"""


def test_strict_raises_before_it_blocks(check: Check) -> None:
    text = check(BLOCKING, "--vivace-strict", failed=4)
    for title, mark in [("open()", "opens"), ("os.stat()", "stats"), ("time.sleep()", "sleeps")]:
        assert re.search(
            rf"BlockingCallError: {re.escape(title)} blocks the event loop: "
            rf"\S*test_it.py:{line_of(BLOCKING, mark)} in ",
            text,
        ), text
    assert "BlockingCallError: socket.send() blocks the event loop" in text


def test_without_strict_nothing_is_replaced(check: Check) -> None:
    check(BLOCKING, passed=4)


HARMLESS = """
    import io, logging, os, pathlib, queue, socket, sys, threading, time

    async def in_a_thread():
        assert await asyncio.to_thread(lambda: pathlib.Path(__file__).read_text())
        await asyncio.to_thread(time.sleep, 0.001)
        await asyncio.get_running_loop().run_in_executor(None, os.stat, __file__)

    async def imports():
        import this_is_imported_in_a_coroutine as module
        assert module.read

    async def logs(tmp_path):
        handler = logging.FileHandler(tmp_path / "log", delay=True)
        logger = logging.getLogger("harmless")
        logger.addHandler(handler)
        logger.warning("written")
        logger.removeHandler(handler)
        handler.close()

    async def asserts():
        import pytest
        with pytest.raises(AssertionError):
            assert [1, 2, 3] == [1, 2, 4]

    async def is_allowed():
        os.stat(__file__)  # vivace: blocking-ok

    async def uses_streams():
        async def answer(reader, writer):
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("localhost", port)
            writer.write(b"line\\n")
            assert await reader.readline() == b"line\\n"
            writer.close()
            await writer.wait_closed()

    async def uses_sockets_that_do_not_block():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            theirs.setblocking(False)
            theirs.send(b"x")
            assert await loop.sock_recv(ours, 1) == b"x"

    async def runs_processes():
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
        assert await process.wait() == 0

    async def starts_threads():
        thread = threading.Thread(target=int)
        thread.start()
        await asyncio.to_thread(thread.join)

    async def uses_what_is_there():
        jobs = queue.Queue()
        jobs.put(1)
        assert jobs.get() == 1
        done = threading.Event()
        done.set()
        done.wait()
        time.sleep(0)
        io.StringIO("x").read()
        raise_and_show()

    def raise_and_show():
        import traceback
        try:
            raise ValueError
        except ValueError:
            assert "raise ValueError" in traceback.format_exc()

    @pytest.mark.parametrize("function", [
        in_a_thread, imports, asserts, is_allowed, uses_streams, uses_sockets_that_do_not_block,
        runs_processes, starts_threads, uses_what_is_there,
    ])
    def test_is_harmless(function):
        asyncio.run(function())

    def test_logs(tmp_path):
        asyncio.run(logs(tmp_path))

    def test_outside_of_a_loop():
        time.sleep(0.001)
        os.stat(__file__)
"""


def test_strict_lets_through_what_does_no_harm(check: Check, tmp_path: Path) -> None:
    (tmp_path / "this_is_imported_in_a_coroutine.py").write_text(
        "import os\nwith open(__file__) as file:\n    read = file.read()\nos.stat(__file__)\n"
    )
    check(HARMLESS, "--vivace-strict", passed=11)


RACE = """
    class Account:
        balance = 0

        async def credit(self):
            balance = self.balance
            await asyncio.sleep(0)
            self.balance = balance + 1

    def test_races():
        async def main():
            account = Account()
            await asyncio.gather(account.credit(), account.credit())
        asyncio.run(main())
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="races need sys.monitoring")
def test_a_race_fails_the_test(check: Check) -> None:
    check(RACE, passed=1)
    text = check(RACE, "--vivace-races", "--vivace-fuzz-schedule=7", failed=1)
    assert "V501 AWAIT RACE Account.credit test_it.py:" in text
    assert "(order of tasks: --vivace-fuzz-schedule=7)" in text


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="races can be looked for")
def test_older_pythons_refuse_to_look_for_races(check: Check) -> None:
    assert "ERROR: --vivace-races needs Python 3.12" in check(RACE, "--vivace-races")


def test_the_seed_is_in_the_header(check: Check) -> None:
    source = """
    def test_order():
        async def main():
            order, ready = [], asyncio.Event()
            async def worker(number):
                await ready.wait()
                order.append(number)
            tasks = [asyncio.create_task(worker(number)) for number in range(20)]
            await asyncio.sleep(0)
            ready.set()
            await asyncio.gather(*tasks)
            return order
        first = asyncio.run(main())
        assert first == asyncio.run(main())
        assert first != list(range(20))
    """
    text = check(source, "-v", "--vivace-fuzz-schedule=random", passed=1)
    assert re.search(r"vivace: repeat the order of tasks by --vivace-fuzz-schedule=\d+", text)
