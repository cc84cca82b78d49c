"""The executor of a loop: calls in its threads, and its end.

Calls take a short cut where they can (`_thread_jobs.py`). The end of the default executor has the
time limit that Python 3.13 gives it: Python 3.11 takes no limit, and 3.12 takes one and waits all
the same, blocking the loop. Both get here what 3.13 has.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import warnings
from asyncio import futures
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

__all__ = ["ExecutorLoop"]


_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class ExecutorLoop(asyncio.SelectorEventLoop):
    """The part of the loop that has to do with executors."""

    __slots__ = ()

    if TYPE_CHECKING:
        _default_executor: Executor | None
        _executor_shutdown_called: bool

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """Has a thread (or process) of an executor call `func(*args)`.

        Args:
            executor: None for the default one, whose threads are made as they are needed.
            func: what is called there.
            args: its arguments.

        Returns:
            The future of what it returns or raises.
        """
        taken = self._default_executor if executor is None else executor
        if (
            taken is not None
            and not self.is_closed()
            and not self.get_debug()
            and not (executor is None and self._executor_shutdown_called)
        ):
            from . import _thread_jobs

            if _thread_jobs.takes_jobs(taken):
                future = _thread_jobs.submit(self, taken, func, args)
                if future is not None:
                    return future
        # What is refused is refused there, as by asyncio.
        return super().run_in_executor(executor, func, *args)

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
