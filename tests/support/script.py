"""Runs a script in a Python of its own, for what must not happen in the process of the tests.

Crashes, interpreter exit, forks and signals to the process are tested this way.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from support.patience import SECONDS


def run_script(
    folder: Path,
    import_line: str,
    source: str,
    *args: str,
    expect: int = 0,
    seconds: float = SECONDS,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `source` and return what it printed.

    Args:
        folder: Where the script is written.
        import_line: The line that imports ``new_event_loop``.
        source: The script, which may be indented.
        args: What it finds in ``sys.argv[1:]``.
        expect: The exit status without which the test fails; negative is a signal.
        seconds: How long it may run.
        environment: Variables in addition to those of this process.
    """
    script = folder / "script.py"
    script.write_text(f"{import_line}\n{textwrap.dedent(source)}")
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(script), *args],
        capture_output=True,
        text=True,
        timeout=seconds,
        env=os.environ | (environment or {}),
    )
    assert done.returncode == expect, (
        f"exit status {done.returncode}, not {expect}\n{done.stdout}\n{done.stderr}"
    )
    return done
