"""What a task waits for, by `vivace.see._waits.describe`: one task of each kind, and the tree."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import CoroutineType
from typing import Any

import pytest

import vivace
from vivace.see import _waits


def described(
    make: Callable[[], Awaitable[tuple[CoroutineType[Any, Any, Any], Callable[[], object]]]],
) -> tuple[_waits.Wait, str]:
    """Describes a task that waits, ends it by the function that came with it, and its name."""

    async def main() -> tuple[_waits.Wait, str]:
        coroutine, release = await make()
        task = asyncio.ensure_future(coroutine)
        for _ in range(20):
            await asyncio.sleep(0)
        wait = _waits.describe(task)
        release()
        task.cancel()
        await asyncio.wait([task])
        return wait, coroutine.__qualname__

    return vivace.run(main())


@asynccontextmanager
async def holding(lock: asyncio.Lock) -> AsyncIterator[None]:
    async with lock:
        yield


class Box:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def use(self) -> None:
        async with self.lock:
            pass


def nothing() -> None:
    pass


async def lock_in_a_variable() -> Any:
    lock = asyncio.Lock()
    await lock.acquire()

    async def wait() -> None:
        async with lock:
            pass

    return wait(), nothing


async def lock_in_an_attribute() -> Any:
    box = Box()
    await box.lock.acquire()
    return box.use(), nothing


async def lock_behind_a_context_manager() -> Any:
    lock = asyncio.Lock()
    await lock.acquire()

    async def wait() -> None:
        async with holding(lock):
            pass

    return wait(), nothing


async def semaphore() -> Any:
    limit = asyncio.Semaphore(0)

    async def wait() -> None:
        async with limit:
            pass

    return wait(), nothing


async def event() -> Any:
    ready = asyncio.Event()
    return ready.wait(), nothing


async def condition() -> Any:
    changed = asyncio.Condition()

    async def wait() -> None:
        async with changed:
            await changed.wait()

    return wait(), nothing


async def queue_get() -> Any:
    jobs: asyncio.Queue[int] = asyncio.Queue(100)

    async def wait() -> None:
        await jobs.get()

    return wait(), nothing


async def queue_put() -> Any:
    jobs: asyncio.Queue[int] = asyncio.Queue(1)
    jobs.put_nowait(1)

    async def wait() -> None:
        await jobs.put(2)

    return wait(), nothing


async def queue_join() -> Any:
    jobs: asyncio.Queue[int] = asyncio.Queue()
    jobs.put_nowait(1)

    async def wait() -> None:
        await jobs.join()

    return wait(), nothing


async def barrier() -> Any:
    meeting = asyncio.Barrier(2)

    async def wait() -> None:
        await meeting.wait()

    return wait(), nothing


async def sleep() -> Any:
    return asyncio.sleep(30), nothing


async def sock_recv() -> Any:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    async def wait() -> None:
        with ours:
            await asyncio.get_running_loop().sock_recv(ours, 1)

    return wait(), theirs.close


async def thread() -> Any:
    go = threading.Event()

    async def wait() -> None:
        await asyncio.to_thread(go.wait)

    return wait(), go.set


async def shield() -> Any:
    async def wait() -> None:
        await asyncio.shield(asyncio.sleep(0.01))

    return wait(), nothing


async def future() -> Any:
    answer = asyncio.get_running_loop().create_future()

    async def wait() -> None:
        await answer

    return wait(), nothing


async def under_wait_for() -> Any:
    ready = asyncio.Event()

    async def wait() -> None:
        await asyncio.wait_for(ready.wait(), 30)

    return wait(), nothing


async def asynchronous_generator() -> Any:
    ready = asyncio.Event()

    async def items() -> AsyncIterator[int]:
        await ready.wait()
        yield 1

    async def wait() -> None:
        async for _ in items():
            pass

    return wait(), nothing


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lock_in_a_variable, "Lock", 'Lock "lock"'),
        (lock_in_an_attribute, "Lock", 'Lock "self.lock"'),
        (lock_behind_a_context_manager, "Lock", 'Lock "lock"'),
        (semaphore, "Semaphore", 'Semaphore "limit"'),
        (event, "Event", "Event"),
        (condition, "Condition", 'Condition "changed"'),
        (queue_get, "Queue.get", 'queue "jobs" 0/100'),
        (queue_put, "Queue.put", 'queue "jobs" 1/1'),
        (queue_join, "Queue.join", 'queue "jobs", 1 unfinished'),
        (barrier, "Barrier", 'Barrier "meeting" 1/2'),
        (sleep, "sleep", "sleep 30 s"),
        (sock_recv, "io", None),
        (thread, "executor", "Event.wait() in a thread"),
        (shield, "shield", None),
        (future, "future", 'future "answer"'),
        (asynchronous_generator, "Event", 'Event "ready"'),
    ],
)
def test_each_kind_is_named(make: Any, kind: str, text: str | None) -> None:
    wait, _ = described(make)
    assert wait.kind == kind
    if text is not None:
        assert wait.text == text
    assert wait.line > 0


def test_a_descriptor_is_told() -> None:
    wait, _ = described(sock_recv)
    assert wait.fd is not None
    assert wait.text == f"sock_recv fd {wait.fd}"
    assert wait.outside


def test_a_wait_with_an_end_tells_it() -> None:
    wait, _ = described(under_wait_for)
    assert wait.until is not None
    if sys.version_info >= (3, 12):
        assert (wait.kind, wait.text) == ("Event", 'wait_for(Event "ready")')
    else:
        assert wait.kind == "wait_for"
        assert wait.text.startswith("wait_for(task Task-")


def test_the_line_is_that_of_the_program() -> None:
    wait, name = described(lock_in_a_variable)
    assert wait.file == __file__
    assert wait.function == name


def test_awake_tasks_are_told_from_waiting_ones() -> None:
    async def main() -> list[str]:
        async def nothing() -> None:
            pass

        own = asyncio.current_task()
        new = asyncio.ensure_future(nothing())
        kinds = [_waits.describe(own).kind, _waits.describe(new).kind]
        await new
        return [*kinds, _waits.describe(new).kind]

    assert vivace.run(main()) == ["running", "ready", "done"]


def test_a_timeout_around_the_wait_is_its_end() -> None:
    async def main() -> float:
        async def wait() -> None:
            async with asyncio.timeout(40), asyncio.timeout(30):
                await asyncio.Event().wait()

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0.01)
        until = _waits.describe(task).until
        task.cancel()
        await asyncio.wait([task])
        assert until is not None
        return until - asyncio.get_running_loop().time()

    assert 25 < vivace.run(main()) < 30


def waited_for(task: asyncio.Task[Any]) -> list[str]:
    """The names of the tasks that a task waits for."""
    waited = _waits.describe(task).on
    return [child.get_name() for one in waited for child in _waits.tasks_behind(one)]


def test_the_tree_goes_through_groups_and_gathers() -> None:
    async def main() -> list[tuple[str, list[str]]]:
        async def group() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(asyncio.sleep(30), name="a")
                tasks.create_task(asyncio.sleep(30), name="b")

        async def gathered() -> None:
            inner = asyncio.gather(asyncio.create_task(asyncio.sleep(30), name="c"))
            await asyncio.gather(inner, asyncio.create_task(asyncio.sleep(30), name="d"))

        async def first() -> None:
            await asyncio.wait([parents[0]], return_when=asyncio.FIRST_COMPLETED)

        parents = [
            asyncio.create_task(group(), name="group"),
            asyncio.create_task(gathered(), name="gathered"),
            asyncio.create_task(first(), name="first"),
        ]
        await asyncio.sleep(0.01)
        found = [(parent.get_name(), sorted(waited_for(parent))) for parent in parents]
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.wait(parents)
        return found

    assert vivace.run(main()) == [
        ("group", ["a", "b"]),
        ("gathered", ["c", "d"]),
        ("first", ["group"]),
    ]


def test_nothing_stays_with_the_frame() -> None:
    """Looking at a task keeps none of its old values alive."""

    class Thing:
        pass

    async def main() -> int:
        go = asyncio.Event()

        async def wait() -> None:
            thing = Thing()
            found.append(sys.getrefcount(thing))
            await go.wait()
            found.append(sys.getrefcount(thing))
            await go.wait()

        found: list[int] = []
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0.01)
        _waits.describe(task)
        go.set()
        await task
        return found[1] - found[0]

    assert vivace.run(main()) == 0
