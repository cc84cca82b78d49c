"""Fixtures of the tests of `vivace serve`: servers that run, black boxes behind real sockets.

Servers with the same app and flags are shared by all tests; a test that ends or disturbs its
server starts one of its own. After each test the server must still be there.
"""

from __future__ import annotations

import contextlib
import re
import signal
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import serving
from support.http_wire import Wire

StartServer = Callable[..., serving.Server]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.parent == Path(__file__).parent]
    if serving.KIND == "vivace":
        _expect_known_faults(here)


def _expect_known_faults(items: list[pytest.Item]) -> None:
    """Mark what known_faults.toml lists."""
    by_name = {item.nodeid.rpartition("serve/")[2]: item for item in items}
    faults = tomllib.loads((Path(__file__).parent / "known_faults.toml").read_text())["fault"]
    for fault in faults:
        strict = not fault.get("sometimes", False)
        for name in fault["tests"]:
            if name in by_name:
                by_name[name].add_marker(pytest.mark.xfail(reason=fault["reason"], strict=strict))


@pytest.fixture(scope="session")
def shared_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[tuple[str, ...], serving.Server]]:
    """The servers that tests share, by app and flags."""
    servers: dict[tuple[str, ...], serving.Server] = {}
    yield servers
    with contextlib.ExitStack() as stack:
        for server in servers.values():
            stack.callback(server.kill)
            # uvicorn would wait for handlers that a failed test has left.
            if serving.KIND == "vivace":
                stack.callback(server.stop)
        for server in servers.values():
            if server.process.poll() is None:
                server.signal(signal.SIGINT)


@pytest.fixture
def shared_server(
    shared_servers: dict[tuple[str, ...], serving.Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartServer]:
    """A function that gives the running server for an app and flags, started when first used."""
    used: list[tuple[tuple[str, ...], int]] = []

    def give(app: str, *flags: str, **options: Any) -> serving.Server:
        key = (app, *flags)
        if key not in shared_servers:
            folder = tmp_path_factory.getbasetemp()
            shared_servers[key] = serving.start(folder, app, *flags, **options)
        server = shared_servers[key]
        used.append((key, server.log.stat().st_size))
        return server

    yield give
    for key, start in used:
        server = shared_servers[key]
        output = server.output(start)
        print(f"--- {' '.join(server.command)}\n{output}")
        status = server.process.poll()
        if status is not None:
            del shared_servers[key]
            pytest.fail(f"the server ended with status {status}:\n{output}")
        _no_panic(output)


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """A function that starts a server for this test alone and waits until it listens."""
    yield from _own_servers(tmp_path, serving.start)


@pytest.fixture
def launch_server(tmp_path: Path) -> Iterator[StartServer]:
    """A function that starts a server for this test alone, which need not come up."""
    yield from _own_servers(tmp_path, serving.launch)


def _own_servers(folder: Path, begin: StartServer) -> Iterator[StartServer]:
    servers: list[serving.Server] = []

    def give(app: str, *flags: str, **options: Any) -> serving.Server:
        server = begin(folder, app, *flags, **options)
        servers.append(server)
        return server

    yield give
    for server in servers:
        server.kill()
        print(f"--- {' '.join(server.command)}\n{server.output()}")
        _no_panic(server.output())


def _no_panic(output: str) -> None:
    found = re.search(r"panicked at.*|Fatal Python error(?!: Aborted).*|AddressSanitizer.*", output)
    assert found is None, found and found[0]


@pytest.fixture
def server(shared_server: StartServer) -> serving.Server:
    """A server of tests/serve/apps/probe.py with no flags but those of the tests."""
    return shared_server("apps.probe:app")


@pytest.fixture
def wire(server: serving.Server) -> Iterator[Wire]:
    """A connection to `server`."""
    with server.connect() as wire:
        yield wire
