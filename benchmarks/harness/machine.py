"""What was measured on: processor, kernel, interpreter; and whether others used it meanwhile."""

import os
import platform
import resource
import subprocess
import time
from pathlib import Path

_PYTHON = """
import platform, sysconfig
arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
flags = [
    ("optimised by profile", "--enable-optimizations" in arguments),
    ("LTO", "--with-lto" in arguments),
    ("shared libpython", bool(sysconfig.get_config_var("Py_ENABLE_SHARED"))),
]
named = [name for name, present in flags if present] or ["plain build"]
print("%s %s (%s)" % (
    platform.python_implementation(), platform.python_version(), ", ".join(named)))
"""


def describe(python: Path) -> str:
    """Returns a line about the machine and the interpreter."""
    cpu = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    virtual = " (virtual)" if "hypervisor" in Path("/proc/cpuinfo").read_text() else ""
    interpreter = subprocess.run(
        [python, "-c", _PYTHON], capture_output=True, text=True, check=True
    ).stdout.strip()
    return (
        f"{os.cpu_count()} x {cpu}{virtual}, {platform.system()} {platform.release()}, "
        f"{interpreter}"
    )


class OtherLoad:
    """How much of the machine other programs used while something was measured."""

    def __init__(self) -> None:
        """Starts to count."""
        self._begin = self._counters()

    def percent_of_a_cpu(self) -> float:
        """Returns the average since the start; this process's ended children are not others."""
        elapsed, busy, own = (
            now - before for now, before in zip(self._counters(), self._begin, strict=True)
        )
        return max(0.0, busy - own) / max(elapsed, 1e-9) * 100

    @staticmethod
    def _counters() -> tuple[float, float, float]:
        # user nice system idle iowait irq softirq steal ...
        total = Path("/proc/stat").read_text().splitlines()[0]
        ticks = [int(text) for text in total.split()[1:]]
        busy = (sum(ticks[:8]) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        mine = resource.getrusage(resource.RUSAGE_SELF)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = mine.ru_utime + mine.ru_stime + ended.ru_utime + ended.ru_stime
        return time.monotonic(), busy, own
