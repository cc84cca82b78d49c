"""Begins to look, when the first loop of the process is made: each part has a line here."""

from __future__ import annotations

import os

from . import _deadlocks, _gauges, _jobs, _lost, _snapshot, _tick
from ._settings import settings

#: Imported here for the engine, which calls `_jobs.run` if somebody asks for something.
__all__ = ["_jobs", "begin"]

_begun = False


def begin() -> None:
    """Look from now on, unless nothing is to be looked at; a second time does nothing."""
    global _begun
    if _begun:
        return
    _begun = True
    chosen = settings()
    if not chosen.on:
        return
    _tick.watches.append(_snapshot.watch)
    _deadlocks.begin(chosen.dev)
    if os.environ.get("VIVACE_RACES") == "1":
        from . import _races

        _races.install()
    _lost.begin()
    _tick.watches.append(_gauges.watch)
