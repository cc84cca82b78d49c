"""`vivace trace`: what is recorded, the three formats, and what goes wrong."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Ends a hang; no test depends on it.
LIMIT = 120.0

PROGRAM = """
    import asyncio, atexit

    async def worker(queue):
        while True:
            item = await queue.get()  # <- get
            await asyncio.sleep(0.001)  # <- sleep
            queue.task_done()

    async def locked(lock):
        async with lock:  # <- lock
            await asyncio.sleep(0.01)

    async def fails():
        raise ValueError

    async def main():
        queue, lock = asyncio.Queue(), asyncio.Lock()
        workers = [asyncio.create_task(worker(queue), name=f"worker-{n}") for n in range(3)]
        for item in range(120):
            queue.put_nowait(item)
        await asyncio.gather(locked(lock), locked(lock), fails(), return_exceptions=True)
        await queue.join()
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def counters():
        # Another loop in the place of the one that was closed: its counters go on.
        loop = asyncio.new_event_loop()
        print(loop._see_counters["steps"], loop._see_counters["callbacks"])
        loop.close()

    atexit.register(counters)
    asyncio.run(main())
"""


@dataclass
class Traced:
    """A traced run."""

    source: str
    output: Path
    status: int
    stdout: str
    stderr: str

    def line(self, mark: str) -> int:
        """The number of the line that ends with ``# <- mark``."""
        lines = self.source.splitlines()
        [number] = [n for n, line in enumerate(lines, 1) if line.endswith(f"# <- {mark}")]
        return number

    def events(self) -> list[dict[str, Any]]:
        """What a JSON trace holds."""
        events: list[dict[str, Any]] = json.loads(self.output.read_text())["traceEvents"]
        return events


Trace = Callable[..., Traced]


def vivace_trace(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vivace", "trace", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env=os.environ | environment,
    )


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    """Traces a program; `output` is the name of the file."""

    def trace(
        source: str, output: str = "out.json", *flags: str, status: int = 0, **environment: str
    ) -> Traced:
        text = textwrap.dedent(source).lstrip("\n")
        program = tmp_path / "program.py"
        program.write_text(text)
        path = tmp_path / output
        done = vivace_trace("-o", path, *flags, program, **environment)
        assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return Traced(text, path, done.returncode, done.stdout, done.stderr)

    return trace


def test_every_step_and_callback_is_there(trace: Trace) -> None:
    done = trace(PROGRAM)
    events = done.events()
    steps = [event for event in events if event["ph"] == "X" and event["name"] == "running"]
    tracks = {
        event["tid"]: event["args"]["name"]
        for event in events
        if event["ph"] == "M" and event["name"] == "thread_name"
    }
    assert set(tracks.values()) >= {"worker: worker-0", "worker: worker-2", "main: Task-1"}
    counted_steps, counted_callbacks = map(int, done.stdout.split())
    assert len(steps) == counted_steps
    outside = {"running", "ready", "waiting for events", "waiting for the GIL"}
    loop = [event for event in events if event["ph"] == "X" and event["tid"] == 0]
    callbacks = [event for event in loop if event["name"] not in outside]
    assert len(callbacks) + len(steps) == counted_callbacks
    # One loop runs one thing at a time.
    ran = sorted((event["ts"], event["ts"] + event["dur"]) for event in (*steps, *callbacks))
    for before, after in itertools.pairwise(ran):
        assert before[1] <= after[0] + 0.01


