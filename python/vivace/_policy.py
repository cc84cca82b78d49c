"""The event loop policy, and installing it.

A policy is asyncio's older way to say which loop a program gets. Python 3.14 deprecates it and
3.16 drops it, so there the names are asked for where they do not warn: a warning is for the
program's own use of policies.
"""

from __future__ import annotations

import asyncio
import sys

from ._loop import EventLoop

if sys.version_info >= (3, 14):
    from asyncio.events import _set_event_loop_policy as _set_policy
    from asyncio.unix_events import _DefaultEventLoopPolicy as _DefaultPolicy
else:
    from asyncio import DefaultEventLoopPolicy as _DefaultPolicy
    from asyncio import set_event_loop_policy as _set_policy


class EventLoopPolicy(_DefaultPolicy):
    """The default policy of asyncio, except that the loops it makes are vivace's.

    Example:
        >>> import asyncio, vivace
        >>> asyncio.set_event_loop_policy(vivace.EventLoopPolicy())
    """

    _loop_factory = EventLoop

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Create an event loop of vivace's."""
        return EventLoop()


def install() -> None:
    """Make vivace's loop the one that asyncio uses from here on, in every thread.

    Equal to setting `EventLoopPolicy`, without the deprecation warning of Python 3.14. A running
    loop is not replaced. Where the program may be changed at the place that starts the loop,
    `vivace.run` says the same more plainly.
    """
    _set_policy(EventLoopPolicy())
