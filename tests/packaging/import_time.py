"""Reports what `import vivace` costs on top of `import asyncio`, in milliseconds.

    python tests/packaging/import_time.py [ROUNDS]

Not a test: it depends on the machine and on what else runs there. The aim is under 15 ms.
Processes with and without vivace take turns, so that both meet the same noise, and the medians
are compared. `vivace run` is shown beside them, as a program feels it.
"""

from __future__ import annotations

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


def seconds(arguments: list[str]) -> float:
    """How long a Python with these arguments lives."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure in turns, and print medians and the difference that matters."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for arguments in COMMANDS.values():
        seconds(arguments)  # writes the .pyc files
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            taken[name].append(seconds(arguments))
    median = {name: statistics.median(times) * 1000 for name, times in taken.items()}
    print(f"Python {sys.version.split()[0]}, median of {rounds}")
    for name, milliseconds in median.items():
        print(f"{name:24} {milliseconds:7.1f} ms")
    added = median["import asyncio, vivace"] - median["import asyncio"]
    print(f"{'added by vivace':24} {added:7.1f} ms")


if __name__ == "__main__":
    main()
