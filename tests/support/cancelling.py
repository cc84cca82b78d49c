"""Cancelling what makes a connection, a server or a process, at any stage of it.

`cancel_after` counts turns of the loop, `cancelled_at` awaits of the coroutine.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

# When the cancellation comes: as soon as the coroutine waits, or in the very moment in which what
# it waits for is there. What was made then has no owner but the one who is being cancelled.
MOMENTS = ("waiting", "done")


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


async def cancelled_at(coroutine: Coroutine[Any, Any, Any], number: int, moment: str) -> Any:
    """Run a coroutine in a task and cancel it at its await of that number, counted from 0.

    Returns:
        The result, if the coroutine has not so many awaits or makes light of the cancellation.

    Raises:
        CancelledError: It was cancelled.
    """

    async def run() -> Any:
        return await _watched(coroutine, number, moment)

    task = asyncio.create_task(run())
    await asyncio.wait([task])
    return task.result()


@types.coroutine
def _watched(
    coroutine: Coroutine[Any, Any, Any], number: int, moment: str
) -> Generator[Any, Any, Any]:
    task: Any = asyncio.current_task()
    count = 0
    step: Any = coroutine.send
    value: Any = None
    while True:
        try:
            awaited = step(value)
        except StopIteration as stop:
            return stop.value
        if count == number:
            if moment == "done" and awaited is not None:
                awaited.add_done_callback(lambda _: task.cancel())
            else:
                asyncio.get_running_loop().call_soon(task.cancel)
        count += 1
        try:
            value = yield awaited
        except BaseException as exc:
            step, value = coroutine.throw, exc
        else:
            step = coroutine.send
