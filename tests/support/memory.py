"""How much memory the process holds, seen from Python, from malloc and from the kernel."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from dataclasses import dataclass


class _MallInfo(ctypes.Structure):
    """glibc's ``struct mallinfo2``."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


_libc = ctypes.CDLL(None)
_PAGE = os.sysconf("SC_PAGE_SIZE")

if hasattr(_libc, "mallinfo2"):  # glibc 2.33
    _libc.mallinfo2.restype = _MallInfo


@dataclass(frozen=True)
class Memory:
    """One measurement.

    Attributes:
        blocks: Blocks of Python's own allocator: small objects.
        malloced: Bytes in use by malloc: large objects and everything native; 0 where the C
            library does not tell.
        resident: Bytes of the process in memory: also what neither of the two knows.
    """

    blocks: int
    malloced: int
    resident: int

    def __sub__(self, other: Memory) -> Memory:
        return Memory(
            self.blocks - other.blocks,
            self.malloced - other.malloced,
            self.resident - other.resident,
        )


def measure() -> Memory:
    """Collect garbage and measure."""
    for _ in range(3):
        gc.collect()
    malloced = 0
    if hasattr(_libc, "mallinfo2"):
        info = _libc.mallinfo2()
        malloced = info.uordblks + info.hblkhd
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * _PAGE
    return Memory(sys.getallocatedblocks(), malloced, resident)
