"""Runs the application as its users do: a server in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

_EXAMPLES = Path(__file__).resolve().parents[2]
_LISTENING = re.compile(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")
_PATIENCE = 30.0


class Server:
    """A running server, with everything that it wrote.

    Args:
        repository: The folder that it serves; the database is in it.
        command: The module that serves, and its first arguments.
    """

    def __init__(self, repository: Path, command: str) -> None:
        self.repository = repository
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        words = [sys.executable, "-m", *command.split(), "--app-dir", str(_EXAMPLES)]
        words += ["--host", "127.0.0.1", "--port", "0"]
        # The application's own request log is under test, not the server's.
        words += ["--no-access-log", "sourcerevision.asgi:app"]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"REPO_PATH": str(repository), "PYTHONUNBUFFERED": "1"},
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        try:
            self.url = self.wait_for_line(_LISTENING).group(1)
        except BaseException:
            self.kill()
            raise

    @property
    def output(self) -> str:
        """Everything that the server has written so far."""
        with self._changed:
            return "".join(self._lines)

    def wait_for_line(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Waits until a line of the output has the pattern, and returns the match."""

        def match() -> re.Match[str] | None:
            return next(filter(None, map(pattern.search, self._lines)), None)

        with self._changed:
            self._changed.wait_for(lambda: match() or self._ended, _PATIENCE)
            found = match()
        assert found is not None, f"{pattern.pattern!r} not in the output:\n{self.output}"
        return found

    def interrupt(self) -> int:
        """Ends the server as Ctrl-C does, and returns its exit status."""
        self._process.send_signal(signal.SIGINT)
        return self._wait()

    def kill(self) -> int:
        """Ends the server as `kill -9` does, and returns its exit status."""
        self._process.kill()
        return self._wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self.kill()

    def _wait(self) -> int:
        status = self._process.wait(_PATIENCE)
        self._reader.join(_PATIENCE)
        return status

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
