"""Programs that are looked at from outside: started, waited for, ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LIMIT = 120.0


class Program:
    """A program that runs under `vivace run`, and says ``ready`` when it can be looked at."""

    def __init__(self, folder: Path, source: str, *flags: str, **environment: str) -> None:
        self.folder = folder
        self.path = folder / "program.py"
        self.source = textwrap.dedent(source).lstrip("\n")
        self.path.write_text(self.source)
        self.environment = (
            os.environ
            | {
                "VIVACE_DIAG": "1",
                "VIVACE_DIAG_DIR": str(folder / "rings"),
                "VIVACE_DIAG_FORMAT": "json",
                "VIVACE_DIAG_OUTPUT": str(folder / "findings.json"),
                "NO_COLOR": "1",
            }
            | environment
        )
        with (folder / "stderr").open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "vivace", "run", *flags, str(self.path)],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def ring(self) -> Path:
        return self.folder / "rings" / f"{self.pid}.ring"

    def says(self, word: str) -> None:
        """Wait for a line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() == word:
                return
        raise AssertionError(f"it never said {word!r}: {self.stderr()}")

    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()

    def line(self, mark: str) -> int:
        lines = self.source.splitlines()
        [number] = [n for n, line in enumerate(lines, 1) if line.endswith(f"# <- {mark}")]
        return number

    def vivace(self, *arguments: str, status: int | None = 0, **keywords: Any) -> str:
        """Run a `vivace` command about it; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "vivace", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            **keywords,
        )
        if status is not None:
            assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if done.returncode in (0, 1) and done.stdout else done.stderr

    def top(self) -> dict[str, Any]:
        """What `vivace top --json` prints."""
        view: dict[str, Any] = json.loads(self.vivace("top", str(self.pid), "--json"))
        return view

    def task(self, name: str) -> dict[str, Any]:
        """One task, once it was written down."""
        for _ in range(100):
            found = [task for task in self.top()["tasks"] if task["name"] == name]
            if found:
                assert len(found) == 1
                return found[0]
        raise AssertionError(f"no task {name!r} was written down: {self.top()}")


@contextmanager
def running(folder: Path, source: str, *flags: str, **environment: str) -> Iterator[Program]:
    """A program, killed at the end."""
    program = Program(folder, source, *flags, **environment)
    try:
        program.says("ready")
        yield program
    finally:
        program.process.send_signal(signal.SIGCONT)
        program.process.kill()
        program.process.wait(30)
        assert program.process.stdout is not None
        program.process.stdout.close()
