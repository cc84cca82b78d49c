"""What the threads of an executor are doing."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable
from types import FrameType
from typing import NamedTuple

from ._authors import USER, author
from ._sites import Site

#: What runs a job: the frame of the job itself is the next one.
_RUNNERS = (
    "concurrent/futures/thread.py",
    "vivace/_thread_jobs.py",
    "anyio/_backends/_asyncio.py",
)
#: Reports show so many lines of a thread.
_SHOWN = 6


class Job(NamedTuple):
    """What a thread of an executor is doing."""

    thread: str
    #: The same as long as the thread does the same job.
    identity: int
    #: The innermost frame last.
    stack: list[Site]

    @property
    def site(self) -> Site:
        """The innermost line of the program, or else the outermost of the job."""
        for site in reversed(self.stack):
            # What has no file of its own is generated.
            if author(site.file) == USER and not site.file.startswith("<"):
                return site
        return self.stack[0]

    def lines(self) -> list[tuple[str, str]]:
        """The innermost lines, as reports have them."""
        return [("", f"{site}   {site.source}") for site in self.stack[-_SHOWN:]]


def is_thread_pool(executor: object) -> bool:
    """Whether an executor is the standard library's with threads.

    Its module is not imported for that: at the end of the process it cannot be.
    """
    module = sys.modules.get("concurrent.futures.thread")
    return module is not None and isinstance(executor, module.ThreadPoolExecutor)


def jobs(threads: Iterable[threading.Thread]) -> list[Job]:
    """The jobs of those threads that have one."""
    frames = sys._current_frames()
    found = []
    for thread in threads:
        frame = frames.get(thread.ident or 0)
        job = _job(thread, frame) if frame is not None else None
        if job is not None:
            found.append(job)
    return found


def _job(thread: threading.Thread, frame: FrameType) -> Job | None:
    stack: list[Site] = []
    runner, depth, found = None, 0, -1
    each: FrameType | None = frame
    while each is not None:
        code = each.f_code
        if code.co_name == "run" and code.co_filename.replace(os.sep, "/").endswith(_RUNNERS):
            # The outermost one: the job may use the same module. From 3.14 on there are two of
            # them, one right inside the other, and the job is inside of both.
            runner, depth = each, depth if found == len(stack) - 1 else len(stack)
            found = len(stack)
        stack.append(Site(code.co_filename, each.f_lineno or 0, code.co_qualname))
        each = each.f_back
    if runner is None or depth == 0:
        return None
    variables = runner.f_locals
    # In anyio the future goes with the job; in the standard library the job is an object.
    job = variables.get("future")
    if job is None and not runner.f_code.co_filename.endswith("_asyncio.py"):
        job = variables.get("self")
    return None if job is None else Job(thread.name, id(job), stack[:depth][::-1])
