"""The end of the default executor, with the time limit that Python 3.13 gives it.

Python 3.11 takes no limit, and 3.12 takes one and waits all the same, blocking the loop. Both get
here what 3.13 has.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import warnings
from asyncio import futures
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["ExecutorLoop"]


class ExecutorLoop(asyncio.SelectorEventLoop):
    """The part of the loop that ends its executor."""

    __slots__ = ()

    if TYPE_CHECKING:
        _default_executor: Executor | None
        _executor_shutdown_called: bool

    if sys.version_info < (3, 13):

        async def shutdown_default_executor(
            self,
            timeout: float | None = None,  # noqa: ASYNC109  # asyncio's name
        ) -> None:
            """Ends the default executor and waits for its threads.

            Args:
                timeout: how many seconds to wait; then a RuntimeWarning says that threads are
                    left, and they are left.
            """
            self._executor_shutdown_called = True
            executor = self._default_executor
            if executor is None:
                return
            over: asyncio.Future[None] = self.create_future()
            thread = threading.Thread(target=_shut_down, args=(self, executor, over))
            thread.start()
            try:
                async with asyncio.timeout(timeout):
                    await over
            except TimeoutError:
                warnings.warn(
                    f"The executor did not finishing joining its threads within {timeout} seconds.",
                    RuntimeWarning,
                    stacklevel=2,
                )
                executor.shutdown(wait=False)
            else:
                thread.join()


def _shut_down(loop: asyncio.AbstractEventLoop, executor: Any, over: asyncio.Future[None]) -> None:
    """In a thread of its own: waits for the threads of the executor."""
    try:
        executor.shutdown(wait=True)
        if not loop.is_closed():
            loop.call_soon_threadsafe(
                futures._set_result_unless_cancelled,  # type: ignore[attr-defined]
                over,
                None,
            )
    except Exception as error:
        if not loop.is_closed() and not over.cancelled():
            loop.call_soon_threadsafe(over.set_exception, error)
