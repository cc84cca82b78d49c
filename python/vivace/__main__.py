"""`python -m vivace`, and what the `vivace` command calls."""

from __future__ import annotations

import sys

from ._cli import main

__all__ = ["main"]

if __name__ == "__main__":
    # Only a failure is raised: `python -i -m vivace run …` shows any SystemExit, even a 0.
    if status := main():
        sys.exit(status)
