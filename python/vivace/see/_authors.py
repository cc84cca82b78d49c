"""Who wrote a file: the author of the program, of a package, of Python, or we."""

from __future__ import annotations

import os

USER, INSTALLED, STANDARD, OWN = 0, 1, 2, 3

_STANDARD_FOLDER = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PACKAGES = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))

#: Where asyncio is.
ASYNCIO_FOLDER = f"{_STANDARD_FOLDER}asyncio{os.sep}"

_known: dict[str, int] = {}


def author(filename: str) -> int:
    """Who wrote a file: `USER`, `INSTALLED`, `STANDARD` or `OWN`."""
    known = _known.get(filename)
    if known is None:
        if len(_known) > 10_000:
            _known.clear()
        known = _known[filename] = _author(filename)
    return known


def _author(filename: str) -> int:
    if filename.startswith(_OWN_FOLDER):
        return OWN
    if any(folder in filename for folder in _PACKAGES):
        return INSTALLED
    # Frozen modules have no file of their own.
    if filename.startswith((_STANDARD_FOLDER, "<frozen ")):
        return STANDARD
    return USER


def is_library(filename: str) -> bool:
    """Whether a file belongs to asyncio, or to vivace in its place."""
    return filename.startswith((ASYNCIO_FOLDER, _OWN_FOLDER))
