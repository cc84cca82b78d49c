"""What looks regularly: called about once a second on the loop's thread, just before it waits.

The engine calls `tick` when the loop has turned since the last time; a loop that sleeps is woken
for it more and more seldom. What is called here must be done within a millisecond, or in slices.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

#: Who looks: called with the loop. Whoever fails is taken out and told of once.
watches: list[Callable[[Any], None]] = []

_logger = logging.getLogger("vivace.see")


def tick(loop: asyncio.AbstractEventLoop) -> None:
    """Let everybody look."""
    for watch in tuple(watches):
        try:
            watch(loop)
        except Exception:
            watches.remove(watch)
            _logger.exception("diagnostics: %s failed and is off now", watch.__qualname__)
