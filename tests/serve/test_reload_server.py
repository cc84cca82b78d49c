"""``--reload``: the server restarts when its files change, and nobody is turned away meanwhile."""

from __future__ import annotations

import signal
import time

import pytest
from support.patience import SECONDS, SLACK

SOURCE = """
from apps.probe import app as inner

async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/version":
        await send({{"type": "http.response.start", "status": 200}})
        await send({{"type": "http.response.body", "body": b"{version}"}})
    elif scope["type"] == "http" and scope["path"] == "/stream":
        await send({{"type": "http.response.start", "status": 200}})
        await send({{"type": "http.response.body", "body": b"x", "more_body": True}})
        while (await receive())["type"] != "http.disconnect":
            pass
    else:
        await inner(scope, receive, send)
"""


@pytest.fixture(params=["watchfiles", "looking"])
def project(request, tmp_path, start_server):
    """A server that reloads, with a function that gives its application another version."""
    variables = {}
    if request.param == "watchfiles":
        pytest.importorskip("watchfiles")
    else:
        # A module of that name that cannot be imported.
        (tmp_path / "hiding").mkdir()
        (tmp_path / "hiding" / "watchfiles.py").write_text("raise ImportError('hidden')")
        variables["PYTHONPATH"] = str(tmp_path / "hiding")
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder, start_server, variables)


class Project:
    def __init__(self, folder, start_server, variables):
        self.folder = folder
        self.write(1)
        # The apps of the tests are found by the path that launch() has set.
        from support.serving import FOLDER

        path = f"{variables.get('PYTHONPATH', FOLDER)}:{FOLDER}"
        self.server = start_server(
            "application:app",
            "--reload",
            "--reload-delay",
            "0.05",
            *("--reload-dir", str(folder)),
            app_dir=folder,
            env={"PYTHONPATH": path},
        )
        # Watching begins when the reloader says so.
        self.server.printed("Started reloader process")

    def write(self, version: object, source: str = SOURCE) -> None:
        (self.folder / "application.py").write_text(source.format(version=version))

    def version(self) -> bytes:
        return self.server.get("/version").body

    def until_version(self, version: bytes) -> None:
        """Wait for it; each request on the way must be answered, by one version or another."""
        deadline = time.monotonic() + SECONDS
        while (found := self.version()) != version:
            assert found.isdigit()
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_change(project):
    assert project.version() == b"1"
    project.write(2)
    project.until_version(b"2")
    project.server.printed(r"detected changes in '.*application\.py'\. Reloading\.\.\.")


def test_one_that_is_broken_and_mended(project):
    assert project.version() == b"1"
    project.write("", "1 / 0")
    project.server.printed("ZeroDivisionError")
    assert project.server.process.poll() is None
    project.write(3)
    # The socket listens all the time: this waits until there is a server.
    assert project.version() == b"3"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_end(project, number):
    assert project.version() == b"1"
    project.server.signal(number)
    assert project.server.wait() == 0
    assert "Stopping reloader process" in project.server.output()
    assert "Finished server process" in project.server.output()


def test_an_open_stream_does_not_hold_it(project):
    """Browsers keep streams of events open; a developer does not want to wait for them."""
    with project.server.connect() as wire:
        wire.send(b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")
        assert wire.head().status == 200
        begin = time.monotonic()
        project.write(4)
        project.until_version(b"4")
        # Without --reload the stream would have the 30 seconds of the default.
        assert time.monotonic() - begin < SLACK


def test_needs_an_import_string(launch_server, tmp_path):
    (tmp_path / "program.py").write_text(
        "import vivace\nfrom apps.probe import app\nvivace.serve(app, reload=True)\n"
    )
    import subprocess
    import sys

    from support.serving import FOLDER, environment

    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=environment({"PYTHONPATH": str(FOLDER)}),
    )
    assert done.returncode == 3
    assert "import string" in done.stderr
