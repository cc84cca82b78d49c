"""The files of the checkout, for the tests that read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What is written by hand; everything else in the checkout is built, installed or downloaded.
FOLDERS = (
    "benchmarks",
    "crates",
    "docs",
    "examples",
    "fuzz",
    "python",
    "requirements",
    "tests",
    "tools",
)

# Folders inside of them that tools fill.
FILLED = frozenset({"target", "artifacts", "corpus", "coverage", "__pycache__"})


def files(*endings: str) -> Iterator[Path]:
    """Every file written by hand whose name ends in one of these ways, relative to the root."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            relative = path.relative_to(ROOT)
            inside = set(relative.parts[:-1])
            if inside & FILLED or any(part.startswith(".") for part in relative.parts):
                continue
            if path.is_file() and path.name.endswith(endings):
                yield relative
    for path in sorted(ROOT.glob("*")):
        if path.is_file() and path.name.endswith(endings):
            yield path.relative_to(ROOT)


def read(path: Path | str) -> str:
    """The text of a file, by its path from the root."""
    return (ROOT / path).read_text(encoding="utf-8")
