"""CPU time and memory of a server: of its process and of those that it started."""

import time
from pathlib import Path


def members(root: int) -> list[int]:
    """Returns the ids of a process and of all that descend from it."""
    found = [root]
    for identity in found:
        for task in _read(f"/proc/{identity}/task"):
            found += [int(child) for child in _text(task / "children").split()]
    return found


def cpu_seconds(root: int) -> float:
    """Returns the CPU time of all threads of all processes so far.

    A process's CPU clock has the number that `clock_getcpuclockid(3)` gives: its id inverted,
    above three bits that say "whole process, scheduler's time".
    """
    return sum(time.clock_gettime((~identity << 3) | 2) for identity in members(root))


def resident_bytes(root: int) -> int:
    """Returns the resident memory of all processes."""
    return sum(_resident_bytes(identity) for identity in members(root))


def _resident_bytes(identity: int) -> int:
    for line in _text(Path(f"/proc/{identity}/status")).splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(folder: str) -> list[Path]:
    try:
        return list(Path(folder).iterdir())
    except FileNotFoundError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
