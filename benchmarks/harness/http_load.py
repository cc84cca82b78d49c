"""Load for web servers: wrk for HTTP/1.1, h2load for HTTP/2, `echo-load` for WebSockets.

All of them run on the client's processor, with one thread.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

from .checkout import ROOT, WORKERS
from .echo_load import LoadError, exchange
from .environment import PreparationError
from .http_servers import Server, ServerError
from .placement import CLIENT_CPU, children_on

# The commands and the Debian packages that they are in.
TOOLS = {"wrk": "wrk", "h2load": "nghttp2-client"}

CONNECTIONS = 32
# Of each HTTP/2 connection.
STREAMS = 10
H2_CONNECTIONS = 8
_WARM_UP_REQUESTS = 400
_PATIENCE = 60.0


def install_tools() -> None:
    """Installs the load generators.

    Raises:
        PreparationError: If one is missing and cannot be installed.
    """
    missing = [package for name, package in TOOLS.items() if not shutil.which(name)]
    if missing:
        done = subprocess.run(
            [ROOT / "tools" / "debian-packages", *missing],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise PreparationError(done.stderr.strip())


def wrk(server: Server, scheme: str, path: str, body: int, seconds: int) -> dict[str, float]:
    """Sends requests by HTTP/1.1; returns what a request cost the server and what wrk saw.

    Raises:
        ServerError: If a request failed or was answered with an error.
    """
    script = WORKERS / "wrk" / ("post.lua" if body else "report.lua")
    line = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS)]
    line += ["--duration", f"{seconds}s", "--timeout", "10s", "--script", str(script)]
    line += [f"{scheme}://127.0.0.1:{server.port}{path}"]
    line += ["--", str(body)] if body else []
    before = server.cpu_seconds()
    output = _run(line)
    cpu = server.cpu_seconds() - before
    seen: dict[str, float] = json.loads(output.splitlines()[-1])
    if seen["errors"] or not seen["requests"]:
        raise ServerError(f"{seen['errors']} of {seen['requests']} requests failed")
    return seen | {"cpu_us": cpu * 1e6 / seen["requests"]}


def h2load(server: Server, path: str, seconds: int) -> dict[str, float]:
    """Sends requests by HTTP/2 with prior knowledge, and returns the same.

    Raises:
        ServerError: If a request failed or was answered with an error.
    """
    line = ["h2load", "--threads", "1", "--clients", str(H2_CONNECTIONS)]
    line += ["--max-concurrent-streams", str(STREAMS)]
    line += [f"http://127.0.0.1:{server.port}{path}"]
    _run([*line, "--requests", str(_WARM_UP_REQUESTS)])
    before = server.cpu_seconds()
    output = _run([*line, "--duration", f"{seconds}s"])
    cpu = server.cpu_seconds() - before
    requests = re.search(r"^requests: .* (\d+) succeeded, (\d+) failed, ", output, re.MULTILINE)
    answers = re.search(r"^status codes: (\d+) 2xx,", output, re.MULTILINE)
    if requests is None or answers is None:
        raise ServerError("h2load said nothing that is understood")
    succeeded, failed = map(int, requests.groups())
    if failed or not succeeded or int(answers[1]) < succeeded:
        raise ServerError(f"{failed} of {succeeded + failed} requests failed, {answers[1]} 2xx")
    return {"requests": succeeded, "seconds": seconds, "cpu_us": cpu * 1e6 / succeeded}


def websocket(
    server: Server, binaries: Path, path: str, size: int, warmup: float, seconds: float
) -> dict[str, float]:
    """Sends messages over WebSockets and compares their echo; returns the same.

    Raises:
        ServerError: If an answer was missing or another one than expected.
    """
    line = [str(binaries / "echo-load"), "--connect", f"tcp:127.0.0.1:{server.port}"]
    line += ["--websocket", path, "--connections", str(CONNECTIONS), "--size", str(size)]
    line += ["--warmup", str(warmup), "--seconds", str(seconds), "--messages", "1000000"]
    try:
        seen = exchange(line, server.cpu_seconds)
    except LoadError as error:
        raise ServerError(str(error)) from None
    return seen | {"requests": seen["messages"]}


def _run(line: list[str]) -> str:
    try:
        with children_on(CLIENT_CPU):
            done = subprocess.run(
                line, capture_output=True, text=True, timeout=_PATIENCE, check=False
            )
    except subprocess.TimeoutExpired:
        raise ServerError(f"{line[0]} did not end") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        raise ServerError(f"{line[0]}: {said[-1]}")
    return done.stdout
