"""Begins to look, when the first loop of the process is made."""

from __future__ import annotations

from . import _snapshot, _tick

_begun = False


def begin() -> None:
    """Look from now on; a second time does nothing."""
    global _begun
    if not _begun:
        _begun = True
        _tick.watches.append(_snapshot.watch)
