"""Runs a server on a loop of its own, to an end that nothing can keep from coming.

`asyncio.Runner` waits for each task that it cancels, for ever if need be. A handler that swallows
its cancellation would keep the process; here it has some seconds.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ._logging import error_logger

__all__ = ["run_to_the_end"]

_T = TypeVar("_T")

_SECONDS_TO_CLEAN_UP = 1.0


def run_to_the_end(
    main: Coroutine[Any, Any, _T], loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> _T:
    """Run a coroutine on a new loop, then end what it has left behind.

    Args:
        main: The coroutine.
        loop_factory: What makes the loop.

    Returns:
        What the coroutine returned.
    """
    running: list[asyncio.Task[Any]] = []

    async def run() -> _T:
        running.extend(filter(None, [asyncio.current_task()]))
        return await main

    runner = asyncio.Runner(loop_factory=loop_factory)
    loop = runner.get_loop()
    try:
        return runner.run(run())
    finally:
        # It is still there if a handler has ended the loop by sys.exit(). It ends in order, and
        # in bounded time, before anything is taken away from under it.
        for task in running:
            task.cancel()
            loop.run_until_complete(asyncio.wait([task]))
        if loop.run_until_complete(_cancel_others()):
            # The runner would wait for them.
            asyncio.set_event_loop(None)
            loop.close()
        else:
            runner.close()


async def _cancel_others() -> int:
    """Cancel all tasks but this one, and return how many do not end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if not others:
        return 0
    for task in others:
        task.cancel()
    done, pending = await asyncio.wait(others, timeout=_SECONDS_TO_CLEAN_UP)
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            error_logger.error("A task failed while it was cancelled.", exc_info=error)
    for task in pending:
        error_logger.error("%s ignores its cancellation. It waits here:\n%s", *_described(task))
    return len(pending)


def _described(task: asyncio.Task[Any]) -> tuple[str, str]:
    """A task's name, and where it is: its coroutines, the innermost last."""
    stack = traceback.StackSummary()
    coroutine: Any = task.get_coro()
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        code = frame.f_code
        stack.append(traceback.FrameSummary(code.co_filename, frame.f_lineno, code.co_qualname))
        coroutine = coroutine.cr_await
    return task.get_name(), "".join(stack.format()).rstrip() or f"  {task!r}"
