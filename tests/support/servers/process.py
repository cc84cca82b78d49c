"""Starts a server of Debian's packages as an unprivileged user, in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.patience import SECONDS


def require(program: str | None, package: str, what: str) -> str:
    """Return the program, or end the test: in CI it fails, elsewhere it is skipped."""
    if program is not None:
        return program
    message = f"{what} is not installed: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def unprivileged(user: str) -> list[str]:
    """The start of a command that runs the rest as `user`, empty when not root already."""
    if os.geteuid() != 0:
        return []
    runuser = shutil.which("runuser") or "/usr/sbin/runuser"
    return [runuser, "-u", user, "--"]


def environment() -> dict[str, str]:
    """The environment of a server: without what is loaded into the interpreter under test.

    A sanitizer is preloaded for the extension; in the programs of a database it would only find
    theirs, and start them slowly or not at all.
    """
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


@contextlib.contextmanager
def folder(user: str) -> Iterator[Path]:
    """A folder that belongs to `user`, directly under /tmp: those of pytest are root's alone."""
    path = Path(tempfile.mkdtemp(prefix=f"vivace-{user}-"))
    try:
        if os.geteuid() == 0:
            entry = pwd.getpwnam(user)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def running(
    command: list[str], ready: Callable[[], bool], log: Path, stop: signal.Signals
) -> Iterator[None]:
    """Run a server for as long as the block lasts.

    Args:
        command: What to run.
        ready: Tells whether the server answers yet.
        log: Where its output goes, shown when it does not come up.
        stop: The signal that ends it.
    """
    with open(log, "wb") as output:
        # A session of its own: a Ctrl-C at the terminal must not end it before the tests.
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment(),
        )
    try:
        deadline = time.monotonic() + SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                text = log.read_text(errors="replace")
                pytest.fail(f"{command[-1]} did not start:\n{text}", pytrace=False)
            time.sleep(0.02)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            # runuser hands SIGTERM on to its child; to be sure the whole session gets it.
            os.killpg(process.pid, stop)
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
