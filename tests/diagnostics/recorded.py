"""Writes a trace as the recorder does, of a made-up program: any size, always the same."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field
from pathlib import Path

# As in crates/vivace-see/src/trace/record.rs.
STEP, CALLBACK, READY, WAIT, CREATED, COROUTINE, NAMED, SITE, ENDED, CANCELLED = range(1, 11)
GC, GIL_WAIT, POLL, QUEUES, LAG = range(12, 17)


@dataclass
class Recorded:
    """A trace that is being made; times in nanoseconds."""

    begin: int = 1_000_000_000_000
    records: bytearray = field(default_factory=bytearray)
    names: bytearray = field(default_factory=bytearray)
    numbers: dict[tuple[str, str, int], int] = field(default_factory=dict)
    steps: int = 0
    busy: int = 0
    tasks: int = 0

    def name(self, text: str, file: str = "", line: int = 0) -> int:
        """The number of a name."""
        key = (text, file, line)
        if key not in self.numbers:
            self.numbers[key] = len(self.numbers) + 1
            words, path = text.encode(), file.encode()
            head = struct.pack("<IIHH", self.numbers[key], line, len(words), len(path))
            self.names += head + words + path
        return self.numbers[key]

    def record(self, kind: int, time: int, subject: int, detail: int) -> None:
        """One event."""
        self.records += struct.pack("<QII", (self.begin + time) << 8 | kind, subject, detail)

    def create(self, time: int, coroutine: int, name: str, site: int, by: int) -> int:
        """A new task."""
        self.tasks += 1
        task = self.tasks
        self.record(CREATED, time, task, by)
        self.record(COROUTINE, time, task, coroutine)
        self.record(NAMED, time, task, self.name(name))
        self.record(SITE, time, task, site)
        self.record(READY, time, task, by)
        return task

    def step(self, begin: int, end: int, task: int, reason: int) -> None:
        """A step; without a reason, it was the last."""
        self.steps += 1
        self.busy += end - begin
        if not reason:
            self.record(ENDED, end, task, 0)
        self.record(STEP, begin, task, end - begin)
        if reason:
            self.record(WAIT, end, task, reason)

    def write(self, path: Path, end: int, command: str = "made-up.py") -> None:
        """Write the file."""
        text = command.encode()
        head = struct.pack(
            "<8sIIQdQI", b"vivacetr", 1, 4711, self.begin, 0.0, 100_000_000, len(text)
        )
        with path.open("wb") as file:
            file.write(head + text)
            file.write(struct.pack("<BBHI", 1, 0, 0, len(self.names)) + self.names)
            # The recorder writes pieces of some kilobytes, too.
            for at in range(0, len(self.records), 1 << 16):
                part = self.records[at : at + (1 << 16)]
                file.write(struct.pack("<BBHI", 2, 0, 0, len(part)) + part)
            totals = (self.begin + end, 0, self.steps, self.busy)
            file.write(struct.pack("<BBHI4Q", 3, 0, 0, 32, *totals))


def program(steps: int, seed: int = 1) -> tuple[Recorded, int]:
    """Workers at a queue, requests that come and go, and now and then a blocked loop."""
    chance = random.Random(seed)
    made = Recorded()
    worker = made.name("worker", "/srv/app/jobs.py", 14)
    request = made.name("handle", "/srv/app/web.py", 88)
    main = made.name("main", "/srv/app/main.py", 5)
    reasons = [
        made.name(text) for text in ("Queue.get", "Lock.acquire", "sleep", "StreamReader.read")
    ]
    site = made.name("main", "/srv/app/main.py", 9)
    accept = made.name("accept", "/srv/app/web.py", 30)
    readable = made.name("<lambda>", "/srv/app/web.py", 31)
    clock = 50_000
    first = made.create(0, main, "Task-1", site, 0)
    workers = [made.create(20_000 + n, worker, f"worker-{n}", site, first) for n in range(8)]
    made.step(10_000, 50_000, first, reasons[2])
    ready: list[int] = list(workers)
    live: dict[int, int] = {}
    waiting: list[int] = []
    while made.steps < steps - 1:
        if not ready:
            idle = chance.randrange(20_000, 400_000)
            made.record(POLL, clock, 1, idle)
            clock += idle
            made.record(CALLBACK, clock, readable, 3_000)
            if len(live) < 40:
                task = made.create(
                    clock + 1_000, request, f"GET /item/{made.tasks}", accept, readable | 1 << 31
                )
                live[task] = chance.randrange(2, 9)
                ready.append(task)
            for task in chance.sample(waiting, min(len(waiting), 3)):
                waiting.remove(task)
                made.record(READY, clock + 2_000, task, readable | 1 << 31)
                ready.append(task)
            clock += 3_000
            made.record(QUEUES, clock, len(ready), len(live) + 9)
            continue
        task = ready.pop(0)
        length = chance.randrange(800, 40_000)
        if chance.random() < 30 / steps:
            length = chance.randrange(100_000_000, 300_000_000)
        end = clock + length
        if waiting and chance.random() < 0.4:
            woken = waiting.pop(0)
            made.record(READY, clock + length // 2, woken, task)
            ready.append(woken)
        if task in live:
            live[task] -= 1
            if not live[task]:
                del live[task]
                made.step(clock, end, task, 0)
                clock = end + 200
                continue
        made.step(clock, end, task, chance.choice(reasons))
        waiting.append(task)
        clock = end + 200
    made.record(READY, clock, first, 0)
    made.step(clock + 1_000, clock + 5_000, first, 0)
    return made, clock + 10_000
