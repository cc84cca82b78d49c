"""Holds 10,000 idle connections to `vivace serve`, makes 100,000 short ones, and weighs the server.

    python tests/nightly/connections.py
    python tests/nightly/connections.py --idle 2000 --short 20000

The memory for an idle connection is printed. After the short ones the server must hold no more
memory and no more descriptors than before them. Exit status 0 means that all of it held.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import serving
from support.http_wire import Wire

# What so many connections may leave behind: pages that the allocators keep, not one leak each.
BYTES = 8_000_000
# Of the client and of the server each.
SPARE_DESCRIPTORS = 200


def resident(pid: int) -> int:
    """The bytes of a process in memory."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def hold(server: serving.Server, count: int) -> None:
    """Open connections, use each once, leave them idle, use each again and close them."""
    before = resident(server.pid)
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        wires: list[Wire] = []
        for _ in range(count):
            wire = stack.enter_context(server.connect())
            wires.append(wire)
            assert wire.get("/hello").body == b"hello"
        grown = resident(server.pid) - before
        print(
            f"{count} idle connections after {time.monotonic() - begin:.1f} s: "
            f"{grown / count:.0f} bytes each",
            flush=True,
        )
        assert server.get("/hello").body == b"hello"
        for wire in wires:
            assert wire.get("/hello").body == b"hello"


def shorts(server: serving.Server, count: int, threads: int = 4) -> None:
    """Open a connection for each request; a fifth of them end in the middle of something."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for number in range(count // threads):
                with server.connect() as wire:
                    match number % 20:
                        case 0:
                            wire.send(b"GET /hello HTTP")
                        case 1:
                            wire.send(
                                b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx"
                            )
                        case 2:
                            wire.send(b"GET /flood HTTP/1.1\r\nhost: a\r\n\r\n")
                            wire.head()
                            wire.reset()
                        case 3:
                            wire.send(b"nonsense\r\n\r\n")
                            wire.rest()
                        case _:
                            assert wire.get("/hello").body == b"hello"
        except BaseException as exc:
            failures.append(exc)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    begin = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    print(f"{count} short connections in {time.monotonic() - begin:.1f} s", flush=True)


def settled(server: serving.Server, wanted: int) -> int:
    """Wait until the descriptors of closed connections are gone; return how many there are."""
    deadline = time.monotonic() + 30
    while (found := descriptors(server.pid)) > wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def main() -> int:
    """Run both and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--short", type=int, default=100_000)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < arguments.idle + SPARE_DESCRIPTORS:
        print(f"the limit of open files is {hard}: too low for {arguments.idle} connections")
        return 3
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        server = serving.start(
            Path(folder),
            "apps.probe:app",
            *("--no-access-log", "--timeout-keep-alive", "600"),
        )
        try:
            return judge(server, arguments.idle, arguments.short)
        finally:
            server.kill()


def judge(server: serving.Server, idle: int, short: int) -> int:
    """Hold the idle ones, make the short ones twice, and compare the second time with the first."""
    start = descriptors(server.pid)
    hold(server, idle)
    shorts(server, short // 5)
    left = settled(server, start)
    before = resident(server.pid)
    shorts(server, short)
    left = max(left, settled(server, start))
    grown = resident(server.pid) - before
    print(f"grown by {grown} bytes; {left} descriptors, {start} at the start", flush=True)
    return 0 if grown < BYTES and left <= start else 1


if __name__ == "__main__":
    sys.exit(main())
