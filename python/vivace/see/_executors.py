"""V120: every thread of an executor is busy, and jobs wait.

Looked at are the default executor of a loop (`run_in_executor(None, …)`, `asyncio.to_thread`) and
the worker threads of anyio with their limiter, which is what Starlette and FastAPI run ordinary
functions in. It is told of when both were so at every look for some seconds.
"""

from __future__ import annotations

import sys
import time
import weakref
from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

from ._findings import report
from ._settings import settings
from ._sites import duration
from ._threads import Job, is_thread_pool, jobs

#: Seconds for which it must have been full.
LIMIT = 2.0 if settings().dev else 5.0


class Load(NamedTuple):
    """How full an executor is."""

    name: str
    size: int
    busy: int
    waiting: int
    threads: Collection[Any]

    @property
    def full(self) -> bool:
        """Whether jobs wait because every thread is busy."""
        return self.busy >= self.size and self.waiting > 0


class _Watched:
    """What was seen of one executor."""

    def __init__(self, now: float) -> None:
        self.full_since = now
        #: The jobs that are being done, and since when.
        self.jobs: dict[tuple[str, int], float] = {}
        self.reported = False


_watched: weakref.WeakKeyDictionary[Any, dict[str, _Watched]] = weakref.WeakKeyDictionary()


def loads(loop: Any) -> list[Load]:
    """The executors of a loop."""
    found = []
    executor: Any = getattr(loop, "_default_executor", None)
    if is_thread_pool(executor):
        threads = tuple(executor._threads)
        waiting = executor._work_queue.qsize()
        # A thread is made for every job until there are enough: it is idle once it has ended one.
        idle = executor._idle_semaphore._value if hasattr(executor, "_idle_semaphore") else 0
        busy = max(0, len(threads) - (0 if waiting else idle))
        found.append(Load("default executor", executor._max_workers, busy, waiting, threads))
    limiter, workers = _of_anyio(loop)
    if limiter is not None:
        size = limiter.total_tokens
        if size != float("inf"):
            waiting = limiter.statistics().tasks_waiting
            load = Load("anyio's threads", int(size), limiter.borrowed_tokens, waiting, workers)
            found.append(load)
    return found


def _of_anyio(loop: Any) -> tuple[Any, Collection[Any]]:
    """anyio's limiter of threads and the threads, if the loop has them."""
    backend: Any = sys.modules.get("anyio._backends._asyncio")
    variables: Any = getattr(sys.modules.get("anyio.lowlevel"), "_run_vars", None)
    if backend is None or variables is None:
        return None, ()
    values = variables.get(loop) or {}
    limiter = values.get(getattr(backend, "_default_thread_limiter", None))
    workers = values.get(getattr(backend, "_threadpool_workers", None)) or ()
    return limiter, tuple(workers)


def watch(loop: Any) -> None:
    """Once a second."""
    now = time.monotonic()
    watched = _watched.get(loop)
    for load in loads(loop):
        if not load.full:
            if watched is not None:
                watched.pop(load.name, None)
            continue
        if watched is None:
            watched = _watched.setdefault(loop, {})
        state = watched.get(load.name)
        if state is None:
            state = watched[load.name] = _Watched(now)
        running = {(job.thread, job.identity): job for job in jobs(load.threads)}
        state.jobs = {key: state.jobs.get(key, now) for key in running}
        if now - state.full_since >= LIMIT and not state.reported:
            state.reported = True
            _report(load, state, running, now)


def _report(load: Load, state: _Watched, running: dict[tuple[str, int], Job], now: float) -> None:
    for_seconds = now - state.full_since
    stuck = sum(since <= state.full_since for since in state.jobs.values())
    title = (
        f"{load.name}: {load.busy} of {load.size} threads busy, {load.waiting} jobs waiting, "
        f"for {duration(for_seconds)}"
    )
    lines = [("jobs", f"{stuck} of {len(running)} are the same as {duration(for_seconds)} ago")]
    found: dict[str, Any] = {
        "executor": load.name,
        "size": load.size,
        "busy": load.busy,
        "waiting": load.waiting,
        "seconds": for_seconds,
        "stuck": stuck,
    }
    sites = Counter(job.site for job in running.values())
    for site, count in sites.most_common(4):
        lines.append(("", f"{count} at {site}   {site.source}"))
    if running:
        longest = min(running, key=lambda key: state.jobs[key])
        job, age = running[longest], now - state.jobs[longest]
        lines.append(("longest", f"{job.thread} for at least {duration(age)}"))
        lines += job.lines()
        found |= job.site.data()
        found["longest"] = {
            "thread": job.thread,
            "seconds": age,
            "stack": [site.data() for site in job.stack],
        }
    lines.append(("do", "make the jobs shorter, give the slow ones an executor of their own,"))
    lines.append(("", "or allow more threads; a job must not wait for another one"))
    report("V120", title, place=load.name, lines=lines, data=found)
