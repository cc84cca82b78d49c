"""What a type checker must make of the public names: read by mypy, never run.

`test_types.py` has it checked strictly. A line with ``type: ignore[...]`` states a mistake that
must be found: mypy reports a comment that hides nothing, so it fails when the mistake passes.
"""

from __future__ import annotations

import asyncio
import asyncio.base_events
import contextvars
import socket
import sys
from collections.abc import Callable
from typing import Any, assert_type

import vivace


async def an_int() -> int:
    return 1


def takes_an_int(number: int) -> str:
    return str(number)


def takes_a_family(family: socket.AddressFamily) -> None:
    pass


class Echo(asyncio.Protocol):
    pass


# Running a program.

assert_type(vivace.run(an_int()), int)
assert_type(vivace.run(an_int(), debug=True), int)
vivace.run(an_int(), loop_factory=asyncio.new_event_loop)
vivace.run(an_int(), loop_factory=vivace.new_event_loop)
vivace.run(an_int)  # type: ignore[arg-type]
vivace.run(an_int(), True)  # type: ignore[call-arg]
vivace.install()

with asyncio.Runner(loop_factory=vivace.new_event_loop) as runner:
    assert_type(runner.run(an_int()), int)

if sys.version_info >= (3, 12):
    assert_type(asyncio.run(an_int(), loop_factory=vivace.new_event_loop), int)
    assert_type(asyncio.run(an_int(), loop_factory=vivace.EventLoop), int)

if sys.version_info < (3, 14):
    asyncio.set_event_loop_policy(vivace.EventLoopPolicy())
assert_type(vivace.EventLoopPolicy().new_event_loop(), asyncio.AbstractEventLoop)


# The loop.

loop = vivace.new_event_loop()
assert_type(loop, vivace.EventLoop)
as_asyncio: asyncio.AbstractEventLoop = loop
as_selector_loop: asyncio.SelectorEventLoop = loop
vivace.EventLoop(1)  # type: ignore[call-arg]

assert_type(loop.run_until_complete(an_int()), int)
assert_type(loop.time(), float)
assert_type(loop.is_running(), bool)
assert_type(loop.is_closed(), bool)
assert_type(loop.get_debug(), bool)


# Callbacks: what they are given must be what they take.

handle = loop.call_soon(takes_an_int, 1, context=contextvars.copy_context())
as_handle: asyncio.Handle = handle
handle.cancel()
assert_type(handle.cancelled(), bool)
assert_type(handle.get_context(), contextvars.Context)
timer = loop.call_later(0.5, takes_an_int, 1)
as_timer_handle: asyncio.TimerHandle = timer
assert_type(timer.when(), float)
assert_type(loop.call_at(1.5, takes_an_int, 1).when(), float)
assert_type(loop.call_soon_threadsafe(takes_an_int, 1).cancelled(), bool)

loop.call_soon(takes_an_int)  # type: ignore[arg-type]
loop.call_soon(takes_an_int, "1")  # type: ignore[arg-type]
loop.call_later("soon", takes_an_int, 1)  # type: ignore[arg-type]
loop.call_at(None, takes_an_int, 1)  # type: ignore[arg-type]
loop.call_soon_threadsafe(takes_an_int, 1, 2)  # type: ignore[arg-type]

ours, theirs = socket.socketpair()
loop.add_reader(ours, takes_an_int, 1)
loop.add_writer(ours.fileno(), takes_an_int, 1)
assert_type(loop.remove_reader(ours), bool)
assert_type(loop.remove_writer(ours), bool)
loop.add_reader(ours, takes_an_int, "1")  # type: ignore[arg-type]
loop.add_reader("a file", takes_an_int, 1)  # type: ignore[arg-type]
loop.add_signal_handler(2, takes_an_int, 1)
loop.add_signal_handler(2, takes_an_int, "1")  # type: ignore[arg-type]
assert_type(loop.remove_signal_handler(2), bool)


# Futures.

future: vivace.Future[int] = vivace.Future(loop=loop)
as_future: asyncio.Future[int] = future
future.set_result(1)
future.set_result("1")  # type: ignore[arg-type]
future.set_exception(ValueError())
assert_type(future.result(), int)
assert_type(future.exception(), BaseException | None)
assert_type(future.get_loop(), asyncio.AbstractEventLoop)
assert_type(loop.create_future(), vivace.Future[Any])


def done(ended: asyncio.Future[int]) -> None:
    assert_type(ended.result(), int)


future.add_done_callback(done)
assert_type(future.remove_done_callback(done), int)


# Tasks.

task = vivace.Task(an_int(), loop=loop, name="one")
assert_type(task, vivace.Task[int])
as_task: asyncio.Task[int] = task
covariant: asyncio.Task[object] = task
assert_type(task.result(), int)
assert_type(task.cancel("reason"), bool)
assert_type(task.uncancel(), int)
assert_type(task.get_name(), str)
assert_type(task.get_context(), contextvars.Context)
vivace.Task(an_int, loop=loop)  # type: ignore[arg-type]

# A task factory may make tasks of any class.
assert_type(loop.create_task(an_int()), asyncio.Task[int])
loop.create_task(an_int(), name="one", context=contextvars.copy_context())
loop.create_task(an_int)  # type: ignore[arg-type]
loop.set_task_factory(None)
if sys.version_info >= (3, 12):
    loop.set_task_factory(asyncio.eager_task_factory)


# Coroutines of the loop, and what can be awaited.


async def awaits() -> None:
    assert_type(await future, int)
    assert_type(await task, int)
    assert_type(await asyncio.gather(future, task), tuple[int, int])
    assert_type(await asyncio.wait_for(future, 1), int)
    assert_type(await loop.run_in_executor(None, takes_an_int, 1), str)

    transport, protocol = await loop.create_connection(Echo, "localhost", 80)
    assert_type(transport, asyncio.Transport)
    assert_type(protocol, Echo)
    server = await loop.create_server(Echo, "localhost", 0)
    assert_type(server, asyncio.base_events.Server)
    async with server:
        await server.serve_forever()
    assert_type(await loop.sock_recv(ours, 10), bytes)
    assert_type(await loop.getnameinfo(("127.0.0.1", 80)), tuple[str, str])
    found = await loop.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
    for family, *_ in found:
        takes_a_family(family)


factory: Callable[[], asyncio.AbstractEventLoop] = vivace.new_event_loop
