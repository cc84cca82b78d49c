"""Tasks: names, contexts, cancellation, stacks, chaining and what is reported about them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import io
import subprocess
import sys
import traceback
import weakref

import pytest
from support.patience import SECONDS


class Failure(Exception):
    """Raised by the tests of this file."""


async def nothing():
    """Ends at once."""


async def forever():
    """Waits until it is cancelled."""
    await asyncio.get_running_loop().create_future()


def spin(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


def finish(loop, task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)


def test_type(loop):
    task = loop.create_task(nothing())
    assert isinstance(task, asyncio.Task)
    assert isinstance(task, asyncio.Future)
    assert asyncio.isfuture(task)
    assert task.get_loop() is loop
    loop.run_until_complete(task)


def test_what_is_no_coroutine(loop):
    for wrong in (5, print, nothing):
        with pytest.raises(TypeError):
            loop.create_task(wrong)


def test_starts_in_the_next_turn(loop):
    seen = []

    async def body():
        seen.append("body")

    task = loop.create_task(body())
    assert seen == []
    spin(loop)
    assert seen == ["body"]
    assert task.done()


def test_names(loop):
    first, second = loop.create_task(nothing()), loop.create_task(nothing())
    numbers = [int(task.get_name().removeprefix("Task-")) for task in (first, second)]
    assert numbers[1] == numbers[0] + 1
    named = loop.create_task(nothing(), name="mine")
    assert named.get_name() == "mine"
    named.set_name(42)
    assert named.get_name() == "42"
    numbered = loop.create_task(nothing(), name=7)
    assert numbered.get_name() == "7"
    loop.run_until_complete(asyncio.wait([first, second, named, numbered]))


def test_get_coro(loop):
    coroutine = nothing()
    task = loop.create_task(coroutine)
    assert task.get_coro() is coroutine
    loop.run_until_complete(task)
    assert task.get_coro() is coroutine


def test_result_and_exception(loop):
    async def value():
        await asyncio.sleep(0)
        return 5

    async def fail():
        await asyncio.sleep(0)
        raise Failure("failed")

    task = loop.create_task(value())
    with pytest.raises(asyncio.InvalidStateError):
        task.result()
    assert loop.run_until_complete(task) == 5
    assert task.exception() is None
    task = loop.create_task(fail())
    with pytest.raises(Failure):
        loop.run_until_complete(task)
    assert isinstance(task.exception(), Failure)


def test_set_result_is_refused(loop):
    task = loop.create_task(nothing())
    with pytest.raises(RuntimeError, match="Task does not support set_result operation"):
        task.set_result(1)
    with pytest.raises(RuntimeError, match="Task does not support set_exception operation"):
        task.set_exception(Failure())
    loop.run_until_complete(task)


def test_repr(loop):
    task = loop.create_task(nothing(), name="mine")
    kind = type(task).__name__
    assert repr(task).startswith(f"<{kind} pending name='mine' coro=<nothing() running at ")
    loop.run_until_complete(task)
    assert repr(task).startswith(f"<{kind} finished name='mine' coro=<nothing() done, defined at ")
    assert "result=None" in repr(task)
    task = loop.create_task(forever())
    spin(loop)
    assert "wait_for=<" in repr(task)
    task.cancel()
    assert "cancelling" in repr(task)
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    assert repr(task).startswith(f"<{kind} cancelled ")


def test_repr_in_debug_mode(loop):
    loop.set_debug(True)
    task = loop.create_task(nothing())
    assert "created at" in repr(task)
    assert __file__ in [frame.filename for frame in task._source_traceback]
    loop.run_until_complete(task)


def test_recursion_is_not_needed_for_long_chains(loop):
    async def chain(depth):
        if depth:
            await asyncio.ensure_future(chain(depth - 1))
        return depth

    assert loop.run_until_complete(chain(2000)) == 2000


# -- cancellation -------------------------------------------------------------------------------


def test_cancel_before_the_start(loop):
    seen = []

    async def body():
        seen.append(1)

    task = loop.create_task(body())
    assert task.cancel() is True
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    assert task.cancelled() and seen == []


def test_cancel_while_waiting(loop):
    task = loop.create_task(forever())
    spin(loop)
    assert task.cancel() is True
    assert not task.cancelled()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    assert task.cancelled() and task.done()
    assert task.cancel() is False
    with pytest.raises(asyncio.CancelledError):
        task.exception()


def test_cancel_a_task_that_is_ready(loop):
    """It was woken by a result, and the cancellation comes before it runs."""
    seen = []

    async def body(future):
        try:
            await future
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    future = loop.create_future()
    task = loop.create_task(body(future))
    spin(loop)
    future.set_result(None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    assert seen == ["cancelled"]


def test_cancel_a_finished_task(loop):
    task = loop.create_task(nothing())
    loop.run_until_complete(task)
    assert task.cancel() is False
    assert not task.cancelled()


def test_cancel_itself(loop):
    seen = []

    async def body():
        asyncio.current_task().cancel()
        seen.append("goes on")
        await asyncio.sleep(0)
        seen.append("not reached")

    task = loop.create_task(body())
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    assert seen == ["goes on"]


def test_cancel_itself_at_the_end(loop):
    async def body():
        asyncio.current_task().cancel()
        return 5

    task = loop.create_task(body())
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    assert task.cancelled()


def test_a_swallowed_cancellation(loop):
    async def body():
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "survived"

    task = loop.create_task(body())
    spin(loop)
    task.cancel()
    assert loop.run_until_complete(task) == "survived"
    assert not task.cancelled()


def test_the_message(loop):
    seen = []

    async def body():
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError as exc:
            seen.append(exc.args)
            raise

    for arguments, expected in (((), ()), (("reason",), ("reason",)), ((5,), (5,))):
        task = loop.create_task(body())
        spin(loop)
        task.cancel(*arguments)
        with pytest.raises(asyncio.CancelledError) as caught:
            loop.run_until_complete(task)
        assert seen.pop() == expected
        assert caught.value.args == expected


def test_the_message_before_the_start(loop):
    task = loop.create_task(nothing())
    task.cancel("early")
    with pytest.raises(asyncio.CancelledError, match="early"):
        loop.run_until_complete(task)


def test_the_message_of_the_second_cancel(loop):
    task = loop.create_task(forever())
    spin(loop)
    task.cancel("one")
    task.cancel("two")
    with pytest.raises(asyncio.CancelledError, match="one|two"):
        loop.run_until_complete(task)


def test_cancelling_and_uncancel(loop):
    task = loop.create_task(forever())
    assert task.cancelling() == 0
    task.cancel()
    task.cancel()
    assert task.cancelling() == 2
    assert task.uncancel() == 1
    assert task.uncancel() == 0
    assert task.uncancel() == 0
    assert task.cancelling() == 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)


def test_uncancel_before_the_start(loop):
    """From 3.13 on, taking the last request back takes the pending cancellation back too."""

    async def body():
        return 5

    task = loop.create_task(body())
    task.cancel()
    task.uncancel()
    if sys.version_info >= (3, 13):
        assert loop.run_until_complete(task) == 5
    else:
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)


def test_a_nested_task_is_cancelled_with_its_parent(loop):
    async def parent():
        await child

    child = loop.create_task(forever())
    task = loop.create_task(parent())
    spin(loop)
    task.cancel("reason")
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    assert child.cancelled()


def test_an_exception_during_the_cancellation(loop):
    async def body():
        try:
            await asyncio.sleep(10)
        finally:
            raise Failure("in finally")

    task = loop.create_task(body())
    spin(loop)
    task.cancel()
    with pytest.raises(Failure) as caught:
        loop.run_until_complete(task)
    assert isinstance(caught.value.__context__, asyncio.CancelledError)


def test_the_chain_of_a_cancellation(loop):
    """The CancelledError that leaves is the one that was raised inside, with its context."""

    async def inner():
        try:
            raise Failure("first")
        except Failure:
            await asyncio.sleep(10)

    task = loop.create_task(inner())
    spin(loop)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        loop.run_until_complete(task)
    assert isinstance(caught.value.__context__, Failure)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert "inner" in [frame.name for frame in frames]


def test_a_future_cancelled_by_somebody_else(loop):
    async def waits(future):
        await future

    future = loop.create_future()
    task = loop.create_task(waits(future))
    spin(loop)
    future.cancel("by somebody")
    with pytest.raises(asyncio.CancelledError, match="by somebody"):
        loop.run_until_complete(task)
    assert task.cancelled()


def test_a_coroutine_that_raises_cancelled_error(loop):
    async def body():
        raise asyncio.CancelledError("own")

    task = loop.create_task(body())
    with pytest.raises(asyncio.CancelledError, match="own"):
        loop.run_until_complete(task)
    assert task.cancelled()


def test_stop_iteration_from_a_coroutine(loop):
    async def body():
        raise StopIteration(5)

    with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
        loop.run_until_complete(body())


# -- exceptions and their context ---------------------------------------------------------------


def test_the_context_of_an_exception_from_a_future(loop):
    """Raising into a coroutine that handles another exception chains the two."""

    async def body(future):
        try:
            raise ValueError("first")
        except ValueError:
            await future

    future = loop.create_future()
    loop.call_soon(loop.call_soon, future.set_exception, Failure("second"))
    with pytest.raises(Failure) as caught:
        loop.run_until_complete(body(future))
    assert isinstance(caught.value.__context__, ValueError)


def test_the_traceback_names_every_frame_once(loop):
    async def inner():
        await asyncio.sleep(0)
        raise Failure

    async def outer():
        await inner()

    task = loop.create_task(outer())
    with pytest.raises(Failure) as caught:
        loop.run_until_complete(task)
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names.count("inner") == names.count("outer") == 1
    assert names.index("outer") < names.index("inner")


def test_sys_exc_info_does_not_leak_between_tasks(loop):
    seen = []

    async def handles():
        try:
            raise Failure
        except Failure:
            await asyncio.sleep(0)
            seen.append(sys.exc_info()[0])

    async def looks():
        seen.append(sys.exc_info()[0])

    loop.run_until_complete(asyncio.wait([loop.create_task(handles()), loop.create_task(looks())]))
    assert seen == [None, Failure]


def test_get_stack(loop):
    async def inner(future):
        await future

    async def outer(future):
        await inner(future)

    future = loop.create_future()
    task = loop.create_task(outer(future))
    spin(loop)
    stack = task.get_stack()
    assert [frame.f_code.co_name for frame in stack] == ["outer"]
    assert task.get_stack(limit=0) == []
    output = io.StringIO()
    task.print_stack(file=output)
    assert "Stack for <" in output.getvalue() and "in outer" in output.getvalue()
    future.set_exception(Failure("failed"))
    with pytest.raises(Failure):
        loop.run_until_complete(task)
    names = [frame.f_code.co_name for frame in task.get_stack()]
    assert names[-2:] == ["outer", "inner"]
    assert [f.f_code.co_name for f in task.get_stack(limit=1)] == [names[0]]
    output = io.StringIO()
    task.print_stack(file=output)
    assert "Traceback for <" in output.getvalue() and "Failure: failed" in output.getvalue()


def test_get_stack_of_a_finished_task(loop):
    task = loop.create_task(nothing())
    loop.run_until_complete(task)
    assert task.get_stack() == []


# -- reports ------------------------------------------------------------------------------------


def test_an_exception_never_retrieved(loop, reports):
    async def fail():
        raise Failure("failed")

    task = loop.create_task(fail(), name="mine")
    spin(loop)
    del task
    gc.collect()
    context = reports.take_one()
    assert context["message"] == "Task exception was never retrieved"
    assert isinstance(context["exception"], Failure)
    assert context["future"].get_name() == "mine"


def test_destroyed_while_pending(loop, reports):
    async def waits(future):
        await future

    coroutine = waits(loop.create_future())
    task = loop.create_task(coroutine)
    spin(loop)
    text = repr(task)
    del coroutine, task
    gc.collect()
    context = reports.take_one()
    assert context["message"] == "Task was destroyed but it is pending!"
    assert repr(context["task"])[:20] == text[:20]


def test_destroyed_while_pending_in_debug_mode(loop, reports):
    loop.set_debug(True)

    async def waits(future):
        await future

    task = loop.create_task(waits(loop.create_future()))
    spin(loop)
    del task
    gc.collect()
    assert __file__ in [frame.filename for frame in reports.take_one()["source_traceback"]]


def test_the_report_can_be_turned_off(loop):
    async def waits(future):
        await future

    task = loop.create_task(waits(loop.create_future()))
    spin(loop)
    assert task._log_destroy_pending is True
    task._log_destroy_pending = False
    del task
    gc.collect()


def test_a_task_that_waits_for_the_loop_is_kept(run):
    """A task nobody refers to lives while something that will wake it does."""
    seen = []

    async def body():
        await asyncio.sleep(0.001)
        seen.append(1)

    async def main():
        asyncio.create_task(body())
        gc.collect()
        await asyncio.sleep(0.01)

    run(main())
    assert seen == [1]


def test_a_finished_task_dies_without_the_collector(loop):
    class Value:
        pass

    async def body():
        await asyncio.sleep(0)
        return Value()

    gc.disable()
    try:
        task = loop.create_task(body())
        value = weakref.ref(loop.run_until_complete(task))
        reference = weakref.ref(task)
        coroutine = weakref.ref(task.get_coro())
        del task
        assert reference() is None
        assert coroutine() is None
        assert value() is None
    finally:
        gc.enable()


def test_a_cancelled_task_dies(loop):
    task = loop.create_task(forever())
    reference = weakref.ref(task)
    spin(loop)
    finish(loop, task)
    del task
    gc.collect()
    assert reference() is None


# -- current_task and all_tasks -----------------------------------------------------------------


def test_current_task(run):
    async def main():
        me = asyncio.current_task()
        assert isinstance(me, asyncio.Task) and not me.done()
        seen = []
        asyncio.get_running_loop().call_soon(lambda: seen.append(asyncio.current_task()))
        await asyncio.sleep(0)
        assert seen == [None]
        assert asyncio.current_task() is me
        return True

    assert run(main())
    with pytest.raises(RuntimeError):
        asyncio.current_task()


def test_all_tasks(loop):
    tasks = {loop.create_task(forever()) for _ in range(50)}
    assert asyncio.all_tasks(loop) == tasks
    spin(loop)
    assert asyncio.all_tasks(loop) == tasks

    async def main():
        assert asyncio.all_tasks() == tasks | {asyncio.current_task()}
        done = tasks.pop()
        done.cancel()
        await asyncio.wait([done])
        assert asyncio.all_tasks() == tasks | {asyncio.current_task()}

    loop.run_until_complete(main())
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.wait(tasks))
    assert asyncio.all_tasks(loop) == set()


def test_all_tasks_of_two_loops(loop, loop_factory):
    other = loop_factory()
    mine, theirs = loop.create_task(nothing()), other.create_task(nothing())
    assert asyncio.all_tasks(loop) == {mine}
    assert asyncio.all_tasks(other) == {theirs}
    other.run_until_complete(theirs)
    other.close()
    loop.run_until_complete(mine)


def test_enter_and_leave_task(loop):
    """Libraries call these to run a step of a task by hand."""
    task = loop.create_task(forever())
    seen = []

    def enter_and_leave():
        asyncio.tasks._enter_task(loop, task)
        try:
            seen.append(asyncio.current_task())
            with pytest.raises(RuntimeError):
                asyncio.tasks._enter_task(loop, task)
        finally:
            asyncio.tasks._leave_task(loop, task)
        seen.append(asyncio.current_task())

    loop.call_soon(enter_and_leave)
    spin(loop)
    assert seen == [task, None]
    finish(loop, task)


# -- contexts, eager start ----------------------------------------------------------------------


@pytest.mark.skipif(sys.version_info < (3, 12), reason="get_context came with 3.12")
def test_get_context(loop):
    context = contextvars.copy_context()
    task = loop.create_task(nothing(), context=context)
    assert task.get_context() is context
    plain = loop.create_task(nothing())
    assert isinstance(plain.get_context(), contextvars.Context)
    loop.run_until_complete(asyncio.wait([task, plain]))


eager = pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")


def eagerly(loop, coroutine, **options):
    """Make an eager task with the task class of the loop."""
    plain = loop.create_task(nothing())
    kind = type(plain)
    plain._log_destroy_pending = False
    plain.cancel()
    return kind(coroutine, loop=loop, eager_start=True, **options)


@eager
def test_an_eager_task_that_never_waits(run):
    async def value():
        return asyncio.current_task()

    async def main():
        me = asyncio.current_task()
        task = eagerly(asyncio.get_running_loop(), value(), name="eager")
        assert task.done()
        assert task.result() is task
        assert task.get_name() == "eager"
        assert asyncio.current_task() is me
        assert task not in asyncio.all_tasks()
        return await task is task

    assert run(main())


@eager
def test_an_eager_task_that_waits(run):
    async def value(seen):
        seen.append("started")
        await asyncio.sleep(0)
        seen.append("resumed")
        return 5

    async def main():
        seen = []
        task = eagerly(asyncio.get_running_loop(), value(seen))
        assert seen == ["started"] and not task.done()
        assert task in asyncio.all_tasks()
        assert await task == 5
        assert seen == ["started", "resumed"]

    run(main())


@eager
def test_an_eager_task_that_fails_or_cancels_itself(run):
    async def fail():
        raise Failure("failed")

    async def cancel():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    async def main():
        loop = asyncio.get_running_loop()
        task = eagerly(loop, fail())
        assert task.done()
        with pytest.raises(Failure):
            await task
        task = eagerly(loop, cancel())
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


@eager
@pytest.mark.asyncio_since((3, 14), "create_task(eager_start=)")
def test_eager_start_by_the_loop(run):
    async def main():
        loop = asyncio.get_running_loop()
        task = loop.create_task(nothing(), eager_start=True, name="eager")
        assert task.done() and task.get_name() == "eager"
        for later in ({}, {"eager_start": False}, {"eager_start": None}):
            task = loop.create_task(nothing(), **later)
            assert not task.done()
            await task
        loop.set_task_factory(asyncio.eager_task_factory)
        assert loop.create_task(nothing()).done()

    run(main())


@eager
def test_eager_start_outside_the_loop(loop):
    """Without a running loop an eager task starts like any other."""
    task = eagerly(loop, asyncio.sleep(0, 1))
    assert not task.done()
    assert loop.run_until_complete(task) == 1


@eager
def test_eager_in_a_context(run):
    variable = contextvars.ContextVar("variable", default="default")

    async def body():
        before = variable.get()
        variable.set("body")
        await asyncio.sleep(0)
        return before, variable.get()

    async def main():
        variable.set("main")
        task = eagerly(asyncio.get_running_loop(), body())
        assert variable.get() == "main"
        return await task

    assert run(main()) == ("main", "body")


@eager
def test_nested_eager_tasks(run):
    async def inner(depth):
        if depth:
            loop = asyncio.get_running_loop()
            me = asyncio.current_task()
            value = await eagerly(loop, inner(depth - 1))
            assert asyncio.current_task() is me
            return value + 1
        return 0

    assert run(inner(20)) == 20


# -- subclasses and attributes ------------------------------------------------------------------


def test_a_subclass(loop):
    plain = loop.create_task(nothing())
    loop.run_until_complete(plain)

    class Traced(type(plain)):
        def cancel(self, msg=None):
            calls.append("cancel")
            return super().cancel(msg)

    calls = []
    task = Traced(forever(), loop=loop, name="traced")
    assert task.get_name() == "traced" and isinstance(task, asyncio.Task)
    task.extra = 1
    spin(loop)
    finish(loop, task)
    assert calls == ["cancel"]


def test_private_names_that_libraries_read(loop):
    task = loop.create_task(forever())
    assert task._state == "PENDING"
    assert task._coro is task.get_coro()
    assert task._fut_waiter is None
    assert task._must_cancel is False
    spin(loop)
    assert asyncio.isfuture(task._fut_waiter)
    finish(loop, task)
    assert task._fut_waiter is None


def test_coroutine_like_objects(loop):
    """Cython's coroutines and wrappers of coroutines are no coroutine objects of C."""
    from collections.abc import Coroutine

    class Wrapped(Coroutine):
        def __init__(self, coroutine):
            self.coroutine = coroutine

        def send(self, value):
            return self.coroutine.send(value)

        def throw(self, *args):
            return self.coroutine.throw(*args)

        def close(self):
            return self.coroutine.close()

        def __await__(self):
            return self

        def __iter__(self):
            return self

        def __next__(self):
            return self.send(None)

    assert loop.run_until_complete(loop.create_task(Wrapped(asyncio.sleep(0.001, 3)))) == 3
    task = loop.create_task(Wrapped(forever()))
    spin(loop)
    finish(loop, task)


