"""systemd: the units of docs/serve.md, sockets that it holds, and what it is told."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import serving
from support.patience import SECONDS
from support.serving import FOLDER, environment
from support.sockets import kept_port

DOCUMENT = FOLDER.parents[1] / "docs" / "serve.md"


def units() -> dict[str, str]:
    """The units of the document, by the name in their first line."""
    found = {}
    for block in re.findall(r"^```ini\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE):
        name = re.match(r"# /etc/systemd/system/(\S+)", block)
        assert name, block
        found[name[1]] = block
    return found


def flags_of_the_unit() -> list[str]:
    """What follows the application in ExecStart."""
    line = re.search(r"^ExecStart=(.*)$", units()["app.service"], re.MULTILINE)
    assert line
    _, application, flags = line[1].partition(" app:app ")
    assert application
    return flags.split()


def test_units_are_correct(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    for name, text in units().items():
        # The program and the user must be there: these two always are.
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", text, flags=re.MULTILINE)
        text = text.replace("User=app", "User=root").replace("/srv/app", str(tmp_path))
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in units())],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert complaints == [], done.stderr


class Notifications:
    """The socket that $NOTIFY_SOCKET names."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.messages: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(SECONDS)

    def next(self) -> str:
        """The next message."""
        self.messages.append(self._socket.recv(4096).decode())
        return self.messages[-1]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def notifications(tmp_path: Path) -> Iterator[Notifications]:
    notifications = Notifications(tmp_path / "notify")
    yield notifications
    notifications.close()


class TestNotifications:
    def test_one_process(self, launch_server, notifications):
        server = launch_server("apps.probe:app", env={"NOTIFY_SOCKET": notifications.path})
        assert notifications.next() == "READY=1"
        server.wait_until_up()
        assert server.get("/hello").body == b"hello"
        server.signal(signal.SIGTERM)
        assert notifications.next() == "STOPPING=1"

    def test_workers(self, launch_server, notifications):
        """Told once, by the process that systemd knows."""
        server = launch_server(
            "apps.probe:app", "--workers", "2", env={"NOTIFY_SOCKET": notifications.path}
        )
        assert notifications.next() == "READY=1"
        assert server.output().count("Application startup complete") == 2
        server.signal(signal.SIGHUP)
        assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", notifications.next())
        assert notifications.next() == "READY=1"
        server.signal(signal.SIGTERM)
        assert notifications.next() == "STOPPING=1"
        server.wait()

    def test_nobody_listens(self, start_server, tmp_path):
        server = start_server("apps.probe:app", env={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
        assert server.get("/hello").body == b"hello"

    def test_an_abstract_socket(self, launch_server):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            # The kernel chooses a name.
            sock.bind("")
            sock.settimeout(SECONDS)
            name = "@" + sock.getsockname()[1:].decode()
            launch_server("apps.probe:app", env={"NOTIFY_SOCKET": name})
            assert sock.recv(100) == b"READY=1"


def test_socket_activation(tmp_path):
    """With the flags of the unit, started by the first connection, which is answered."""
    activate = shutil.which("systemd-socket-activate")
    if activate is None:
        pytest.skip("systemd is not installed")
    with kept_port() as port:
        _activated(activate, port, tmp_path / "log")


def _activated(activate: str, port: int, log: Path) -> None:
    flags = flags_of_the_unit()
    assert flags[:2] == ["--bind", "fd://3"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(activate, "-l", f"127.0.0.1:{port}", sys.executable, "-m", "vivace", "serve"),
                *("apps.probe:app", "--app-dir", str(FOLDER), "--no-use-colors", *flags),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=FOLDER,
            env=environment(),
        )
    server = serving.Server(process, log, ["systemd-socket-activate"])
    server.address = ("127.0.0.1", port)
    try:
        server.printed("Listening on")
        assert server.get("/hello").body == b"hello"
        server.printed("Application startup complete", count=4)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    finally:
        server.kill()


def test_the_socket_outlives_a_restart(launch_server):
    """Connections made in between wait for the next server."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        fds = (held.fileno(),)
        first = launch_server("apps.probe:app", "--bind", f"fd://{held.fileno()}", pass_fds=fds)
        first.address = held.getsockname()
        assert first.get("/hello").body == b"hello"
        first.stop()
        with first.connect() as wire:
            wire.send(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
            launch_server("apps.probe:app", "--bind", f"fd://{held.fileno()}", pass_fds=fds)
            assert wire.response().body == b"hello"
