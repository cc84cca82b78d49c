"""Measures sleeps whose times differ on one loop: what they cost, and how late they are.

    python measure_sleep.py LOOP SECONDS

Ten tasks sleep 0.5, 0.6, … 1.4 ms again and again and do nothing else. Prints one line of JSON: CPU
microseconds per sleep, and the median and the 99th percentile of microseconds that a sleep took
longer than asked for. Started by `suites/sleep.py`.
"""

import asyncio
import json
import sys
import time

from loops import new_event_loop

SLEEPERS = 10


async def measure(seconds: float) -> dict[str, float]:
    """Returns the figures of this loop."""
    late: list[float] = []

    async def doze(delay: float) -> None:
        end = time.perf_counter() + seconds
        begin = time.perf_counter()
        while begin < end:
            await asyncio.sleep(delay)
            now = time.perf_counter()
            late.append((now - begin - delay) * 1e6)
            begin = now

    cpu = time.process_time()
    await asyncio.gather(*[doze(0.0005 + index * 0.0001) for index in range(SLEEPERS)])
    cpu = time.process_time() - cpu
    late.sort()
    return {
        "cpu_us": cpu * 1e6 / len(late),
        "late_p50_us": late[len(late) // 2],
        "late_p99_us": late[len(late) * 99 // 100],
    }


def main() -> None:
    """Measures the loop of the command line."""
    package, seconds = sys.argv[1:]
    with asyncio.Runner(loop_factory=lambda: new_event_loop(package)) as runner:
        runner.run(measure(float(seconds) / 5))
        print(json.dumps(runner.run(measure(float(seconds)))))


if __name__ == "__main__":
    main()
