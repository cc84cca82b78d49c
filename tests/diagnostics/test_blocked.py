"""A loop that is blocked: seen while it lasts, with the line, the task and the cause."""

from __future__ import annotations

import json
import os
import textwrap
from typing import Any

import pytest

HEAD = """
import asyncio, os, socket, subprocess, sys, threading, time

def after(seconds, function, *args):
    timer = threading.Timer(seconds, function, args)
    timer.daemon = True
    timer.start()

"""

# Each: what blocks, inside a coroutine named `job` unless it has one of its own; the mark is on the
# line that blocks.
BLOCKS = {
    "sleep": """
        async def job():
            time.sleep(0.4)  # <- here
    """,
    "loop": """
        async def job():
            end = time.thread_time() + 0.4
            total = 0
            while time.thread_time() < end:
                for number in range(10000):
                    total += number  # <- here
    """,
    "regex": """
        import re
        async def job():
            re.match(r"(a+)+$", "a" * 26 + "b")  # <- here
    """,
    "pow": """
        async def job():
            pow(3, 8_000_000)  # <- here
    """,
    "json": """
        import json
        data = [1.5] * 1_500_000
        async def job():
            json.dumps(data)  # <- here
    """,
    "recv": """
        async def job():
            a, b = socket.socketpair()
            after(0.5, b.send, b"x")
            a.recv(1)  # <- here
    """,
    "http": """
        import urllib.request
        def answer(server):
            client, _ = server.accept()
            client.recv(1000)
            time.sleep(0.5)
            client.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
            client.close()
        async def job():
            server = socket.create_server(("127.0.0.1", 0))
            threading.Thread(target=answer, args=(server,)).start()
            port = server.getsockname()[1]
            print(port)
            urllib.request.urlopen(f"http://127.0.0.1:{port}/").read()  # <- here
    """,
    "lock": """
        lock = threading.Lock()
        held = threading.Event()
        def hold():
            with lock:
                held.set()
                time.sleep(0.5)  # <- holder
        async def job():
            threading.Thread(target=hold).start()
            held.wait()
            lock.acquire()  # <- here
    """,
    "subprocess": """
        async def job():
            subprocess.run(["sleep", "0.5"], capture_output=True)  # <- here
    """,
    "child": """
        async def job():
            child = subprocess.Popen(["sleep", "0.5"])
            child.wait()  # <- here
    """,
}

MAIN = """
async def main():
    await asyncio.create_task(job(), name="the job")  # <- made

asyncio.run(main())
"""


def program(block: str, main: str = MAIN) -> str:
    return HEAD + textwrap.dedent(block) + main


def first(done: Any, code: str = "V101") -> dict[str, Any]:
    """What was said of the first block while it lasted."""
    found = [finding for finding in done.of(code) if finding["state"] == "blocked"]
    assert found, f"no {code}: {done.findings}\n{done.stderr}"
    return found[0]


def over(done: Any, code: str = "V101") -> dict[str, Any]:
    """What was said of it at its end."""
    [found] = [finding for finding in done.of(code) if finding["state"] == "over"]
    return found


@pytest.mark.parametrize("name", BLOCKS)
def test_the_line_the_task_and_the_cause(watch: Any, name: str) -> None:
    done = watch(program(BLOCKS[name]))
    found = first(done)
    assert (found["file"], found["function"]) == (str(done.path), "job")
    if name == "loop":
        assert found["line"] - done.line("here") in (-2, -1, 0)
    else:
        assert found["line"] == done.line("here")
    assert found["task"]["name"] == "the job"
    assert found["task"]["coro"] == "job"
    assert found["task"]["created"] == {
        "file": str(done.path),
        "line": done.line("made"),
        "function": "main",
    }
    assert ["task", f"the job  coro job()  made at {done.path}:{done.line('made')} in main"] in (
        found["report"]
    )
    end = over(done)
    assert 0.1 <= found["seconds"] < end["seconds"]
    assert end["shares"][0]["line"] == found["line"] or name == "loop"
    cause = found["cause"]
    match name:
        case "sleep":
            assert (cause["kind"], cause["syscall"]) == ("syscall", "clock_nanosleep")
            assert found["report"][-1] == ["do", "await asyncio.sleep(...)"]
        case "loop":
            assert cause["kind"] == "cpu"
        case "regex" | "pow" | "json":
            assert (cause["kind"], cause["in_c"]) == ("cpu", True)
        case "recv":
            assert (cause["kind"], cause["syscall"]) == ("syscall", "recvfrom")
            assert cause["fd"] > 2
        case "http":
            assert cause["kind"] == "syscall"
            assert cause["about"] == f"tcp 127.0.0.1:{done.stdout.strip()}"
            assert len(found["stack"]) > 3
        case "lock":
            assert (cause["kind"], cause["syscall"]) == ("lock", "futex")
            [holder] = [
                thread["stack"][-1]
                for thread in found["threads"]
                if thread["stack"][-1]["function"] == "hold"
            ]
            assert holder["line"] == done.line("holder")
        case "subprocess":
            assert cause["syscall"] in {"poll", "select", "pselect6", "read"}
            assert "create_subprocess_exec" in found["report"][-1][1]
        case "child":
            assert cause["syscall"] in {"wait4", "waitid"}
            assert "sleep" in (cause["about"] or "sleep")


