"""Futures and tasks of one kind met by those of another.

asyncio promises an interface (`_asyncio_future_blocking`, `add_done_callback` with a context,
`get_loop`), not a class: standard ones, ours and a library's own must work together in all
combinations.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys

import pytest


class DuckFuture:
    """The least that asyncio takes for a future, as a library could write it."""

    _asyncio_future_blocking = False  # on the class too: isfuture looks there

    def __init__(self, loop):
        self._loop = loop
        self._callbacks = []
        self._value = None
        self._finished = False
        self.cancelled_with = None

    def get_loop(self):
        return self._loop

    def done(self):
        return self._finished

    def cancel(self, msg=None):
        self.cancelled_with = msg
        self._loop.call_soon(self.finish, "cancelled")
        return True

    def finish(self, value):
        self._finished = True
        self._value = value
        for callback, context in self._callbacks:
            self._loop.call_soon(callback, self, context=context)

    def result(self):
        return self._value

    def add_done_callback(self, callback, *, context=None):
        self._callbacks.append((callback, context))

    def remove_done_callback(self, callback):
        raise NotImplementedError

    def __await__(self):
        if not self._finished:
            self._asyncio_future_blocking = True
            yield self
        return self._value


def python_classes():
    """The pure Python twins of the standard classes."""
    return asyncio.futures._PyFuture, asyncio.tasks._PyTask


TASKS = {
    "of the loop": lambda loop, coroutine: loop.create_task(coroutine),
    "standard": lambda loop, coroutine: asyncio.Task(coroutine, loop=loop),
    "python": lambda loop, coroutine: python_classes()[1](coroutine, loop=loop),
}
if sys.version_info >= (3, 14):
    # The C functions current_task and all_tasks no longer know the Python twin's tasks.
    del TASKS["python"]
FUTURES = {
    "of the loop": lambda loop: loop.create_future(),
    "standard": lambda loop: asyncio.Future(loop=loop),
    "python": lambda loop: python_classes()[0](loop=loop),
}


@pytest.fixture(params=TASKS.values(), ids=list(TASKS))
def make_task(request):
    return request.param


@pytest.fixture(params=FUTURES.values(), ids=list(FUTURES))
def make_future(request):
    return request.param


def test_classes(loop):
    async def nothing():
        pass

    task = loop.create_task(nothing())
    assert isinstance(task, asyncio.Task)
    assert isinstance(task, asyncio.Future)
    assert isinstance(loop.create_future(), asyncio.Future)
    loop.run_until_complete(task)


def test_awaiting(loop, make_task, make_future):
    async def waits(future):
        return await future

    future = make_future(loop)
    loop.call_soon(future.set_result, 1)
    assert loop.run_until_complete(make_task(loop, waits(future))) == 1
    assert loop.run_until_complete(make_task(loop, waits(future))) == 1


def test_awaiting_a_failure(loop, make_task, make_future):
    async def waits(future):
        with pytest.raises(ZeroDivisionError):
            await future
        return "caught"

    future = make_future(loop)
    loop.call_soon(future.set_exception, ZeroDivisionError())
    assert loop.run_until_complete(make_task(loop, waits(future))) == "caught"


def test_cancelling_the_task_cancels_the_future(loop, make_task, make_future):
    async def waits(future):
        await future

    future = make_future(loop)
    task = make_task(loop, waits(future))
    loop.call_soon(loop.call_soon, task.cancel, "reason")
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    assert future.cancelled()
    with pytest.raises(asyncio.CancelledError, match="reason"):
        future.result()


def test_a_task_awaits_a_task(loop, make_task):
    async def child():
        await asyncio.sleep(0)
        return asyncio.current_task()

    for other in TASKS.values():

        async def parent(other=other):
            task = other(loop, child())
            return await task is task

        assert loop.run_until_complete(make_task(loop, parent())) is True


def test_current_task_and_all_tasks(loop, make_task):
    async def who():
        me = asyncio.current_task()
        everybody = asyncio.all_tasks()
        await asyncio.sleep(0)
        assert asyncio.current_task() is me
        return me, everybody

    task = make_task(loop, who())
    assert asyncio.all_tasks(loop) == {task}
    me, everybody = loop.run_until_complete(task)
    assert me is task
    assert everybody == {task}
    assert asyncio.current_task(loop) is None
    assert asyncio.all_tasks(loop) == set()


def test_tasks_of_all_kinds_take_turns(loop):
    async def count(name, seen):
        for number in range(3):
            assert asyncio.current_task() is tasks[name]
            seen.append(name)
            await asyncio.sleep(0)

    seen = []
    tasks = {name: make(loop, count(name, seen)) for name, make in TASKS.items()}
    assert asyncio.all_tasks(loop) == set(tasks.values())
    loop.run_until_complete(asyncio.wait(tasks.values()))
    assert seen == list(TASKS) * 3


def test_gather_over_everything(loop, make_future):
    async def value(number):
        await asyncio.sleep(0)
        return number

    async def main():
        future = make_future(loop)
        loop.call_soon(future.set_result, 0)
        tasks = [make(loop, value(number)) for number, make in enumerate(TASKS.values(), 1)]
        return await asyncio.gather(future, *tasks, value(9))

    assert loop.run_until_complete(main()) == [0, *range(1, len(TASKS) + 1), 9]


def test_a_duck(loop, make_task):
    async def waits():
        return await duck

    duck = DuckFuture(loop)
    assert asyncio.isfuture(duck)
    task = make_task(loop, waits())
    loop.call_soon(loop.call_soon, duck.finish, "quack")
    assert loop.run_until_complete(task) == "quack"
    assert duck._asyncio_future_blocking is False
    ((_, context),) = duck._callbacks
    assert isinstance(context, contextvars.Context)


def test_cancelling_a_duck(loop, make_task):
    async def waits():
        return await duck

    duck = DuckFuture(loop)
    task = make_task(loop, waits())
    loop.call_soon(loop.call_soon, task.cancel, "reason")
    assert loop.run_until_complete(task) == "cancelled"  # the duck swallowed it
    assert duck.cancelled_with == "reason"


def test_run_until_complete_of_a_foreign_future(loop, make_future):
    future = make_future(loop)
    loop.call_soon(future.set_result, 3)
    assert loop.run_until_complete(future) == 3


def test_a_future_of_another_loop(loop, loop_factory, make_task, make_future):
    async def waits(future):
        with pytest.raises(RuntimeError, match="attached to a different loop"):
            await future

    other = loop_factory()
    try:
        loop.run_until_complete(make_task(loop, waits(make_future(other))))
    finally:
        other.close()


class Bad:
    """An awaitable that yields something of its own."""

    def __init__(self, value):
        self.value = value

    def __await__(self):
        yield self.value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "Task got bad yield: 5"),
        ("text", "Task got bad yield: 'text'"),
        (asyncio.sleep, "Task got bad yield: <function sleep"),
        ((i for i in ()), "yield was used instead of yield from"),
    ],
    ids=["number", "text", "function", "generator"],
)
def test_a_bad_yield(loop, make_task, value, message):
    async def main():
        await Bad(value)

    with pytest.raises(RuntimeError, match=message):
        loop.run_until_complete(make_task(loop, main()))


def test_a_yielded_future_without_await(loop, make_task, make_future):
    async def main():
        await Bad(make_future(loop))

    with pytest.raises(RuntimeError, match="yield was used instead of yield from"):
        loop.run_until_complete(make_task(loop, main()))


def test_a_task_awaiting_itself(loop, make_task):
    async def main():
        await asyncio.current_task()

    with pytest.raises(RuntimeError, match="Task cannot await on itself"):
        loop.run_until_complete(make_task(loop, main()))


def test_shield_and_wait_over_kinds(loop, make_future):
    async def main():
        future = make_future(loop)
        shielded = asyncio.shield(future)
        loop.call_soon(future.set_result, 2)
        assert await asyncio.wait_for(shielded, 5) == 2
        done, pending = await asyncio.wait([future])
        assert done == {future} and not pending

    loop.run_until_complete(main())


def test_isolated_from_a_standard_loop(loop, loop_factory):
    """A task of the loop under test ends up on its loop even from a standard loop's callback."""
    standard = asyncio.SelectorEventLoop()
    future = loop.create_future()
    standard.call_soon(future.set_result, 8)
    standard.call_soon(standard.stop)
    standard.run_forever()
    standard.close()
    assert loop.run_until_complete(future) == 8