def test_waits_name_what_is_waited_for_and_arrows_who_woke_whom(trace: Trace) -> None:
    done = trace(PROGRAM)
    events = done.events()
    names = Counter(event["name"] for event in events if event["ph"] == "X")
    assert names["Queue.get in worker"] >= 3
    assert names["Lock.acquire in locked"] == 1
    assert names["sleep in locked"] == 2
    assert names["Queue.join in main"] == 1
    tracks = {
        event["tid"]: event["args"]["name"].split(":")[0]
        for event in events
        if event["ph"] == "M" and event["name"] == "thread_name"
    }
    begins = {event["id"]: event for event in events if event["ph"] == "s"}
    arrows = Counter(
        (tracks[begins[event["id"]]["tid"]], tracks[event["tid"]])
        for event in events
        if event["ph"] == "f"
    )
    # Created by main; the lock is handed on by its owner; sleeps end by timers.
    assert arrows["main", "worker"] >= 3
    assert arrows["locked", "locked"] == 1
    assert arrows["loop", "worker"] >= 20


def test_the_summary_names_the_longest_step(trace: Trace) -> None:
    done = trace(
        """
        import asyncio, time

        async def slow():
            time.sleep(0.15)

        async def quick():
            await asyncio.sleep(0)

        async def main():
            await asyncio.gather(quick(), slow(), quick())

        asyncio.run(main())
        """,
        "out.html",
    )
    # The blocked loop is told of before.
    first, second = done.stderr.splitlines()[-2:]
    assert first.startswith("traced 0.")
    assert "events dropped -> " in first
    assert first.endswith("out.html (" + first.rpartition("out.html (")[2])
    assert "open it in any browser" in first
    assert "longest step 15" in second or "longest step 16" in second, second
    assert f"slow() {done.output.parent}/program.py:3" in second
    assert "longest ready delay" in second
    assert not Path(f"{done.output}.part").exists()


# As much of Protocol Buffers as a trace has.
def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        match key & 7:
            case 0:
                yield key >> 3, varint()
            case 1:
                at += 8
                yield key >> 3, int.from_bytes(message[at - 8 : at], "little")
            case 2:
                length = varint()
                at += length
                yield key >> 3, message[at - length : at]
            case other:
                raise AssertionError(f"wire type {other}")


def test_a_perfetto_trace_is_balanced_and_its_arrows_lead_somewhere(trace: Trace) -> None:
    done = trace(PROGRAM, "out.pftrace")
    steps = int(done.stdout.split()[0])
    names: dict[int, str] = {}
    tracks: dict[int, str] = {}
    parents: dict[int, int] = {}
    open_slices: dict[int, list[int]] = {}
    last: dict[int, int] = {}
    out: Counter[int] = Counter()
    into: Counter[int] = Counter()
    slices: Counter[str] = Counter()
    counters = 0
    for number, value in fields(done.output.read_bytes()):
        assert number == 1
        packet = dict(fields(value))
        assert packet[10] == 1
        if 12 in packet:
            for kind, name in fields(packet[12]):
                assert kind == 2
                entry = dict(fields(name))
                names[entry[1]] = entry[2].decode()
        if 60 in packet:
            track = dict(fields(packet[60]))
            tracks[track[1]] = track.get(2, b"").decode()
            parents[track[1]] = track.get(5, 0)
        if 11 not in packet:
            continue
        event = list(fields(packet[11]))
        by_number = dict(event)
        track_number = by_number[11]
        assert track_number in tracks
        time = packet[8]
        # In the order of time on each track, or a reader would have to sort them.
        if tracks[track_number] not in ("loop",):
            assert time >= last.get(track_number, 0)
        last[track_number] = time
        match by_number[9]:
            case 1:
                open_slices.setdefault(track_number, []).append(by_number[10])
                slices[names[by_number[10]]] += 1
            case 2:
                open_slices[track_number].pop()
            case 4:
                counters += 1
        out.update(flow for kind, flow in event if kind == 47)
        into.update(flow for kind, flow in event if kind == 48)
    assert slices["running"] == steps
    assert slices["Lock.acquire in locked"] == 1
    # Only waits of tasks that never ran again are left open.
    assert all(len(left) <= 1 for left in open_slices.values())
    assert into
    assert set(into) <= set(out)
    assert counters > 0
    assert {"loop", "ready callbacks", "tasks", "lag (ms)", "worker: worker-1"} <= set(
        tracks.values()
    )
    for track_number, parent in parents.items():
        assert parent == 0 or parent in tracks, tracks[track_number]


