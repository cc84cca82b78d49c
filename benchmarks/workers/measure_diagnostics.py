"""Measures what vivace's diagnostics cost; VIVACE_DIAG of its environment says whether they are on.

    VIVACE_DIAG=0 python measure_diagnostics.py

Prints one line of JSON: CPU nanoseconds per operation. Started by `suites/diagnostics.py`.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import vivace

CALLBACKS = 400_000
TASKS = 150_000
SLEEPS = 300_000
ROUND_TRIPS = 20_000
REQUESTS = 10_000

APPLICATION = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})
"""


def nothing() -> None:
    """A callback."""


async def call_soon(count: int) -> None:
    """Callbacks by the hundred."""
    loop = asyncio.get_running_loop()
    for _ in range(count // 100):
        for _ in range(100):
            loop.call_soon(nothing)
        await asyncio.sleep(0)


async def call_soon_threadsafe(count: int) -> None:
    """The same by the call for other threads."""
    loop = asyncio.get_running_loop()
    for _ in range(count // 100):
        for _ in range(100):
            loop.call_soon_threadsafe(nothing)
        await asyncio.sleep(0)


async def resolve(count: int) -> None:
    """Futures that a callback resolves."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        future: asyncio.Future[None] = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future


async def empty() -> None:
    """A task that ends at once."""


async def create_and_await(count: int) -> None:
    """Tasks that are awaited."""
    for _ in range(count):
        await asyncio.create_task(empty())


async def sleep_0(count: int) -> None:
    """Steps of one task."""
    for _ in range(count):
        await asyncio.sleep(0)


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answers."""
        self.transport.write(data)


class Player(Echo):
    """Counts the answers."""

    def __init__(self, count: int, done: asyncio.Future[None]) -> None:
        self.left = count
        self.done = done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        super().connection_made(transport)
        self.transport.write(b"x" * 100)

    def data_received(self, data: bytes) -> None:
        """Goes on, or ends."""
        self.left -= 1
        if self.left:
            self.transport.write(data)
        else:
            self.done.set_result(None)


async def echo(count: int) -> None:
    """Round trips between two connections of one loop."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await loop.create_connection(lambda: Player(count, done), "127.0.0.1", port)
    await done
    transport.close()
    server.close()


async def settle() -> None:
    """The first look of the diagnostics, which imports what they need, is part of no figure."""
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        await asyncio.sleep(0.01)


def per_operation(body: Callable[[int], Coroutine[Any, Any, None]], count: int) -> float:
    """CPU nanoseconds of one, on a loop that has run before."""
    with asyncio.Runner(loop_factory=vivace.new_event_loop) as runner:
        runner.run(body(count // 10))
        begin = time.process_time_ns()
        runner.run(body(count))
        return (time.process_time_ns() - begin) / count


def http_hello(count: int) -> float:
    """CPU nanoseconds of the server for a request on a connection that stays."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "hello.py").write_text(APPLICATION)
        command = [sys.executable, "-m", "vivace", "serve", "hello:app", "--port", str(port)]
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as server:
            try:
                client = connected(port)
                exchange(client, count // 10)
                begin = processor_time(server.pid)
                exchange(client, count)
                return (processor_time(server.pid) - begin) / count
            finally:
                server.terminate()


def connected(port: int) -> socket.socket:
    """A connection to the server, once it listens."""
    for _ in range(600):
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise SystemExit("the server does not listen")


def exchange(client: socket.socket, count: int) -> None:
    """Requests, one after the other."""
    for _ in range(count):
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = client.recv(65536)
        while not answer.endswith(b"hello"):
            answer += client.recv(65536)


def processor_time(pid: int) -> int:
    """CPU nanoseconds of all threads of a process."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)


def main() -> None:
    """Measures all of it."""
    os.environ.setdefault("VIVACE_DIAG_OUTPUT", os.devnull)
    with asyncio.Runner(loop_factory=vivace.new_event_loop) as runner:
        runner.run(settle())
    print(
        json.dumps(
            {
                "call_soon": per_operation(call_soon, CALLBACKS),
                "call_soon_threadsafe": per_operation(call_soon_threadsafe, CALLBACKS),
                "future": per_operation(resolve, TASKS),
                "create and await": per_operation(create_and_await, TASKS),
                "sleep(0)": per_operation(sleep_0, SLEEPS),
                "echo": per_operation(echo, ROUND_TRIPS),
                "HTTP hello": http_hello(REQUESTS),
            }
        )
    )


if __name__ == "__main__":
    main()