def test_a_generator_based_coroutine(loop):
    import types

    @types.coroutine
    def generator():
        yield from asyncio.sleep(0).__await__()
        return 4

    assert loop.run_until_complete(generator()) == 4


def test_done_callbacks_of_a_task(loop):
    seen = []
    task = loop.create_task(nothing())
    task.add_done_callback(seen.append)
    loop.run_until_complete(task)
    spin(loop)
    assert seen == [task]


def test_cancelling_goes_through_a_long_chain(run):
    async def main():
        innermost = asyncio.get_running_loop().create_future()
        chain = [innermost]

        async def follow(awaited):
            await awaited

        for _ in range(200):
            chain.append(asyncio.create_task(follow(chain[-1])))
        await asyncio.sleep(0)
        assert chain[-1].cancel("enough")
        with pytest.raises(asyncio.CancelledError):
            await chain[-1]
        assert all(awaited.cancelled() for awaited in chain)

    run(main())


ROUND = """
import asyncio

tasks = []

async def follow(number):
    await tasks[number]

async def main():
    tasks.extend(asyncio.create_task(follow(number)) for number in (1, 2, 0))
    await asyncio.sleep(0.01)
    try:
        tasks[0].cancel()
    except RecursionError as error:
        print(type(error).__name__)
    print([task.done() for task in tasks], flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("how", [["-c", ROUND], ["-m", "vivace", "run", "-c", ROUND]])
def test_cancelling_tasks_that_await_each_other(how):
    """They can never end, so they are left to a process of their own."""
    done = subprocess.run(
        [sys.executable, *how], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    # asyncio.run() tries it again at its end.
    assert done.returncode == 1, done.stderr
    assert done.stdout == "RecursionError\n[False, False, False]\n"
    assert "RecursionError" in done.stderr
