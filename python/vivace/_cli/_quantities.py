"""Sizes and durations: as they are given on a command line, and as they are shown."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:([kmg])(?:i?b)?|b?)")
_SHIFTS = {None: 0, "k": 10, "m": 20, "g": 30}

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|s|m|)")
_SECONDS = {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0}


def size(text: str) -> int:
    """A number of bytes: ``500M``, ``1.5GiB``, ``4096``.

    Raises:
        ValueError: It is none.
    """
    form = _SIZE.fullmatch(text.strip().lower())
    if form is None:
        raise ValueError(f"{text!r} is no size: a number of bytes, or one with K, M or G after it")
    number, factor = form[1], 1 << _SHIFTS[form[2]]
    return int(float(number) * factor) if "." in number else int(number) * factor


def duration(text: str) -> float:
    """A number of seconds: ``10s``, ``500ms``, ``2m``, ``1.5``.

    Raises:
        ValueError: It is none.
    """
    form = _DURATION.fullmatch(text.strip().lower())
    if form is None:
        raise ValueError(f"{text!r} is no time: a number of seconds, or one with ms, s or m")
    return float(form[1]) * _SECONDS[form[2]]


def shown_duration(seconds: float) -> str:
    """A duration to three digits: ``1.23 ms``."""
    for factor, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def shown_size(size: int) -> str:
    """A number of bytes: ``1.2 MB``."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def grouped(number: int) -> str:
    """Digits in groups of three."""
    return f"{number:,}".replace(",", " ")
