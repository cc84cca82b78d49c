"""Signals: handlers that the loop calls, and a loop that no signal leaves asleep.

The handlers are the standard library's; the wake-up descriptor is given back after the last of
them.

A handler that `signal.signal` has set runs as soon as the main thread executes Python. A loop
that is about to sleep does not: a signal that comes between its last look and the system call, or
that the kernel hands to another thread, would be handled whenever something else wakes the loop,
if ever. So while a loop runs in the main thread, signals write to its own pair of sockets.
"""

from __future__ import annotations

import asyncio
import signal
from asyncio.log import logger
from typing import TYPE_CHECKING, TypeVarTuple

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

__all__ = ["SignalsLoop"]

_Ts = TypeVarTuple("_Ts")


class SignalsLoop(asyncio.SelectorEventLoop):
    """The part of the loop that hears of signals."""

    __slots__ = ()

    if TYPE_CHECKING:
        _csock: socket.socket | None
        _signal_handlers: dict[int, asyncio.Handle]
        # What was there before the first handler; -1 for nothing.
        _previous_wakeup_fd: int
        # Whether signals wake the loop because it runs, with handlers or without.
        _watches_signals: bool

    def add_signal_handler(self, sig: int, callback: Callable[[*_Ts], object], *args: *_Ts) -> None:
        """Has `callback(*args)` called in the loop when the signal arrives.

        A signal that arrives while the loop is stopped is handled when it runs again.

        Raises:
            TypeError: `sig` is not a number, or `callback` is a coroutine.
            ValueError: there is no such signal.
            RuntimeError: not the main thread, or the signal cannot be caught.
        """
        first = not self._signal_handlers and not self.is_closed()
        if first:
            self._remember_wakeup_fd()
        try:
            super().add_signal_handler(sig, callback, *args)
        finally:
            if first and not self._signal_handlers:
                self._give_wakeup_fd_back()

    def remove_signal_handler(self, sig: int) -> bool:
        """Undoes `add_signal_handler`; tells whether there was one."""
        removed = super().remove_signal_handler(sig)
        if removed and not self._signal_handlers:
            self._give_wakeup_fd_back()
        return removed

    def _watch_signals(self) -> None:
        """The loop begins to run: from here on signals wake it, in the main thread."""
        own = self._own_wakeup_fd()
        if own == -1 or self._signal_handlers:
            return
        try:
            previous = signal.set_wakeup_fd(own, warn_on_full_buffer=False)
        except ValueError:
            return  # Not the main thread.
        if previous not in (-1, own):
            try:
                # Somebody else's: it stays his, as with asyncio's loop.
                signal.set_wakeup_fd(previous)
                return
            except (ValueError, OSError):
                pass  # It has been closed.
        self._watches_signals = True

    def _unwatch_signals(self) -> None:
        """The loop has run."""
        if self._watches_signals:
            self._watches_signals = False
            if not self._signal_handlers:
                self._give_wakeup_fd_back()

    def _forget_wakeup_fd(self) -> None:
        """Before the pair of sockets is closed in a forked child: nothing is written to it."""
        if self._watches_signals or self._signal_handlers:
            self._watches_signals = False
            self._previous_wakeup_fd = -1
            self._give_wakeup_fd_back()

    def _remember_wakeup_fd(self) -> None:
        own = self._own_wakeup_fd()
        try:
            previous = signal.set_wakeup_fd(own)
        except (ValueError, OSError):
            return  # Not the main thread: add_signal_handler says so.
        if previous != own:
            self._previous_wakeup_fd = previous

    def _give_wakeup_fd_back(self) -> None:
        """Restores the descriptor of before the first handler; ours, if the loop runs."""
        own = self._own_wakeup_fd()
        previous, self._previous_wakeup_fd = self._previous_wakeup_fd, -1
        if previous == -1 and self._watches_signals:
            previous = own
        try:
            current = signal.set_wakeup_fd(previous, warn_on_full_buffer=previous != own)
            if current not in (-1, own):
                # Somebody else has taken it over meanwhile: it stays his.
                signal.set_wakeup_fd(current)
        except (ValueError, OSError) as error:
            logger.info("restoring the wake-up descriptor failed: %s", error)

    def _own_wakeup_fd(self) -> int:
        return -1 if self._csock is None else self._csock.fileno()
