"""When a process has served long enough: by its memory, by its age.

Both are looked at once a second. A process that is due goes in a moment without requests, if one
comes soon; it is drained in any case, so nobody's request is lost, but starting a successor
takes the processor from those that run. Ages differ a little, so that workers that were started
together do not all go together.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable

from .._native import HttpService

__all__ = ["Recycling"]

_INTERVAL = 1.0

# How long a process that is due waits for a moment without requests.
_PATIENCE = 30.0

# By how much of itself the age is made longer at most, at random.
_JITTER = 0.1


class Recycling:
    """Watches one process.

    Args:
        max_rss: Bytes of memory that may be resident, None for any.
        max_age: Seconds that it may serve, None for any.
        now: The time of the start.
        jitter: What the age is multiplied with; at random if None.
    """

    def __init__(
        self,
        max_rss: int | None,
        max_age: float | None,
        *,
        now: float,
        jitter: float | None = None,
    ) -> None:
        if jitter is None:
            jitter = 1 + random.random() * _JITTER
        self._max_rss = max_rss
        self._ends_at = None if max_age is None else now + max_age * jitter
        self._due_since: float | None = None
        self._reason = ""

    @property
    def wanted(self) -> bool:
        """Whether there is anything to watch."""
        return self._max_rss is not None or self._ends_at is not None

    def reason(self, *, now: float, rss: int, requests: int) -> str | None:
        """Why the process should go now, if it should.

        Args:
            now: The time.
            rss: How much of its memory is resident.
            requests: How many requests it is serving.
        """
        if self._due_since is None:
            if self._max_rss is not None and rss > self._max_rss:
                self._reason = (
                    f"Memory of {rss >> 20} MiB is more than the limit of {self._max_rss >> 20} MiB"
                )
            elif self._ends_at is not None and now >= self._ends_at:
                self._reason = "Maximum age reached"
            else:
                return None
            self._due_since = now
        if requests and now - self._due_since < _PATIENCE:
            return None
        return self._reason

    async def watch(self, service: HttpService, retire: Callable[[str], None]) -> None:
        """Watch this process until it is time, then tell why."""
        while self.wanted:
            await asyncio.sleep(_INTERVAL)
            reason = self.reason(
                now=time.monotonic(), rss=resident_memory(), requests=service.requests
            )
            if reason is not None:
                retire(reason)
                return


def resident_memory() -> int:
    """How many bytes of this process are in memory."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
