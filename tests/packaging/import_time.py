"""Reports what `import vivace` costs on top of `import asyncio`, in milliseconds.

    python tests/packaging/import_time.py [ROUNDS]

Not a test: it depends on the machine and on what else runs there. The aim is under 15 ms.
Processes with and without vivace take turns, so that both meet the same noise. CPU time is what
to look at where other programs run; elapsed time is given by the quickest round. `vivace run` is
shown beside them, as a program feels it.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python": ["-c", "pass"],
    "import asyncio": ["-c", "import asyncio"],
    "import asyncio, vivace": ["-c", "import asyncio, vivace"],
    "vivace run": ["-m", "vivace", "run", "-c", "import asyncio"],
}


def measure(arguments: list[str]) -> tuple[float, float]:
    """How long a Python with these arguments computes and lives, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True)
    elapsed = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    computed = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return computed * 1000, elapsed * 1000


def main() -> None:
    """Measure in turns, and print the times and the difference that matters."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for arguments in COMMANDS.values():
        measure(arguments)  # writes the .pyc files
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            taken[name].append(measure(arguments))
    print(f"Python {sys.version.split()[0]}, {rounds} rounds, milliseconds")
    print(f"{'':24} {'CPU (median)':>14} {'elapsed (min)':>14}")
    found = {}
    for name, times in taken.items():
        computed, elapsed = zip(*times, strict=True)
        found[name] = statistics.median(computed), min(elapsed)
        print(f"{name:24} {found[name][0]:14.1f} {found[name][1]:14.1f}")
    with_vivace, without = found["import asyncio, vivace"], found["import asyncio"]
    computed_more, elapsed_more = with_vivace[0] - without[0], with_vivace[1] - without[1]
    print(f"{'added by vivace':24} {computed_more:14.1f} {elapsed_more:14.1f}")


if __name__ == "__main__":
    main()
