"""Fixtures of the tests with other people's libraries: the servers these talk to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.servers import postgres as postgres_server
from support.servers import redis as redis_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What the libraries' own code is warned about is no business of this suite.
    for item in items:
        if item.path.parent.name == "downstream":
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Postgres]:
    """A PostgreSQL server for the whole run."""
    with postgres_server.serve() as server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[redis_server.Redis]:
    """A Redis server for the whole run."""
    with redis_server.serve() as server:
        yield server