@pytest.mark.parametrize("name", BLOCKS)
def test_nothing_is_said_when_off(watch: Any, name: str) -> None:
    assert watch(program(BLOCKS[name]), diag="0").findings == []


COLLECTION = program("""
    import gc
    gc.disable()
    class Node: pass
    kept = []
    def fill(count):
        for _ in range(count):
            node = Node()
            node.self = node
            kept.append(node)
    def seconds():
        began = time.perf_counter()
        kept.clear()
        gc.collect()
        return time.perf_counter() - began
    fill(100_000)
    # So many that collecting them takes half a second.
    fill(int(100_000 * 0.5 / seconds()))
    async def job():
        kept.clear()
        gc.collect()
""")


def test_the_collector_is_nobodys_fault(watch: Any) -> None:
    done = watch(COLLECTION)
    found = first(done, "V111")
    assert found["cause"]["kind"] == "gc"
    assert found["cause"]["gc_generation"] == 2
    assert "file" not in found
    assert "task" not in found
    assert done.of("V101") == []
    assert watch(COLLECTION, diag="0").findings == []


STARVED = program("""
    import random
    def work():
        numbers = [random.random() for _ in range(1_500_000)]
        started.set()
        sorted(numbers, key=None)  # <- here
        sorted(numbers, reverse=True)
    started = threading.Event()
    async def job():
        thread = threading.Thread(target=work, name="sorter \u00e9")
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.005)
""")


def test_the_thread_that_holds_the_gil_is_named(watch: Any) -> None:
    done = watch(STARVED)
    found = first(done, "V110")
    assert found["cause"]["kind"] == "gil"
    assert found["function"] == "work"
    assert abs(found["line"] - done.line("here")) <= 2
    [thread] = found["threads"]
    assert thread["name"] == "sorter \u00e9"
    assert done.of("V101") == []
    assert watch(STARVED, diag="0").findings == []


CALLBACK = program(
    """
    def plain():
        time.sleep(0.3)  # <- here
    async def job():
        asyncio.get_running_loop().call_soon(plain)
        await asyncio.sleep(0.1)
    """
)

BUILTIN = program(
    """
    async def job():
        asyncio.get_running_loop().call_soon(time.sleep, 0.3)
        await asyncio.sleep(0.1)
    """
)

PROTOCOL = program(
    """
    class Slow(asyncio.Protocol):
        def data_received(self, data):
            time.sleep(0.3)  # <- here
            done.set_result(None)
    async def job():
        global done
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        server = await loop.create_server(Slow, "127.0.0.1", 0)
        _reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        await done
        writer.close()
        server.close()
    """
)


@pytest.mark.parametrize(
    ("source", "function"),
    [(CALLBACK, "plain"), (PROTOCOL, "Slow.data_received"), (BUILTIN, None)],
    ids=["callback", "protocol", "builtin"],
)
def test_callbacks_are_named_and_no_task(watch: Any, source: str, function: str | None) -> None:
    done = watch(source)
    found = first(done)
    assert "task" not in found
    assert found["callback"]["name"] == (function or "sleep")
    if function:
        assert (found["function"], found["line"]) == (function, done.line("here"))
    assert watch(source, diag="0").findings == []


OTHER_THREAD = program(
    """
    async def job():
        time.sleep(0.3)  # <- here
    """,
    """
async def idle():
    await asyncio.sleep(0.6)

def run():
    with asyncio.Runner() as runner:
        runner.run(job())

threading.Thread(target=run).start()
asyncio.run(idle())
""",
)


