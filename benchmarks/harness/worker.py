"""Runs one worker process and reads the JSON it prints."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .checkout import WORKERS


class WorkerError(Exception):
    """A worker failed, or took longer than its limit."""


def run_worker(
    python: Path,
    script: str,
    *arguments: str,
    limit: float,
    variables: Mapping[str, str] | None = None,
) -> Any:
    """Returns what the worker printed last.

    Args:
        python: The interpreter to run it with.
        script: A file in `workers/`.
        *arguments: Its command line.
        limit: Seconds after which it is ended.
        variables: What its environment has besides that of this process.

    Raises:
        WorkerError: With the last line it wrote to standard error.
    """
    command = [str(python), str(WORKERS / script), *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
            env=os.environ | dict(variables or {}),
        )
    except subprocess.TimeoutExpired as error:
        said = error.stderr.decode() if isinstance(error.stderr, bytes) else error.stderr or ""
        raise WorkerError(f"not done after {limit:.0f} s; {_last_line(said)}") from None
    if done.returncode:
        raise WorkerError(_last_line(done.stderr))
    return json.loads(done.stdout.splitlines()[-1])


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no output"
