"""The loop's queues as libraries and asyncio's own code look at them.

asyncio keeps a deque, a heap and a selector in private attributes, and well-known libraries look
there: at a length, for a handle, whether a descriptor is watched. These views show what the
native engine holds; each is made when it is asked for.
"""

from __future__ import annotations

import selectors
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from ._loop import EventLoop


class ReadyView:
    """`loop._ready`: what runs in the next turn."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop

    def __len__(self) -> int:
        return self._loop._ready_length()

    def __iter__(self) -> Iterator[asyncio.Handle]:
        return iter(self._loop._ready_handles())

    def append(self, handle: asyncio.Handle) -> None:
        """Has a handle run in the next turn."""
        self._loop._add_callback(handle)

    def clear(self) -> None:
        """Drops everything that is ready."""
        self._loop._clear_ready()


class TimersView:
    """`loop._scheduled`: the timers, cancelled ones included until they are cleaned up."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop

    def __len__(self) -> int:
        return self._loop._timer_count()

    def __iter__(self) -> Iterator[asyncio.TimerHandle]:
        return iter(self._loop._timer_handles())

    def clear(self) -> None:
        """Drops all timers."""
        self._loop._clear_timers()


class SelectorView:
    """`loop._selector`: which descriptors have readers and writers."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """As `selectors.BaseSelector.get_key`.

        Raises:
            KeyError: the descriptor is not watched.
        """
        watched = self._loop._watched(fileobj)
        if watched is None:
            raise KeyError(f"{fileobj!r} is not registered")
        reader, writer = watched
        mask = (selectors.EVENT_READ if reader else 0) | (selectors.EVENT_WRITE if writer else 0)
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        return selectors.SelectorKey(fileobj, fd, mask, watched)

    def get_map(self) -> dict[int, selectors.SelectorKey]:
        """As `selectors.BaseSelector.get_map`."""
        return {fd: self.get_key(fd) for fd in self._loop._watched_fds()}

    def close(self) -> None:
        """Closes the descriptors that the loop waits with: the last act of `loop.close()`."""
        self._loop._close()