def test_a_loop_in_another_thread(watch: Any) -> None:
    done = watch(OTHER_THREAD)
    assert (first(done)["function"], first(done)["line"]) == ("job", done.line("here"))
    assert len({finding["loop"] for finding in done.findings}) == 1
    assert watch(OTHER_THREAD, diag="0").findings == []


# It never ends: the default action of the signal does.
ENDLESS = program("""
    import collections, itertools, signal
    async def job():
        signal.setitimer(signal.ITIMER_REAL, 3)
        collections.deque(itertools.repeat(None), maxlen=0)  # <- here
""")


def test_c_code_that_never_returns(watch: Any) -> None:
    done = watch(ENDLESS, status=-14)
    assert first(done)["line"] == done.line("here")
    assert first(done)["cause"]["in_c"]
    assert watch(ENDLESS, status=-14, diag="0").findings == []


OWN_FUTURE = program("""
    async def answer():
        return 42
    async def job():
        future = asyncio.run_coroutine_threadsafe(answer(), asyncio.get_running_loop())
        try:
            future.result(0.4)  # <- here
        except TimeoutError:
            pass
        assert await asyncio.wrap_future(future) == 42
""")


def test_a_future_that_only_this_loop_completes(watch: Any) -> None:
    done = watch(OWN_FUTURE)
    found = first(done, "V302")
    assert (found["line"], found["task"]["name"]) == (done.line("here"), "the job")
    assert done.of("V101") == []
    assert watch(OWN_FUTURE, diag="0").findings == []


OTHER_FUTURE = program("""
    import concurrent.futures
    async def job():
        with concurrent.futures.ThreadPoolExecutor() as pool:
            pool.submit(time.sleep, 0.4).result()  # <- here
""")


def test_a_future_of_another_thread(watch: Any) -> None:
    done = watch(OTHER_FUTURE)
    assert first(done)["line"] == done.line("here")
    assert "wrap_future" in first(done)["report"][-1][1]
    assert done.of("V302") == []


CLEAN = {
    "many small callbacks": """
        def small():
            end = time.perf_counter() + 0.0001
            while time.perf_counter() < end:
                pass
        async def job():
            loop = asyncio.get_running_loop()
            for _ in range(2000):
                loop.call_soon(small)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    """,
    "waiting": """
        async def job():
            await asyncio.sleep(2)
    """,
    "another thread sleeps": """
        async def job():
            await asyncio.to_thread(time.sleep, 0.5)
    """,
    "a debugger": """
        import pdb
        async def job():
            reading, writing = os.pipe()
            after(0.5, os.write, writing, b"c\\n")
            debugger = pdb.Pdb(stdin=os.fdopen(reading), stdout=sys.stderr)
            debugger.set_trace()
            await asyncio.sleep(0.01)
    """,
    "loops that come and go": """
        async def job():
            pass
        for _ in range(200):
            asyncio.run(asyncio.sleep(0))
    """,
}


# Another process has most of the processor, while this one has let go of the GIL, and now and then
# of the processor, as who waits for the GIL does.
ALONE = """
    import asyncio, hashlib, os, subprocess, sys, time, vivace

    def works_and_waits():
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            time.sleep(0.001)
            hashlib.pbkdf2_hmac("sha256", b"word", b"salt", 3000)

    async def main():
        # Of this thread alone.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        os.nice(10)
        try:
            for _ in range(8):
                works_and_waits()
                await asyncio.sleep(0.03)
        finally:
            other.kill()
            other.wait()
        print(vivace.metrics_text())

    asyncio.run(main())
"""


def test_who_is_alone_waits_for_no_gil(watch: Any) -> None:
    done = watch(ALONE)
    assert done.of("V110") == []
    assert 'asyncio_eventloop_blocks_total{cause="gil"} 0\n' in done.stdout


@pytest.mark.parametrize("name", CLEAN)
def test_clean_programs(watch: Any, name: str) -> None:
    assert watch(program(CLEAN[name])).findings == []


STOPPED = program("""
    async def job():
        pid = os.getpid()
        subprocess.Popen(["sh", "-c", f"sleep 0.2; kill -STOP {pid}; sleep 1.5; kill -CONT {pid}"])
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            await asyncio.sleep(0.02)
""")


