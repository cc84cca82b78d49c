"""One run of the load generator `echo-load`, and what it cost the server it talks to."""

import json
import subprocess
from collections.abc import Callable, Sequence

from .placement import CLIENT_CPU, children_on


class LoadError(Exception):
    """The load generator failed, or an answer was missing or another one than expected."""


def exchange(command: Sequence[str], cpu_seconds: Callable[[], float]) -> dict[str, float]:
    """Returns the server's CPU microseconds per message and what the load generator saw.

    Args:
        command: The load generator with its arguments. It says when it has connected and warmed
            up, and sends once it is told to, so that only this is counted.
        cpu_seconds: Reads the CPU clock of the server.

    Raises:
        LoadError: With the last line it wrote to standard error.
    """
    with children_on(CLIENT_CPU):
        client = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    with client:
        assert client.stdin is not None and client.stdout is not None
        assert client.stderr is not None
        if client.stdout.readline() == "ready\n":
            before = cpu_seconds()
            client.stdin.write("\n")
            client.stdin.flush()
            line = client.stdout.readline()
            if line:
                cpu = cpu_seconds() - before
                seen: dict[str, float] = json.loads(line)
                return seen | {"cpu_us": cpu * 1e6 / seen["messages"]}
        lines = client.stderr.read().strip().splitlines()
        raise LoadError(lines[-1] if lines else "the load generator ended without a word")
