"""What the environment asked of the diagnostics: see `vivace_see::settings`."""

from __future__ import annotations

from typing import NamedTuple

from vivace import _native


class Settings(NamedTuple):
    """What is looked at, and how."""

    #: 0 nothing, 1 what costs next to nothing, 2 (``dev``) the dear detectors too.
    level: int
    #: Seconds after which a loop counts as blocked.
    blocked: float
    #: Whether other processes of the same user may cancel tasks.
    control: bool
    #: Seconds that a task has waited that is looked at for deadlocks.
    deadlock: float

    @property
    def on(self) -> bool:
        """Whether anything is looked at."""
        return self.level > 0

    @property
    def dev(self) -> bool:
        """Whether the dear detectors run, too."""
        return self.level > 1


def settings() -> Settings:
    """What the environment asked for when it was first read."""
    return Settings(*_native.see_settings())