def test_a_process_that_was_stopped(watch: Any) -> None:
    done = watch(STOPPED)
    [found] = done.findings
    assert found["code"] == "V112"
    assert 1 <= found["seconds"] <= 2.5
    assert not found["suspended"]
    assert watch(STOPPED, diag="0").findings == []


def test_one_line_is_reported_once_a_minute_and_counted_each_time(watch: Any) -> None:
    done = watch(
        program(
            """
            async def job():
                for _ in range(3):
                    time.sleep(0.2)
                    await asyncio.sleep(0.05)
                counters = asyncio.get_running_loop()._see_counters
                print(json.dumps(counters))
            import json
            """
        )
    )
    assert [finding["state"] for finding in done.of("V101")] == ["blocked", "over"]
    counters = json.loads(done.stdout)
    assert counters["blocks"][2] == 3
    assert sum(counters["block_durations"]) == 3
    assert counters["block_sum"] >= 0.6e9
    assert counters["block_longest"] >= 0.2e9


def test_the_report_for_people(watch: Any) -> None:
    done = watch(
        program(BLOCKS["sleep"]),
        VIVACE_DIAG_FORMAT="text",
        VIVACE_DIAG_OUTPUT="",
    )
    lines = done.stderr.splitlines()
    assert lines[0].startswith("V101 LOOP BLOCKED ")
    assert "(still blocked)   [pid " in lines[0]
    made = f"program.py:{done.line('made')} in main"
    assert lines[1].startswith("  task   the job  coro job()  made at ")
    assert lines[1].endswith(made)
    assert lines[2] == "  cause  system call clock_nanosleep"
    assert lines[3].startswith("  stack  > ")
    assert lines[3].endswith(f"program.py:{done.line('here')}  job  time.sleep(0.4)  # <- here")
    assert any(line.startswith("  where  ") for line in lines)


def test_a_forked_child_has_a_watchdog_of_its_own(watch: Any) -> None:
    done = watch(
        program(
            """
            async def job():
                time.sleep(0.3)  # <- here
            """,
            """
asyncio.run(asyncio.sleep(0))
child = os.fork()
if child == 0:
    asyncio.run(job())
    os._exit(0)
os.waitpid(child, 0)
print(child)
""",
        )
    )
    assert first(done)["pid"] == int(done.stdout)
    assert first(done)["line"] == done.line("here")


def test_the_end_of_the_interpreter_blocks_nobody(watch: Any) -> None:
    """A loop in a daemon thread does not get the GIL any more while all is collected."""
    done = watch(
        """
        import asyncio, gc, threading

        gc.disable()
        nodes = []
        for _ in range(1_500_000):
            node = []
            node.append(node)
            nodes.append(node)
        gc.enable()
        started = threading.Event()

        async def main():
            while True:
                started.set()
                await asyncio.sleep(0)

        threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
        started.wait()
        """
    )
    assert [finding["code"] for finding in done.findings if finding["code"][:2] == "V1"] == []


LATE = program(
    """
    import ctypes

    def thread_that_watches():
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/comm") as file:
                if file.read().strip() == "vivace-watchdog":
                    return int(thread)

    def spin(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass

    async def job():
        await asyncio.sleep(0.05)
        watching, every = thread_that_watches(), os.sched_getaffinity(0)
        first, *_ = every
        # On one processor with what goes before everything else, it cannot run.
        os.sched_setaffinity(watching, {first})
        os.sched_setaffinity(0, {first})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        spin(0.25)
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.sched_setaffinity(watching, every)
        spin(0.4)  # <- here
    """
)


def may_go_before_others() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except OSError:
        return False
    return len(os.sched_getaffinity(0)) > 1


@pytest.mark.skipif(not may_go_before_others(), reason="needs the right to real-time priorities")
def test_a_thread_that_watches_late_tells_the_same(watch: Any) -> None:
    done = watch(LATE)
    found = first(done)
    # It was not there when the block began, and counts it from there all the same.
    assert 0.25 <= found["seconds"] < 0.65
    assert found["cause"]["kind"] == "cpu"
    assert found["task"]["name"] == "the job"
    assert found["task"]["created"]["line"] == done.line("made")
    assert found["stack"][0]["line"] == done.line("here")
    assert over(done)["seconds"] == pytest.approx(0.65, abs=0.2)
