"""Runs everything at random for a long time: cancels, exceptions, closes, loops that come and go.

    python tests/nightly/soak.py                     ten minutes
    python tests/nightly/soak.py --seconds 60 --seed 7 --loop asyncio

The seed is printed; the same seed makes the same choices. At the end memory, descriptors, threads
and children must be what they were after the first part. Exit status 0 means that all of it held.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import loops
from support.certificates import Certificates
from support.memory import Memory, measure
from support.turmoil import Deliberate, Turmoil

# What an hour may add: caches that grow late, not something lost in each of many thousand steps.
BLOCKS = 3_000
BYTES = 2_000_000
RESIDENT = 30_000_000


class Soak:
    """One run: rounds of a few seconds, each on a loop of its own."""

    def __init__(self, arguments: argparse.Namespace, certificates: Certificates) -> None:
        self._arguments = arguments
        self._certificates = certificates
        self._random = random.Random(arguments.seed)
        self._factory = loops.factory(arguments.loop)
        self._unexpected: list[dict[str, Any]] = []
        self.deliberate = 0
        self.done: Counter[str] = Counter()
        self.disturbed: Counter[str] = Counter()

    def run(self) -> int:
        """Run until the time is over; return the exit status."""
        end = time.monotonic() + self._arguments.seconds
        first = min(self._arguments.seconds / 5, 60.0)
        warm = time.monotonic() + first
        while time.monotonic() < warm:
            self._round(min(self._arguments.round, first))
        before, descriptors, threads = measure(), _descriptors(), threading.active_count()
        rounds = 0
        while (left := end - time.monotonic()) > 0:
            self._round(min(self._arguments.round, max(left, 0.5)))
            rounds += 1
            print(
                f"{time.strftime('%H:%M:%S')} {sum(self.done.values())} done, "
                f"{sum(self.disturbed.values())} disturbed, {self.deliberate} failed on purpose, "
                f"{_descriptors()} descriptors, {measure().resident >> 20} MiB",
                flush=True,
            )
        growth = measure() - before
        return self._verdict(growth, descriptors, threads, rounds)

    def _round(self, seconds: float) -> None:
        """A part of the time on a new loop, plain or in debug mode, in this or another thread."""
        seed = self._random.getrandbits(32)
        debug = self._random.random() < 0.1

        def work() -> None:
            with asyncio.Runner(loop_factory=self._factory, debug=debug) as runner:
                loop = runner.get_loop()
                loop.set_exception_handler(self._report)
                # Debug mode is slow here, and that is no news.
                loop.slow_callback_duration = 60.0
                runner.run(self._main(seed, seconds))

        if self._random.random() < 0.3:
            failed: list[BaseException] = []

            def guarded() -> None:
                try:
                    work()
                except BaseException as exc:
                    failed.append(exc)

            thread = threading.Thread(target=guarded)
            thread.start()
            thread.join()
            if failed:
                raise failed[0]
        else:
            work()

    async def _main(self, seed: int, seconds: float) -> None:
        async with Turmoil(seed, self._certificates, failures=0.02) as turmoil:
            noise = asyncio.create_task(self._noise(random.Random(seed)))
            try:
                await turmoil.run_for(seconds, self._arguments.at_once)
            finally:
                noise.cancel()
                await asyncio.wait([noise])
        self.done += turmoil.done
        self.disturbed += turmoil.disturbed

    async def _noise(self, choices: random.Random) -> None:
        """Timers, failing callbacks, tasks that are dropped, cancelled or fail."""
        loop = asyncio.get_running_loop()

        def fail() -> None:
            raise Deliberate

        async def fails() -> None:
            await asyncio.sleep(choices.random() / 1000)
            raise Deliberate

        async def waits() -> None:
            await loop.create_future()

        while True:
            timers = [loop.call_later(choices.random() * 5, int) for _ in range(50)]
            loop.call_soon(fail)
            loop.call_later(choices.random() / 100, fail)
            asyncio.create_task(fails())
            task = asyncio.create_task(waits())
            await asyncio.sleep(choices.random() / 100)
            if choices.random() < 0.5:
                task.cancel()
            else:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
            del task
            for timer in timers:
                if choices.random() < 0.8:
                    timer.cancel()

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), Deliberate):
            self.deliberate += 1
        elif not isinstance(context.get("exception"), OSError):
            self._unexpected.append(context)

    def _verdict(self, growth: Memory, descriptors: int, threads: int, rounds: int) -> int:
        print(f"{rounds} rounds, growth {growth}", flush=True)
        for name in sorted(self.done | self.disturbed):
            print(f"  {name}: {self.done[name]} done, {self.disturbed[name]} disturbed")
        wrong = [f"the loop reported: {context}" for context in self._unexpected[:10]]
        if growth.blocks > BLOCKS or growth.malloced > BYTES or growth.resident > RESIDENT:
            wrong.append(f"memory has grown: {growth}")
        if _descriptors() > descriptors:
            wrong.append(f"{_descriptors()} descriptors, {descriptors} before")
        if threading.active_count() > threads:
            wrong.append(f"{threading.active_count()} threads, {threads} before")
        try:
            if os.waitpid(-1, os.WNOHANG) is not None:
                wrong.append("a child is left")
        except ChildProcessError:
            pass
        if not self.deliberate:
            wrong.append("no failure was reported although many were made")
        for line in wrong:
            print(f"FAILED: {line}", file=sys.stderr)
        return 1 if wrong else 0


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def main() -> int:
    """Read the arguments, run, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (600)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--loop", choices=list(loops.IMPORT_LINE), default="vivace")
    parser.add_argument("--at-once", type=int, default=30, help="activities side by side (30)")
    parser.add_argument("--round", type=float, default=5.0, help="seconds on one loop (5)")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.seconds:g} s, {arguments.loop}", flush=True)
    faulthandler.enable()
    # Whatever happens it ends: three rounds after the time, with every stack printed.
    faulthandler.dump_traceback_later(arguments.seconds * 1.2 + arguments.round * 3 + 60, exit=True)
    with tempfile.TemporaryDirectory() as folder:
        status = Soak(arguments, Certificates(Path(folder))).run()
    print("held" if status == 0 else f"FAILED with seed {arguments.seed}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
