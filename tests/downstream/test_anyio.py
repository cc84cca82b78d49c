"""anyio with its asyncio backend on the loop."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import anyio
import pytest
from support.patience import SECONDS


@pytest.fixture
def run_anyio(loop_factory):
    """Run a coroutine function as anyio does."""

    def run_anyio(function, *args):
        return anyio.run(function, *args, backend_options={"loop_factory": loop_factory})

    return run_anyio


def test_the_loop_is_ours(run_anyio, loop_factory):
    async def main():
        return type(asyncio.get_running_loop())

    plain = loop_factory()
    plain.close()
    assert run_anyio(main) is type(plain)


def test_task_groups_and_cancel_scopes(run_anyio):
    async def main():
        results = []

        async def work(number, *, task_status=anyio.TASK_STATUS_IGNORED):
            task_status.started(number)
            await anyio.sleep(0)
            results.append(number)

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(work, number)
            assert await group.start(work, 10) == 10
        assert sorted(results) == list(range(11))
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep(10)
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError), anyio.fail_after(0.01):
            await anyio.sleep(10)
        with anyio.CancelScope() as scope:
            scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0)
            await anyio.sleep(10)
        assert scope.cancel_called
        with pytest.raises(ExceptionGroup):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 10)
                raise ZeroDivisionError

    run_anyio(main)


def test_threads(run_anyio):
    import threading

    async def main():
        name = await anyio.to_thread.run_sync(lambda: threading.current_thread().name)
        assert "MainThread" not in name

        def call_back():
            return anyio.from_thread.run(anyio.sleep, 0)

        await anyio.to_thread.run_sync(call_back)
        async with anyio.from_thread.BlockingPortal() as portal:
            result = await anyio.to_thread.run_sync(portal.call, threading.current_thread)
            assert result is threading.current_thread()

    run_anyio(main)


def test_sockets_tls_and_datagrams(run_anyio, certificates):
    from anyio.streams.tls import TLSListener, TLSStream

    async def main():
        async def echo(stream):
            async with stream:
                async for data in stream:
                    await stream.send(data)

        for tls in (False, True):
            raw = await anyio.create_tcp_listener(local_host="127.0.0.1")
            port = raw.extra(anyio.abc.SocketAttribute.local_port)
            server = TLSListener(raw, certificates.server_context()) if tls else raw
            async with anyio.create_task_group() as group:
                group.start_soon(server.serve, echo)
                stream = await anyio.connect_tcp("127.0.0.1", port)
                if tls:
                    stream = await TLSStream.wrap(
                        stream, hostname="localhost", ssl_context=certificates.client_context()
                    )
                async with stream:
                    for size in (1, 1000, 100_000):
                        await stream.send(b"x" * size)
                        received = b""
                        while len(received) < size:
                            received += await stream.receive()
                        assert received == b"x" * size
                group.cancel_scope.cancel()
            await server.aclose()
        async with await anyio.create_udp_socket(local_host="127.0.0.1") as server:
            address = server.extra(anyio.abc.SocketAttribute.local_address)
            async with await anyio.create_connected_udp_socket(*address) as client:
                await client.send(b"hello")
                data, sender = await server.receive()
                assert data == b"hello"
                await server.sendto(b"answer", *sender)
                assert await client.receive() == b"answer"

    run_anyio(main)


def test_unix_sockets(run_anyio, socket_path):
    async def main():
        async def echo(stream):
            async with stream:
                await stream.send(await stream.receive())

        async with await anyio.create_unix_listener(socket_path) as server:
            async with anyio.create_task_group() as group:
                group.start_soon(server.serve, echo)
                async with await anyio.connect_unix(socket_path) as stream:
                    await stream.send(b"hello")
                    assert await stream.receive() == b"hello"
                group.cancel_scope.cancel()

    run_anyio(main)


def test_processes_and_signals(run_anyio):
    async def main():
        result = await anyio.run_process(["sh", "-c", "cat; echo err >&2"], input=b"through")
        assert result.stdout == b"through" and result.stderr == b"err\n"
        with pytest.raises(subprocess.CalledProcessError):
            await anyio.run_process(["false"])
        async with await anyio.open_process(["cat"]) as process:
            await process.stdin.send(b"hello")
            assert await process.stdout.receive() == b"hello"
            await process.stdin.aclose()
            assert await process.wait() == 0
        with anyio.open_signal_receiver(signal.SIGUSR1) as signals:
            signal.raise_signal(signal.SIGUSR1)
            async for number in signals:
                assert number == signal.SIGUSR1
                break

    run_anyio(main)


def test_the_pytest_plugin(loop_name, tmp_path):
    """anyio's plugin takes the factory as an option of its backend."""
    factory = "asyncio.SelectorEventLoop" if loop_name == "asyncio" else "vivace.new_event_loop"
    (tmp_path / "test_it.py").write_text(
        f"""
import anyio, asyncio, pytest
{"import vivace" if loop_name == "vivace" else ""}

@pytest.fixture(params=[pytest.param(("asyncio", {{"loop_factory": {factory}}}))])
def anyio_backend(request):
    return request.param

@pytest.fixture
async def resource():
    await anyio.sleep(0)
    yield asyncio.get_running_loop()
    await anyio.sleep(0)

@pytest.mark.anyio
async def test_it(resource):
    assert resource is asyncio.get_running_loop()
    assert type(resource).__module__.split(".")[0] == {loop_name!r}
"""
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=SECONDS,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
