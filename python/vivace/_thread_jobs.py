"""A call for a thread of a `ThreadPoolExecutor`, whose outcome goes straight to the loop.

asyncio submits the call, gets a `concurrent.futures.Future`, and chains that to a future of the
loop: a condition, several locks and four callbacks, for an object that nobody else ever sees. A
job is put into the executor's queue in the place of the work item that `submit()` makes, and has
what the executor's threads ask of one. Threads, their number, their names and their end stay the
executor's business.

This is done for `ThreadPoolExecutor` itself only, and only while its `submit` is the standard
library's: subclasses, and tools that wrap `submit` to watch it, see every call as before.

It is imported with the first call for such an executor: `concurrent.futures.thread` is a module
that asyncio does without until then.
"""

from __future__ import annotations

from asyncio import futures
from concurrent.futures import Executor, ThreadPoolExecutor, _base
from concurrent.futures import thread as threads
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from ._native import see_job_waited

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["submit", "takes_jobs"]


class _Job:
    """A call and the future that waits for its outcome."""

    __slots__ = ("args", "asked", "function", "loop", "target")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        function: Callable[..., object],
        args: tuple[object, ...],
    ) -> None:
        self.loop = loop
        self.target: asyncio.Future[Any] = loop.create_future()
        self.function = function
        self.args = args
        self.asked = monotonic_ns()

    def run(self, _context: object = None) -> None:
        """Makes the call, in a thread of the executor (which passes a context from 3.14 on)."""
        if self.target.cancelled():
            return
        see_job_waited(self.loop, monotonic_ns() - self.asked)
        try:
            result = self.function(*self.args)
        except BaseException as error:
            self.set_exception(error)
            # The traceback has this frame, and the future the traceback.
            del self
        else:
            self._tell(futures._set_result_unless_cancelled, result)  # type: ignore[attr-defined]

    @property
    def future(self) -> _Job:
        """What an executor that will not run its jobs any more tells so."""
        return self

    def cancel(self) -> None:
        """The executor was shut down before the job's turn came."""
        self._tell(_cancel)

    def set_exception(self, error: BaseException) -> None:
        """The call has failed, or could not be made."""
        self._tell(_fail, error)

    def _tell(self, settle: Callable[..., None], *outcome: object) -> None:
        """Has the loop settle the future; once that is closed nobody waits any more."""
        try:
            if not self.loop.is_closed():
                self.loop.call_soon_threadsafe(settle, self.target, *outcome)
        except Exception:
            if not self.loop.is_closed():
                # As concurrent.futures does with what its futures' callbacks raise.
                _base.LOGGER.exception("exception calling callback for %r", self.target)


def _cancel(target: asyncio.Future[Any]) -> None:
    target.cancel()


def _fail(target: asyncio.Future[Any], error: BaseException) -> None:
    if not target.cancelled():
        target.set_exception(futures._convert_future_exc(error))  # type: ignore[attr-defined]


def takes_jobs(executor: Executor | None) -> bool:
    """Whether a job does for this executor what a call of its `submit()` would."""
    return (
        type(executor) is ThreadPoolExecutor
        and getattr(ThreadPoolExecutor.submit, "__globals__", None) is vars(threads)
        and "submit" not in executor.__dict__
    )


def submit(
    loop: asyncio.AbstractEventLoop,
    executor: Any,
    function: Callable[..., object],
    args: tuple[object, ...],
) -> asyncio.Future[Any] | None:
    """Has a thread of the executor call `function(*args)`.

    Returns:
        The future of the outcome, or None if the executor takes no more work: its own `submit()`
        says why.
    """
    job = _Job(loop, function, args)
    with executor._shutdown_lock, threads._global_shutdown_lock:
        if executor._broken or executor._shutdown or threads._shutdown:
            return None
        executor._work_queue.put(job)
        executor._adjust_thread_count()
    return job.target
