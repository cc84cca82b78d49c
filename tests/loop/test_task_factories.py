"""set_task_factory: a factory is called with exactly what this version of Python passes."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import sys

import pytest


async def nothing():
    """Ends at once."""


def expected_calls(arguments):
    """What the standard loop of this very Python passes to a factory for `arguments`."""
    return record_calls(asyncio.SelectorEventLoop, arguments)


def record_calls(loop_factory, arguments):
    """Create a task with `arguments` and return what the factory was called with."""
    loop = loop_factory()
    calls = []

    def factory(*args, **kwargs):
        assert args[0] is loop
        assert asyncio.iscoroutine(args[1])
        assert len(args) == 2
        calls.append(kwargs)
        known = {key: kwargs[key] for key in ("name", "context") if key in kwargs}
        return asyncio.Task(args[1], loop=loop, **known)

    try:
        loop.set_task_factory(factory)
        task = loop.create_task(nothing(), **arguments)
        name = task.get_name()
        loop.run_until_complete(task)
    finally:
        loop.close()
    return calls, name if arguments.get("name") else None


CONTEXT = contextvars.copy_context()


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"name": "mine"},
        {"name": None},
        {"context": CONTEXT},
        {"context": None},
        {"name": "mine", "context": CONTEXT},
    ],
    ids=str,
)
def test_arguments_of_a_factory(loop_factory, arguments):
    assert record_calls(loop_factory, arguments) == expected_calls(arguments)


@pytest.mark.skipif(
    "kwargs" not in inspect.signature(asyncio.BaseEventLoop.create_task).parameters,
    reason="this version of create_task takes no further keywords",
)
@pytest.mark.parametrize("arguments", [{"eager_start": True}, {"eager_start": False}], ids=str)
def test_further_keywords(loop_factory, arguments):
    assert record_calls(loop_factory, arguments) == expected_calls(arguments)


def test_unknown_keywords_are_refused(loop):
    coroutine = nothing()
    with pytest.raises(TypeError):
        loop.create_task(coroutine, nonsense=True)
    coroutine.close()


@pytest.mark.skipif(
    "kwargs" in inspect.signature(asyncio.BaseEventLoop.create_task).parameters,
    reason="this version of create_task takes further keywords",
)
def test_a_factory_gets_no_keywords_it_does_not_know(loop):
    """Factories of this version are called with a context at most."""
    loop.set_task_factory(lambda *args, **kwargs: asyncio.Task(args[1], loop=loop))
    coroutine = nothing()
    with pytest.raises(TypeError):
        loop.create_task(coroutine, eager_start=True)
    coroutine.close()


def test_get_and_set(loop):
    assert loop.get_task_factory() is None

    def factory(loop, coroutine, **kwargs):
        return asyncio.Task(coroutine, loop=loop, **kwargs)

    loop.set_task_factory(factory)
    assert loop.get_task_factory() is factory
    loop.set_task_factory(None)
    assert loop.get_task_factory() is None
    with pytest.raises(TypeError, match="task factory must be a callable or None"):
        loop.set_task_factory("text")


def test_the_factory_makes_every_task(run):
    made = []

    def factory(loop, coroutine, **kwargs):
        task = asyncio.Task(coroutine, loop=loop, **kwargs)
        made.append(task)
        return task

    async def main():
        asyncio.get_running_loop().set_task_factory(factory)
        own = asyncio.create_task(nothing())
        wrapped = asyncio.ensure_future(nothing())
        assert made == [own, wrapped]
        await asyncio.gather(nothing(), nothing(), own, wrapped)
        await asyncio.wait_for(nothing(), 1)
        if sys.version_info < (3, 12):  # wait_for made a task then
            assert len(made) == 5
        else:
            assert len(made) == 4
        async with asyncio.TaskGroup() as group:
            group.create_task(nothing(), name="grouped")
        assert made[-1].get_name() == "grouped"

    run(main())


def test_a_factory_may_return_any_future(loop):
    class Odd(asyncio.Future):
        def set_name(self, name):
            self.name = name

    loop.set_task_factory(lambda loop, coroutine, **kwargs: coroutine.close() or Odd(loop=loop))
    future = loop.create_task(nothing(), name="mine")
    assert isinstance(future, Odd)
    future.cancel()


def test_a_factory_that_fails(loop):
    def factory(loop, coroutine, **kwargs):
        coroutine.close()
        raise ZeroDivisionError

    loop.set_task_factory(factory)
    with pytest.raises(ZeroDivisionError):
        loop.create_task(nothing())


def test_a_subclass_of_task_as_factory(run):
    class Traced(asyncio.Task):
        pass

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coro, **kwargs: Traced(coro, loop=loop, **kwargs))
        async with asyncio.timeout(5):
            task = asyncio.create_task(asyncio.sleep(0, 5), name="traced")
            assert type(task) is Traced
            assert task.get_name() == "traced"
            assert await task == 5

    run(main())


eager = pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")


@eager
def test_the_eager_factory(run):
    seen = []

    async def body(waits):
        seen.append("started")
        if waits:
            await asyncio.sleep(0)
        return 1

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        finished = asyncio.create_task(body(False), name="finished")
        assert seen == ["started"]
        assert finished.done() and finished.get_name() == "finished"
        waiting = asyncio.create_task(body(True), context=contextvars.copy_context())
        assert len(seen) == 2 and not waiting.done()
        assert await asyncio.gather(finished, waiting, body(False), body(True)) == [1] * 4
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(body(number % 2)) for number in range(10)]
        assert [task.result() for task in tasks] == [1] * 10
        assert await asyncio.wait_for(body(True), 5) == 1
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(5), 0.001)

    run(main())


@eager
def test_an_eager_factory_of_ones_own(run):
    class Own(asyncio.Task):
        pass

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.create_eager_task_factory(Own))
        task = asyncio.create_task(asyncio.sleep(0, 3))
        assert type(task) is Own
        assert await task == 3

    run(main())


@eager
def test_eager_streams(run):
    async def handle(reader, writer):
        writer.write(await reader.readexactly(4))
        await writer.drain()
        writer.close()

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"ping")
            assert await reader.read() == b"ping"
            writer.close()
            await writer.wait_closed()

    run(main())
