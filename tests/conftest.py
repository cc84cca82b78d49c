"""Fixtures of the suite: every test body runs on stock asyncio and on vivace.

The run on asyncio proves that a body states what asyncio does; the run on vivace proves that
vivace does the same. A body that needs a loop takes `run` (one coroutine under asyncio.Runner),
`loop` (a loop to drive by hand) or `loop_factory`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from support import loops
from support.certificates import Certificates
from support.reports import Reports
from support.script import run_script as run_in_new_python
from support.tls import Tls

pytest_plugins = ["support.time_limit"]

T = TypeVar("T")

#: Seconds in which a descriptor that is no leak is closed.
_MOMENT = 1.0


class Run(Protocol):
    """The type of the `run` fixture."""

    def __call__(self, main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T: ...


def pytest_collection_finish() -> None:
    # Everything imported so far lives for ever: taking it out of the collector's sight makes the
    # collection after each test cheap.
    gc.collect()
    gc.freeze()


@pytest.fixture(params=loops.NAMES)
def loop_name(request: pytest.FixtureRequest) -> str:
    """The kind of loop: ``asyncio`` or ``vivace``."""
    name: str = request.param
    if name == "asyncio":
        for marker in request.node.iter_markers("asyncio_since"):
            version, reason = marker.args
            if sys.version_info < version:
                pytest.skip(f"{reason}; vivace does on every Python")
        for marker in request.node.iter_markers("not_asyncio"):
            pytest.skip(f"asyncio does not: {marker.args[0]}")
    return name


@pytest.fixture
def loop_factory(loop_name: str) -> loops.LoopFactory:
    """What makes a loop of the kind under test."""
    return loops.factory(loop_name)


@pytest.fixture
def reports() -> Iterator[Reports]:
    """What the loops of this test told their exception handler; must be empty at the end."""
    reports = Reports()
    yield reports
    gc.collect()
    reports.check()


@pytest.fixture
def loop(loop_factory: loops.LoopFactory, reports: Reports) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop to drive by hand; it is not the current one of its thread."""
    loop = loop_factory()
    loop.set_exception_handler(reports)
    yield loop
    if loop.is_closed():
        return
    loop.set_task_factory(None)
    try:
        remaining = asyncio.all_tasks(loop)
        for task in remaining:
            task.cancel()
        if remaining:
            loop.run_until_complete(asyncio.wait(remaining))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


async def _explained(main: Coroutine[Any, Any, T]) -> T:
    """Await `main`; when the time limit cancels it, print what went wrong before.

    A failed assertion inside `async with server` first waits for the server's connections,
    which the rest of the body was to close: the failure would look like a hang.
    """
    try:
        return await main
    except asyncio.CancelledError as exc:
        if exc.__context__ is not None:
            traceback.print_exception(exc.__context__)
        raise


@pytest.fixture
def run(loop_factory: loops.LoopFactory, reports: Reports) -> Run:
    """Run one coroutine to its end on a new loop, as asyncio.run does."""

    def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
        with asyncio.Runner(debug=debug, loop_factory=loop_factory) as runner:
            runner.get_loop().set_exception_handler(reports)
            return runner.run(_explained(main))

    return run


@pytest.fixture
def run_script(loop_name: str, tmp_path: Path) -> Callable[..., Any]:
    """Run a script in a Python of its own, with ``new_event_loop`` imported for it."""

    def run(source: str, *args: str, **options: Any) -> Any:
        return run_in_new_python(tmp_path, loops.IMPORT_LINE[loop_name], source, *args, **options)

    return run


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority of the suite's own, with certificates for a server and a client."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def tls(certificates: Certificates) -> Tls:
    """TLS servers and connections with these certificates."""
    return Tls(certificates)


@pytest.fixture
def socket_path() -> Iterator[str]:
    """A short path for a Unix socket: the kernel allows 107 bytes, pytest's folders are longer."""
    with tempfile.TemporaryDirectory(prefix="vv") as folder:
        yield os.path.join(folder, "s")


@pytest.fixture(scope="session", autouse=True)
def first_loop() -> None:
    """Run a loop before any test: what a process opens once, with its first one, no test leaves."""
    import vivace

    vivace.run(asyncio.sleep(0))


@pytest.fixture(autouse=True)
def open_descriptors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves file descriptors open."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    # Another thread may have something open for a moment: the one of the diagnostics, say, which
    # answers whoever looks at all processes.
    end = time.monotonic() + _MOMENT
    while (leaked := _opened_since(before)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not leaked, f"file descriptors left open: {leaked}"


def _opened_since(before: set[str]) -> dict[int, str]:
    """The sockets, pipes and the like that are open now and were not before."""
    names = {}
    for descriptor in set(os.listdir("/proc/self/fd")) - before:
        try:
            names[int(descriptor)] = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
    # Certificates, sockets of databases and so on come from fixtures of a wider scope, and
    # pytest's capture opens files as it likes.
    kinds = ("socket:", "pipe:", "anon_inode:")
    return {descriptor: name for descriptor, name in names.items() if name.startswith(kinds)}


def pytest_configure(config: pytest.Config) -> None:
    # A runner in the background starts its children with SIGINT ignored, and the tests of
    # KeyboardInterrupt would wait for ever.
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.default_int_handler)
