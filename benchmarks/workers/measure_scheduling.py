"""Measures every scheduling benchmark once on one loop, in this process.

    python measure_scheduling.py LOOP [BENCHMARK ...]

Started by `suites/scheduling.py`, once for each loop and round. Prints one line of JSON:
nanoseconds per operation, by benchmark and clock.
"""

import asyncio
import gc
import json
import sys
import time

from loops import new_event_loop
from scheduling import BENCHMARKS
from scheduling.registry import Benchmark


def measure(bench: Benchmark, package: str) -> dict[str, float]:
    """Returns CPU and elapsed nanoseconds per operation on a new loop of `package`."""
    with asyncio.Runner(loop_factory=lambda: new_event_loop(package)) as runner:
        loop = runner.get_loop()

        async def body(operations: int) -> None:
            await bench.body(loop, operations)

        # Free lists, buffers, specialised bytecode and started threads are a program's
        # normal state; what the first calls cost is not what is asked here.
        runner.run(body(bench.operations // 5))
        gc.collect()
        wall = time.perf_counter_ns()
        cpu = time.process_time_ns()
        runner.run(body(bench.operations))
        cpu = time.process_time_ns() - cpu
        wall = time.perf_counter_ns() - wall
    return {"cpu": cpu / bench.operations, "wall": wall / bench.operations}


def main() -> None:
    """Measures the benchmarks named on the command line, or all of them."""
    package, *names = sys.argv[1:]
    chosen = [bench for bench in BENCHMARKS if not names or bench.name in names]
    figures = {}
    for bench in chosen:
        print(bench.name, file=sys.stderr, flush=True)
        figures[bench.name] = measure(bench, package)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
