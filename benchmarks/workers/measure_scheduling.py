"""Measures scheduling benchmarks once on one loop, in this process.

    python measure_scheduling.py LOOP [BENCHMARK ...]
    python measure_scheduling.py --list

Started by `suites/scheduling.py`, once for each loop, benchmark and round. Prints one line of JSON:
what each benchmark means, the clock that counts, and nanoseconds per operation by clock; or the
names of all benchmarks. The line on standard error says which benchmark is on its way, for whoever
has to end this process.
"""

import asyncio
import gc
import json
import sys
import time

from loops import new_event_loop
from scheduling import BENCHMARKS
from scheduling.registry import Benchmark


def measure(bench: Benchmark, package: str) -> dict[str, object]:
    """Runs a benchmark on a new loop of `package` and returns what is reported of it."""
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
    return {
        "meaning": bench.meaning,
        "clock": bench.clock,
        "cpu": cpu / bench.operations,
        "wall": wall / bench.operations,
    }


def main() -> None:
    """Measures the benchmarks named on the command line, or all of them."""
    package, *names = sys.argv[1:]
    if package == "--list":
        print(json.dumps([bench.name for bench in BENCHMARKS]))
        return
    chosen = [bench for bench in BENCHMARKS if not names or bench.name in names]
    figures = {}
    for bench in chosen:
        print(bench.name, file=sys.stderr, flush=True)
        try:
            figures[bench.name] = measure(bench, package)
        except Exception as error:  # A loop that lacks something is compared in the rest.
            print(f"{bench.name}: {error!r}", file=sys.stderr)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
