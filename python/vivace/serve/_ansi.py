"""Colours of a terminal, by the numbers of ECMA-48."""

from __future__ import annotations

__all__ = ["styled"]

_FOREGROUND = {
    "red": 31,
    "green": 32,
    "yellow": 33,
    "blue": 34,
    "cyan": 36,
    "bright_red": 91,
    "bright_white": 97,
}


def styled(text: str, colour: str | None = None, *, bold: bool = False) -> str:
    """The text with the sequences around it that colour it, or make it bold, or both."""
    start = f"\x1b[{_FOREGROUND[colour]}m" if colour else ""
    if bold:
        start += "\x1b[1m"
    return f"{start}{text}\x1b[0m"
