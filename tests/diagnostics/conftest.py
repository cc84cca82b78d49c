"""Runs a program under `vivace run` and reads what the diagnostics found.

A program is a text; its lines may carry marks (``# <- here``), so that a test names a line by its
mark and not by a number. Each defect is run with VIVACE_DIAG=0, too: then nothing may be reported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Ends a hang; no test depends on it.
LIMIT = 120.0


@dataclass
class Outcome:
    """How a program ended, and what was found in it."""

    path: Path
    source: str
    findings: list[dict[str, Any]]
    status: int
    stdout: str
    stderr: str

    def line(self, mark: str) -> int:
        """The number of the line that ends with ``# <- mark``."""
        lines = self.source.splitlines()
        [number] = [n for n, line in enumerate(lines, 1) if line.endswith(f"# <- {mark}")]
        return number

    def of(self, code: str) -> list[dict[str, Any]]:
        """The findings of one code."""
        return [finding for finding in self.findings if finding["code"] == code]

    @property
    def untimed(self) -> list[dict[str, Any]]:
        """The findings that do not come from how busy the machine is."""
        return [finding for finding in self.findings if finding["code"] > "V112"]

    def only(self, code: str) -> dict[str, Any]:
        """The one finding of a code; fails if there is none, or more."""
        found = self.of(code)
        assert len(found) == 1, f"{len(found)} of {code}: {self.findings}\n{self.stderr}"
        return found[0]


Watch = Callable[..., Outcome]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """Runs a program and returns what was found.

    ``watch(source, *arguments, diag="1", flags=[], status=0, **environment)``: `flags` are those
    of `vivace run`. `diag="0"` switches the diagnostics off.
    """
    runs = 0

    def watch(
        source: str,
        *arguments: str,
        diag: str = "1",
        flags: tuple[str, ...] = (),
        status: int | None = 0,
        **environment: str,
    ) -> Outcome:
        nonlocal runs
        runs += 1
        text = textwrap.dedent(source).lstrip("\n")
        path = tmp_path / "program.py"
        path.write_text(text)
        output = tmp_path / f"findings-{runs}.json"
        done = subprocess.run(
            [sys.executable, "-m", "vivace", "run", *flags, str(path), *arguments],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env=os.environ
            | {
                "VIVACE_DIAG": diag,
                "VIVACE_DIAG_FORMAT": "json",
                "VIVACE_DIAG_OUTPUT": str(output),
                "VIVACE_DIAG_DIR": str(tmp_path / "rings"),
            }
            | environment,
        )
        if status is not None:
            assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        findings = []
        if output.exists():
            findings = [json.loads(line) for line in output.read_text().splitlines()]
        return Outcome(path, text, findings, done.returncode, done.stdout, done.stderr)

    return watch