def test_a_task_tells_where_it_was_made(trace: Trace) -> None:
    done = trace(
        """
        import asyncio

        async def work():
            await asyncio.sleep(0.001)

        async def main():
            await asyncio.create_task(work())  # <- made

        asyncio.run(main())
        """,
        "out.pftrace",
    )
    found = set()
    for _, packet in fields(done.output.read_bytes()):
        # The slices of tracks, and what is noted beside them.
        for _, event in filter(lambda field: field[0] == 11, fields(packet)):
            for _, note in filter(lambda field: field[0] == 4, fields(event)):
                name, text = (value.decode() for _, value in sorted(fields(note), reverse=True))
                found.add((name, text))
    program = done.output.parent / "program.py"
    assert ("function", f"work {program}:3") in found
    assert ("created", f"main {program}:{done.line('made')}") in found


def test_cancels_ends_and_eager_starts(trace: Trace) -> None:
    done = trace(
        """
        import asyncio, sys

        async def inner():
            await asyncio.sleep(0.001)

        async def sleeper():
            await asyncio.sleep(60)

        async def main():
            if sys.version_info >= (3, 12):
                asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            task = asyncio.create_task(inner())
            victim = asyncio.create_task(sleeper())
            await task
            victim.cancel()
            await asyncio.wait([victim])

        asyncio.run(main())
        """,
        "out.html",
    )
    assert "tasks" in done.stderr
    assert "0 events dropped" in done.stderr


def test_the_limit_bounds_the_file_and_what_is_missing_is_counted(trace: Trace) -> None:
    done = trace(
        """
        import asyncio

        async def main():
            for _ in range(20_000):
                await asyncio.sleep(0)

        asyncio.run(main())
        """,
        "out.json",
        "--limit=200K",
    )
    assert ", 0 events dropped" not in done.stderr
    assert "20 00" in done.stderr
    kept = [event for event in done.events() if event["name"] == "running"]
    assert 0 < len(kept) < 20_000


