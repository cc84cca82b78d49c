"""Where things are in the checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
WORKERS = BENCHMARKS / "workers"
NATIVE = BENCHMARKS / "native"

# Virtual environments and results; ignored by git.
WORK = ROOT / ".work" / "bench"
