"""pytest-asyncio runs tests on the loop."""

from __future__ import annotations

import subprocess
import sys

from support.patience import SECONDS

BODY = """
import asyncio
import pytest
import pytest_asyncio


@pytest_asyncio.fixture
async def resource():
    await asyncio.sleep(0)
    yield asyncio.get_running_loop()
    await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_the_loop(resource):
    assert resource is asyncio.get_running_loop()
    assert type(resource).__module__.split(".")[0] == "{name}"


@pytest.mark.asyncio
async def test_a_connection():
    async def handle(reader, writer):
        writer.write(await reader.readline())
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\\n")
        assert await reader.read() == b"hello\\n"
        writer.close()
        await writer.wait_closed()


@pytest.mark.asyncio(loop_scope="module")
class TestScope:
    loop = None

    async def test_first(self):
        TestScope.loop = asyncio.get_running_loop()

    async def test_second(self):
        assert TestScope.loop is asyncio.get_running_loop()


@pytest.mark.asyncio
async def test_that_fails():
    raise ZeroDivisionError
"""


def pytest_in(folder, name, hook):
    """Run the tests above in a folder of their own with a conftest of that content."""
    (folder / "conftest.py").write_text(hook)
    (folder / "test_it.py").write_text(BODY.replace("{name}", name))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:anyio"),
            *("-W", "ignore::DeprecationWarning", str(folder)),
        ],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=SECONDS,
    )
    return done.stdout + done.stderr


def policy_hook(loop_name):
    """The conftest that sets the policy of that package."""
    policy = (
        "asyncio.DefaultEventLoopPolicy" if loop_name == "asyncio" else "vivace.EventLoopPolicy"
    )
    return (
        f"import pytest, {loop_name}\n"
        "@pytest.fixture(scope='session')\n"
        "def event_loop_policy():\n"
        f"    return {policy}()\n"
    )


def test_by_loop_factory(loop_name, tmp_path):
    import pytest_asyncio.plugin

    if hasattr(pytest_asyncio.plugin.PytestAsyncioSpecs, "pytest_asyncio_loop_factories"):
        factory = "asyncio.SelectorEventLoop" if loop_name == "asyncio" else "vivace.new_event_loop"
        hook = (
            f"import {loop_name}\n"
            "def pytest_asyncio_loop_factories(config, item):\n"
            f"    return {{'it': {factory}}}\n"
        )
    else:
        hook = policy_hook(loop_name)
    output = pytest_in(tmp_path, loop_name, hook)
    assert "1 failed, 4 passed" in output, output
    assert "ZeroDivisionError" in output


def test_by_policy(loop_name, tmp_path):
    output = pytest_in(tmp_path, loop_name, policy_hook(loop_name))
    assert "1 failed, 4 passed" in output, output
