"""Fixtures of the example's tests: a repository, and servers of each kind."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from server import Server

_VIVACE_IS_MISSING = importlib.util.find_spec("vivace") is None

_NEEDS_VIVACE = pytest.mark.skipif(_VIVACE_IS_MISSING, reason="vivace is not installed")

COMMANDS = [
    pytest.param("uvicorn --loop asyncio", id="uvicorn"),
    pytest.param("uvicorn --loop vivace:new_event_loop", marks=_NEEDS_VIVACE, id="uvicorn-vivace"),
    pytest.param("vivace serve", marks=_NEEDS_VIVACE, id="vivace"),
]


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest) -> str:
    """What starts a server; a test that takes it runs once with each."""
    return str(request.param)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder with three machine files and one that is none."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "bracket.mcam").write_bytes(bytes(range(256)) * 40)
    (folder / "housing.mcam").write_bytes(b"")
    (folder / "drill.vnc").write_text("G0 X0 Y0\nM30\n")
    (folder / "notes.txt").write_text("not a machine file")
    return folder


@pytest.fixture
def server(repository: Path, command: str) -> Iterator[Server]:
    """A server of the repository."""
    with Server(repository, command) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of the server."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client