def test_the_program_keeps_its_arguments_and_its_exit_status(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys; print(sys.argv[1:]); sys.exit(3)")
    done = vivace_trace("-o", tmp_path / "a.html", program, "-o", "b.html", "--help")
    assert done.returncode == 3
    assert done.stdout == "['-o', 'b.html', '--help']\n"
    assert "no task took a step on vivace's loop" in done.stderr
    assert (tmp_path / "a.html").exists()
    done = vivace_trace(
        "-o", tmp_path / "c.json", "-c", "import asyncio; asyncio.run(asyncio.sleep(0))"
    )
    assert done.returncode == 0
    assert "3 tasks" in done.stderr


def test_a_forked_child_leaves_the_trace_alone(trace: Trace) -> None:
    done = trace(
        """
        import asyncio, os

        async def main():
            await asyncio.sleep(0.001)

        asyncio.run(main())
        if os.fork() == 0:
            asyncio.run(main())
            raise SystemExit(0)
        status = os.wait()[1]
        asyncio.run(main())
        print(os.waitstatus_to_exitcode(status))
        """,
    )
    assert done.stdout == "0\n"
    # Each run has three tasks: main, and two that asyncio.run ends with.
    assert "6 tasks" in done.stderr


def test_a_program_that_is_killed_leaves_what_was_recorded(trace: Trace, tmp_path: Path) -> None:
    done = trace(
        """
        import asyncio, os, signal

        async def main():
            for _ in range(10_000):
                await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(main())
        """,
        status=-signal.SIGKILL,
    )
    assert not done.output.exists()
    made = vivace_trace("-o", tmp_path / "late.json", f"{done.output}.part")
    assert made.returncode == 0, made.stderr
    assert "traced" in made.stderr
    assert len(json.loads((tmp_path / "late.json").read_text())["traceEvents"]) > 5_000


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "no program; give a script, -m MODULE or -c CODE"),
        (["-o"], "-o needs a value after it"),
        (["-o", "a.txt", "x.py"], "a.txt: traces are .html, .pftrace or .json"),
        (["--limit", "much", "x.py"], "--limit much: it takes a size such as 500M or 2G"),
        (["--fast", "x.py"], "no option --fast (see vivace trace --help)"),
        (["-o", "/nowhere/a.html", "-c", "1"], "cannot write /nowhere/a.html.part: No such file"),
    ],
)
def test_mistakes_are_named(arguments: list[str], text: str) -> None:
    done = vivace_trace(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("vivace trace: ")
    assert text in done.stderr


def test_nothing_is_traced_while_the_diagnostics_are_off(tmp_path: Path) -> None:
    done = vivace_trace("-o", tmp_path / "a.html", "-c", "print(1)", VIVACE_DIAG="0")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "diagnostics are off (VIVACE_DIAG=0)" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_collections_are_on_the_row_of_the_loop(trace: Trace) -> None:
    done = trace(
        """
        import asyncio, gc

        async def main():
            gc.disable()
            gc.collect()
            gc.collect(0)

        asyncio.run(main())
        """,
    )
    collections = [event for event in done.events() if event["name"] == "garbage collection"]
    [step] = [
        event
        for event in done.events()
        if event["name"] == "running" and event["tid"] == 1 and event["dur"] > 0
    ]
    assert len(collections) >= 2
    inside = [
        event
        for event in collections
        if step["ts"] <= event["ts"] and event["ts"] + event["dur"] <= step["ts"] + step["dur"] + 1
    ]
    assert len(inside) >= 2


def test_the_last_seconds_of_a_process_that_was_killed(tmp_path: Path) -> None:
    rings = tmp_path / "rings"
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import asyncio, os, signal, time

            async def slow():
                time.sleep(0.02)
                await asyncio.sleep(0.001)

            async def main():
                for number in range(3):
                    await asyncio.create_task(slow(), name=f"slow-{number}")
                asyncio.get_running_loop().call_soon(time.sleep, 0.01)
                await asyncio.sleep(0.05)
                os.kill(os.getpid(), signal.SIGKILL)

            asyncio.run(main())
            """
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "vivace", "run", str(program)],
        timeout=LIMIT,
        env=os.environ | {"VIVACE_DIAG_DIR": str(rings)},
    )
    assert done.returncode == -signal.SIGKILL
    [ring] = rings.glob("*.ring")
    output = tmp_path / "last.json"
    for target in (str(ring), ring.stem):
        made = vivace_trace("--last", "10s", "-o", output, target, VIVACE_DIAG_DIR=str(rings))
        assert made.returncode == 0, made.stderr
        events = json.loads(output.read_text())["traceEvents"]
        names = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
        assert {"slow: slow-0", "slow: slow-1", "slow: slow-2"} <= set(names.values())
        ran = [event for event in events if event["name"] == "running" and event["dur"] >= 19_000]
        assert len(ran) == 3
        assert sum(event["name"] == "sleep" and event["tid"] == 0 for event in events) == 1
        assert sum(event["name"].startswith("sleep in slow") for event in events) <= 3
    gone = vivace_trace("-o", output, "999999999", VIVACE_DIAG_DIR=str(rings))
    assert gone.returncode == 2
    assert "999999999 runs no loop of vivace" in gone.stderr
    wrong = vivace_trace("--last", "soon", "-o", output, "1")
    assert "--last soon: it takes a time such as 10s or 500ms" in wrong.stderr


def test_nothing_is_kept_while_the_diagnostics_are_off(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "vivace",
            "run",
            "-c",
            "import asyncio; asyncio.run(asyncio.sleep(0))",
        ],
        timeout=LIMIT,
        env=os.environ | {"VIVACE_DIAG": "0", "VIVACE_DIAG_DIR": str(tmp_path / "rings")},
    )
    assert done.returncode == 0
    assert not (tmp_path / "rings").exists()
