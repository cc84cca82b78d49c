"""V210: tasks made at one place become more and more.

Every ten seconds the pending tasks of a loop are counted by the place where they were made. A place
whose tasks became more in five samples in a row, by many, is reported, unless connections became
more as well: tasks that come with connections go with them.
"""

from __future__ import annotations

import os
import time
import weakref
from collections import deque
from itertools import pairwise
from types import CodeType
from typing import Any

from vivace import _native

from ._findings import report
from ._sites import coro_name, duration, site_of, waiting
from ._sites import data as task_data

#: Seconds between two samples.
INTERVAL = 10.0
#: How often in a row the count must have grown.
GROWTHS = 5
#: And by how many tasks altogether.
GROWTH = 20

_Place = tuple[CodeType, int]


class _Samples:
    """The samples of one loop."""

    def __init__(self) -> None:
        self.next_at = 0.0
        self.times: deque[float] = deque(maxlen=GROWTHS + 1)
        self.connections: deque[int] = deque(maxlen=GROWTHS + 1)
        self.counts: dict[_Place, deque[int]] = {}
        #: At which count a place is reported again.
        self.again: dict[_Place, int] = {}


_samples: weakref.WeakKeyDictionary[Any, _Samples] = weakref.WeakKeyDictionary()


def watch(loop: Any) -> None:
    """Once a second: takes a sample if it is time."""
    if not isinstance(loop, _native.Loop):
        return
    samples = _samples.get(loop)
    if samples is None:
        samples = _samples[loop] = _Samples()
    now = time.monotonic()
    if now < samples.next_at:
        return
    samples.next_at = now + INTERVAL
    samples.times.append(now)
    samples.connections.append(_descriptors())
    counts: dict[_Place, deque[int]] = {}
    for task, count in _native.see_census(loop):
        sites = _native.see_created(task)
        if not sites:
            continue
        place = sites[0]
        history = counts[place] = samples.counts.get(place) or deque(maxlen=GROWTHS + 1)
        history.append(count)
        if _grows(history, samples) and count >= samples.again.get(place, 0):
            samples.again[place] = 2 * count
            _report(task, place, history, samples.times)
    samples.counts = counts
    samples.again = {place: again for place, again in samples.again.items() if place in counts}


def _descriptors() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


def _grows(history: deque[int], samples: _Samples) -> bool:
    if len(history) <= GROWTHS:
        return False
    counts = list(history)
    growth = counts[-1] - counts[0]
    if growth < GROWTH or any(b <= a for a, b in pairwise(counts)):
        return False
    return 2 * (samples.connections[-1] - samples.connections[0]) < growth


def _report(task: Any, place: _Place, history: deque[int], times: deque[float]) -> None:
    made = site_of(*place)
    span = duration(times[-1] - times[0])
    name = f"{coro_name(task)}()"
    title = f"{name} made at {made}: {history[0]} -> {history[-1]} in {span}"
    waits = waiting(task)
    lines = [("made", f"at {made}")]
    if made.source:
        lines.append(("", made.source))
    lines.append(("alive", " -> ".join(map(str, history))))
    found: dict[str, Any] = made.data() | {
        "task": task_data(task),
        "counts": list(history),
        "seconds": times[-1] - times[0],
    }
    if waits.site is not None:
        lines.append(("waits", f"one of them {waits}"))
        found["waits"] = waits.data()
    lines.append(("do", "end these tasks, or limit how many there are: a TaskGroup, a semaphore"))
    report("V210", title, place=f"{made.file}:{made.line}", lines=lines, data=found)
