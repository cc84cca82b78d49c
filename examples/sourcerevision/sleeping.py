"""Two routes that wait, one in each way, to watch an event loop with.

`/sync-slow` blocks a thread, as a slow disk or a database driver does;
`/async-fast` waits without one. Neither may keep the other from being answered.
"""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Query

from sourcerevision.models import Slept

router = APIRouter(tags=["sleeping"])

Seconds = Annotated[float, Query(ge=0, le=30)]


@router.get("/sync-slow")
def sync_slow(seconds: Seconds = 1.0) -> Slept:
    """Sleeps by blocking; as a plain `def` it has a worker thread to block."""
    time.sleep(seconds)
    return Slept(seconds=seconds, how="blocking")


@router.get("/async-fast")
async def async_fast(seconds: Seconds = 0.1) -> Slept:
    """Sleeps on the event loop, which serves others meanwhile."""
    await asyncio.sleep(seconds)
    return Slept(seconds=seconds, how="non-blocking")
