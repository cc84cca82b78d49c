"""The event loops that every test body runs on.

Used by ``tests/conftest.py`` for the fixtures and by tests that start a Python of their own.
``VIVACE_TEST_LOOPS`` narrows the choice, as in ``VIVACE_TEST_LOOPS=asyncio pytest``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

NAMES = tuple(os.environ.get("VIVACE_TEST_LOOPS", "asyncio,vivace").split(","))

# The line that gives a script of its own the name `new_event_loop`.
IMPORT_LINE = {
    "asyncio": "from asyncio import SelectorEventLoop as new_event_loop",
    "vivace": "from vivace import new_event_loop",
}


def factory(name: str) -> LoopFactory:
    """Return what makes a loop of the given kind.

    The import is made here, not at the top, so that a broken build fails the tests that need
    it and nothing else.
    """
    if name == "asyncio":
        return asyncio.SelectorEventLoop
    if name == "vivace":
        import vivace

        return vivace.new_event_loop
    raise ValueError(f"no event loop is called {name!r}")
