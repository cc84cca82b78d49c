"""Event loops by the name of the package that provides them.

Used by every worker, so that a loop is named in the same way on every command line.
"""

import asyncio
import importlib
from typing import cast


def new_event_loop(package: str) -> asyncio.AbstractEventLoop:
    """Returns a new loop of `package`; each package measured has `new_event_loop`."""
    module = importlib.import_module(package)
    return cast(asyncio.AbstractEventLoop, module.new_event_loop())
