"""Fixtures of the example's tests: a repository, and servers on each loop."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from server import Server

_VIVACE_IS_MISSING = importlib.util.find_spec("vivace") is None

LOOPS = [
    "asyncio",
    pytest.param(
        "vivace:new_event_loop",
        marks=pytest.mark.skipif(_VIVACE_IS_MISSING, reason="vivace is not installed"),
        id="vivace",
    ),
]


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    """What `uvicorn --loop` is given; a test that takes it runs once on each."""
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
def server(repository: Path, loop: str) -> Iterator[Server]:
    """A server of the repository."""
    with Server(repository, loop) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of the server."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client
