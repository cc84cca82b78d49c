"""Stacks are read a thousand times a second while threads and tasks do random work.

    python tests/nightly/frame_walks.py [SECONDS]

Nothing may crash, memory may not grow, and whatever was read must be made of functions that exist.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import vivace
from vivace import _native

#: Memory may grow by so much after the first tenth of the run.
ALLOWANCE = 8 << 20


def anonymous() -> int:
    """Bytes of memory in use, without files: the recorder fills its file, which has one size."""
    (line,) = re.findall(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) << 10


def recurse(depth: int) -> int:
    """Calls itself, and makes garbage."""
    return 0 if depth == 0 else recurse(depth - 1) + len([None] * depth)


def fresh_code() -> None:
    """Code objects that come and go."""
    names: dict[str, object] = {}
    # Few names, as CPython 3.13 keeps each that was ever compiled: 105 bytes.
    number = random.randrange(1000)
    exec(f"def made_{number}(n):\n    return n and made_{number}(n - 1)\n", names)
    names[f"made_{number}"](20)  # type: ignore[operator]


def numbers() -> Iterator[int]:
    """Yields, so that frames move to the heap."""
    yield from range(50)


WORK: list[Callable[[], object]] = [
    lambda: recurse(random.randrange(100)),
    lambda: json.loads(json.dumps([random.random()] * 200)),
    lambda: re.match(r"(a+)+$", "a" * 14 + "b"),
    lambda: list(numbers()),
    lambda: sorted(random.random() for _ in range(500)),
    lambda: time.sleep(0.001),
    fresh_code,
]


def main() -> None:
    """Works, reads, compares."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0
    end = time.monotonic() + seconds

    def work() -> None:
        while time.monotonic() < end:
            random.choice(WORK)()

    async def nested(depth: int) -> None:
        if depth:
            await nested(depth - 1)
        else:
            random.choice(WORK)()
            await asyncio.sleep(random.choice([0, 0.001]))

    async def tasks() -> None:
        while time.monotonic() < end:
            async with asyncio.TaskGroup() as group:
                for _ in range(random.randrange(20)):
                    group.create_task(nested(random.randrange(20)))

    threads = [threading.Thread(target=work) for _ in range(2)]
    threads.append(threading.Thread(target=lambda: vivace.run(tasks())))
    for thread in threads:
        thread.start()
    while any(thread.native_id is None for thread in threads):
        time.sleep(0.001)
    reads = found = 0
    early = 0
    begin = time.monotonic()
    name = re.compile(r"[\w.<>]+")
    while time.monotonic() < end:
        for thread in threads:
            stack = _native.see_walk(thread.native_id)
            reads += 1
            if stack:
                found += 1
                assert all(name.fullmatch(function) for _file, _line, function in stack), stack
                assert all(line >= 0 for _file, line, _function in stack), stack
        if not early and time.monotonic() - begin > seconds / 10:
            early = anonymous()
        time.sleep(0.001)
    for thread in threads:
        thread.join()
    growth = anonymous() - early
    print(f"{reads} reads, {found} stacks, {growth >> 10} KiB more than after a tenth of the time")
    assert found > reads / 10
    assert growth < ALLOWANCE


if __name__ == "__main__":
    main()
