"""asyncio with a Rust engine.

    import vivace

    vivace.run(main())

What is public is here; where it lives:

    _requirements   refuses interpreters that cannot be served, loads the extension
    _native         the extension: loop, Future, Task, transports
    _loop           the event loop: native hot paths over asyncio's cold ones
    _run            run
    _policy         EventLoopPolicy, install
    _cli            the `vivace` command; imported by it alone
"""

from __future__ import annotations

from . import _requirements as _requirements
from ._loop import EventLoop, new_event_loop
from ._native import Future, Task
from ._policy import EventLoopPolicy, install
from ._run import run

__all__ = [
    "EventLoop",
    "EventLoopPolicy",
    "Future",
    "Task",
    "install",
    "new_event_loop",
    "run",
]

__version__ = "0.1.0"
