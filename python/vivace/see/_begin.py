"""Begins to look, when the first loop of the process is made: each part has a line here.

Only what must be there from the first moment is imported here; see `_tick` for the rest.
"""

from __future__ import annotations

import os

from . import _lost, _tick
from ._settings import settings

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
    _tick.watches += [
        _tick.Detector(
            "_snapshot", first=_names("json _authors _frames dataclasses _waits _owners _sites")
        ),
        _tick.Detector("_deadlocks", first=_names("_reach _acquisitions _graph _deadlock_reports")),
    ]
    if chosen.dev:
        from . import _acquisitions

        _acquisitions.install()
    if os.environ.get("VIVACE_RACES") == "1":
        from . import _races

        _races.install()
    _lost.begin()
    _tick.watches.append(_tick.Detector("_gauges"))


def _names(words: str) -> tuple[str, ...]:
    """The modules of this package that are named, and those of the standard library."""
    return tuple(f"{__package__}.{word}" if word[0] == "_" else word for word in words.split())
