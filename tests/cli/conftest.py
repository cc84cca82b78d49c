"""Runs one program twice, under `python` and under `vivace run`, for tests that compare them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest
from support.patience import SECONDS

# The two ways to start the command.
SCRIPT = "vivace"
MODULE = "python -m vivace"

# What pip writes for the entry point in pyproject.toml.
ENTRY_POINT = """\
import sys
from vivace.__main__ import main
if __name__ == "__main__":
    sys.exit(main())
"""


class Outcome(NamedTuple):
    """What is seen of a process from outside."""

    status: int
    out: str
    err: str


class Commands:
    """The two ways to run a program, in a folder that holds its files."""

    def __init__(self, folder: Path, launcher: list[str]) -> None:
        self.folder = folder
        self.launcher = launcher

    def write(self, name: str, source: str) -> Path:
        """Write a file of the program; the source may be indented."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return path

    def command(self, *words: str, options: tuple[str, ...] = ()) -> list[str]:
        """The words that run the vivace command."""
        return [sys.executable, *options, *self.launcher, *words]

    def vivace(self, *words: str, stdin: str = "", options: tuple[str, ...] = ()) -> Outcome:
        """Run ``vivace`` with these words, under these options of the interpreter."""
        return self._finish(self.command(*words, options=options), stdin)

    def python(self, *words: str, stdin: str = "", options: tuple[str, ...] = ()) -> Outcome:
        """Run ``python`` with these words."""
        return self._finish([sys.executable, *options, *words], stdin)

    def same(self, *words: str, stdin: str = "", options: tuple[str, ...] = ()) -> Outcome:
        """Check that ``vivace run`` does to the last byte what ``python`` does, and return it."""
        expected = self.python(*words, stdin=stdin, options=options)
        assert self.vivace("run", *words, stdin=stdin, options=options) == expected
        return expected

    def _finish(self, command: list[str], stdin: str) -> Outcome:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.folder,
            timeout=SECONDS,
            # Colours depend on the terminal that runs the tests.
            env=os.environ | {"NO_COLOR": "1"},
        )
        return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def commands(request: pytest.FixtureRequest, tmp_path: Path) -> Commands:
    """The commands; tests parametrize it to start vivace as a module, or both ways."""
    folder = tmp_path / "project"
    folder.mkdir()
    if getattr(request, "param", SCRIPT) == MODULE:
        return Commands(folder, ["-m", "vivace"])
    script = tmp_path / "bin" / "vivace"
    script.parent.mkdir()
    script.write_text(ENTRY_POINT)
    return Commands(folder, [str(script)])
