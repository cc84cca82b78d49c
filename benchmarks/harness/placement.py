"""On which processor a child runs, so that a server and its client never share one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_ALL = sorted(os.sched_getaffinity(0))
SERVER_CPU = _ALL[0]
CLIENT_CPU = _ALL[-1]


@contextmanager
def children_on(cpu: int) -> Iterator[None]:
    """Lets the children that are started inside run on one processor only."""
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, set(_ALL))
