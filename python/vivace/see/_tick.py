"""What looks regularly: called about once a second on the loop's thread, just before it waits.

The engine calls `called` when the loop has turned since the last time; a loop that sleeps is woken
for it more and more seldom. What is called here must be done within a millisecond, or in slices.

A detector's module is imported when it has something to look at, and not before the loop has run
for a second. One module is imported at a time, and then the loop has its turn again: together they
would take as long as a hundred requests.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
import weakref
from collections.abc import Callable
from typing import Any

#: Who looks: called with the loop. Whoever fails is taken out and told of once.
watches: list[Callable[[Any], None]] = []

_logger = logging.getLogger("vivace.see")


class Detector:
    """The function `watch` of a module of this package that is imported when it is wanted."""

    def __init__(
        self,
        name: str,
        wanted: Callable[[Any], object] = lambda loop: True,
        first: tuple[str, ...] = (),
    ) -> None:
        """Name a module.

        Args:
            name: Its name in this package.
            wanted: Called with the loop: whether there is something to look at.
            first: Modules that it needs, imported before it one by one.
        """
        self.__qualname__ = f"{name}.watch"
        self._name = f"{__package__}.{name}"
        self._wanted = wanted
        self._modules = (*first, self._name)

    def __call__(self, loop: Any) -> None:
        """Look, if there is something to look at."""
        if self._name in sys.modules or self._wanted(loop):
            importlib.import_module(self._name).watch(loop)

    def missing(self, loop: Any) -> str | None:
        """A module to be imported before this detector can look."""
        if self._name in sys.modules or not self._wanted(loop):
            return None
        return next((name for name in self._modules if name not in sys.modules), None)


#: Who has not looked yet, of a round that was broken off for an import.
_left: weakref.WeakKeyDictionary[Any, list[Callable[[Any], None]]] = weakref.WeakKeyDictionary()


def called(loop: asyncio.AbstractEventLoop) -> bool:
    """Let everybody look, up to the first who needs a module: the engine calls again soon."""
    left = _left.pop(loop, None) or list(watches)
    while left:
        if _import_missing(left[0], loop):
            _left[loop] = left
            return True
        _look(left.pop(0), loop)
    return False


def _import_missing(watch: Callable[[Any], None], loop: Any) -> bool:
    """Import a module that somebody needs, if one is missing."""
    if not isinstance(watch, Detector):
        return False
    try:
        name = watch.missing(loop)
        if name is not None:
            importlib.import_module(name)
    except Exception:
        # It will fail again as the detector looks, and is told of there.
        return False
    return name is not None


def tick(loop: asyncio.AbstractEventLoop) -> None:
    """Let everybody look now."""
    while called(loop):
        pass


def _look(watch: Callable[[Any], None], loop: Any) -> None:
    try:
        watch(loop)
    except Exception:
        if watch in watches:
            watches.remove(watch)
        _logger.exception("diagnostics: %s failed and is off now", watch.__qualname__)
