"""Cancelling what makes a connection or a process, at any stage of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


async def cancel_after(
    turns: int,
    connect: Callable[[Callable[[], Any]], Coroutine[Any, Any, tuple[Any, Any]]],
    factory: Callable[[], Any],
    last: str = "lost",
) -> None:
    """Cancel `connect(factory)` after some turns of the loop, and wait for the end of it.

    It may have come through all the same; then it is closed.

    Args:
        turns: How many turns it has.
        connect: Gives a transport and its protocol, as `create_connection` does.
        factory: Makes the protocol, a recorder.
        last: The future of the recorder that stands for its last callback.
    """
    protocols = []

    def make() -> Any:
        protocols.append(factory())
        return protocols[-1]

    task = asyncio.create_task(connect(make))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    try:
        transport, _ = await task
    except asyncio.CancelledError:
        pass
    else:
        transport.close()
    for protocol in protocols:
        if protocol.calls:
            await getattr(protocol, last)
