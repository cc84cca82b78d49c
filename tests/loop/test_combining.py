"""gather, wait, as_completed, wait_for, timeout, shield and TaskGroup on the loop."""

from __future__ import annotations

import asyncio
import sys

import pytest


class Failure(Exception):
    """Raised by the tests of this file."""


async def value(number, turns=1):
    for _ in range(turns):
        await asyncio.sleep(0)
    return number


async def fail(turns=1):
    for _ in range(turns):
        await asyncio.sleep(0)
    raise Failure("failed")


async def forever(seen=None):
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        if seen is not None:
            seen.append("ended")


# -- gather -------------------------------------------------------------------------------------


def test_gather_keeps_the_order_of_its_arguments(run):
    async def main():
        return await asyncio.gather(value(1, 5), value(2, 1), value(3, 3))

    assert run(main()) == [1, 2, 3]


def test_gather_of_nothing(run):
    async def main():
        return await asyncio.gather()

    assert run(main()) == []


def test_gather_the_same_thing_twice(run):
    async def main():
        coroutine, task = value(1), asyncio.create_task(value(2))
        return await asyncio.gather(coroutine, task, coroutine, task)

    assert run(main()) == [1, 2, 1, 2]


def test_gather_fails_with_the_first_failure_and_lets_the_rest_go_on(run):
    async def main():
        slow = asyncio.create_task(value(1, 10))
        with pytest.raises(Failure):
            await asyncio.gather(slow, fail())
        assert not slow.done()
        assert await slow == 1

    run(main())


def test_gather_returns_exceptions(run):
    async def cancelled():
        raise asyncio.CancelledError("own")

    async def main():
        results = await asyncio.gather(value(1), fail(), cancelled(), return_exceptions=True)
        assert results[0] == 1
        assert isinstance(results[1], Failure)
        assert isinstance(results[2], asyncio.CancelledError)

    run(main())


def test_cancelling_a_gather(run):
    async def main():
        seen = []
        outer = asyncio.gather(forever(seen), forever(seen))
        await asyncio.sleep(0)
        assert outer.cancel("reason")
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert seen == ["ended"] * 2

    run(main())


def test_cancelling_a_child_of_a_gather(run):
    async def main():
        child, other = asyncio.create_task(forever()), asyncio.create_task(value(1))
        outer = asyncio.gather(child, other)
        await asyncio.sleep(0)
        child.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert await other == 1

    run(main())


def test_a_large_gather(run):
    async def main():
        return await asyncio.gather(*(value(number) for number in range(10_000)))

    assert run(main()) == list(range(10_000))


# -- wait and as_completed ----------------------------------------------------------------------


def test_wait_conditions(run):
    async def main():
        slow, quick, failing = (
            asyncio.create_task(value(1, 20)),
            asyncio.create_task(value(2, 1)),
            asyncio.create_task(fail(5)),
        )
        tasks = [slow, quick, failing]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert done == {quick} and pending == {slow, failing}
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        assert done == {quick, failing} and pending == {slow}
        done, pending = await asyncio.wait(tasks)
        assert done == set(tasks) and pending == set()
        assert isinstance(failing.exception(), Failure)

    run(main())


def test_wait_with_a_timeout(run):
    async def main():
        task = asyncio.create_task(forever())
        done, pending = await asyncio.wait([task], timeout=0.002)
        assert done == set() and pending == {task}
        task.cancel()
        done, pending = await asyncio.wait([task])
        assert done == {task} and task.cancelled()

    run(main())


def test_wait_refuses_coroutines_and_nothing(run):
    async def main():
        coroutine = value(1)
        with pytest.raises(TypeError, match="Passing coroutines is forbidden"):
            await asyncio.wait([coroutine])
        coroutine.close()
        with pytest.raises(ValueError, match="[Ss]et of [Tt]asks/[Ff]utures is empty"):
            await asyncio.wait([])
        with pytest.raises(ValueError):
            await asyncio.wait([asyncio.get_running_loop().create_future()], return_when="x")

    run(main())


def test_cancelling_a_wait_leaves_the_tasks(run):
    async def main():
        task = asyncio.create_task(value(1, 10))
        waiting = asyncio.create_task(asyncio.wait([task]))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await task == 1

    run(main())


def test_as_completed(run):
    async def main():
        results = []
        for waiting in asyncio.as_completed([value(1, 9), value(2, 1), value(3, 5)]):
            results.append(await waiting)
        assert results == [2, 3, 1]

    run(main())


def test_as_completed_with_a_timeout(run):
    async def main():
        slow = asyncio.create_task(forever())
        results = []
        with pytest.raises(TimeoutError):
            for waiting in asyncio.as_completed([slow, value(1)], timeout=0.1):
                results.append(await waiting)
        assert results == [1]
        slow.cancel()

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="an asynchronous iterator since 3.13")
def test_as_completed_asynchronously(run):
    async def main():
        tasks = {asyncio.create_task(value(number, 9 - number)): number for number in range(3)}
        seen = []
        async for task in asyncio.as_completed(tasks):
            assert task in tasks and task.done()
            seen.append(task.result())
        assert seen == [2, 1, 0]

    run(main())


# -- wait_for and timeout -----------------------------------------------------------------------


def test_wait_for(run):
    async def main():
        assert await asyncio.wait_for(value(1), 5) == 1
        assert await asyncio.wait_for(value(2), None) == 2
        with pytest.raises(Failure):
            await asyncio.wait_for(fail(), 5)

    run(main())


def test_wait_for_takes_too_long(run):
    async def main():
        seen = []
        with pytest.raises(TimeoutError) as caught:
            await asyncio.wait_for(forever(seen), 0.002)
        assert seen == ["ended"]
        assert isinstance(caught.value.__cause__, asyncio.CancelledError)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(forever(), 0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(forever(), -1)

    run(main())


def test_wait_for_of_something_done(run):
    async def main():
        task = asyncio.create_task(value(1))
        await task
        assert await asyncio.wait_for(task, 0) == 1

    run(main())


def test_cancelling_a_wait_for(run):
    async def main():
        seen = []
        task = asyncio.create_task(asyncio.wait_for(forever(seen), 10))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["ended"]

    run(main())


def test_wait_for_waits_for_the_clean_up(run):
    async def stubborn():
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(0.002)
            return "cleaned"

    async def main():
        assert await asyncio.wait_for(stubborn(), 0.001) == "cleaned"

    run(main())


def test_timeout(run):
    async def main():
        async with asyncio.timeout(5) as scope:
            await asyncio.sleep(0)
            assert not scope.expired()
        assert not scope.expired()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.002) as scope:
                await forever()
        assert scope.expired()
        assert asyncio.current_task().cancelling() == 0
        async with asyncio.timeout(None) as scope:
            await asyncio.sleep(0)
        assert scope.when() is None

    run(main())


def test_timeout_at_and_reschedule(run):
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout_at(loop.time() + 0.002):
                await forever()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10) as scope:
                scope.reschedule(loop.time() + 0.002)
                assert scope.when() <= loop.time() + 0.002
                await forever()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout_at(loop.time() - 1):
                await asyncio.sleep(0)
                await asyncio.sleep(0)

    run(main())


def test_nested_timeouts(run):
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.002) as outer:
                async with asyncio.timeout(10) as inner:
                    await forever()
        assert outer.expired() and not inner.expired()
        async with asyncio.timeout(10) as outer:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.002) as inner:
                    await forever()
        assert inner.expired() and not outer.expired()

    run(main())


def test_a_timeout_and_a_cancellation(run):
    async def body():
        async with asyncio.timeout(10):
            await forever()

    async def main():
        task = asyncio.create_task(body())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


# -- shield -------------------------------------------------------------------------------------


def test_shield(run):
    async def main():
        inner = asyncio.create_task(value(1, 10))
        outer = asyncio.shield(inner)
        await asyncio.sleep(0)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert not inner.cancelled()
        assert await inner == 1
        assert await asyncio.shield(value(2)) == 2
        with pytest.raises(Failure):
            await asyncio.shield(fail())

    run(main())


def test_a_shielded_task_that_is_cancelled(run):
    async def main():
        inner = asyncio.create_task(forever())
        outer = asyncio.shield(inner)
        await asyncio.sleep(0)
        inner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer

    run(main())


# -- TaskGroup ----------------------------------------------------------------------------------


def test_task_group(run):
    async def main():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(value(number), name=str(number)) for number in range(5)]
            group.create_task(nested(group, tasks))
        assert [task.result() for task in tasks] == [0, 1, 2, 3, 4, 5]

    async def nested(group, tasks):
        await asyncio.sleep(0)
        tasks.append(group.create_task(value(5)))

    run(main())


def test_a_failing_task_cancels_the_group(run):
    async def main():
        seen = []
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(forever(seen))
                group.create_task(fail())
                await forever(seen)
        assert caught.group_contains(Failure) if hasattr(caught, "group_contains") else True
        assert seen == ["ended"] * 2
        assert asyncio.current_task().cancelling() == 0

    run(main())


def test_every_failure_is_in_the_group(run):
    async def main():
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail(1))
                group.create_task(fail(1))
        assert [type(error) for error in caught.value.exceptions] == [Failure, Failure]

    run(main())


def test_a_failing_body_cancels_the_tasks(run):
    async def main():
        seen = []
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(forever(seen))
                await asyncio.sleep(0)
                raise Failure
        assert isinstance(caught.value.exceptions[0], Failure)
        assert seen == ["ended"]

    run(main())


def test_cancelling_a_group_from_outside(run):
    async def body(seen):
        async with asyncio.TaskGroup() as group:
            group.create_task(forever(seen))
            await asyncio.sleep(0)

    async def main():
        seen = []
        task = asyncio.create_task(body(seen))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["ended"]

    run(main())


def test_keyboard_interrupt_leaves_a_group(loop, reports):
    async def leave():
        raise KeyboardInterrupt

    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(leave())
            await forever()

    task = loop.create_task(main())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    del task
    reports.take()  # KeyboardInterrupt of the inner task may be told as never retrieved


# -- synchronisation ----------------------------------------------------------------------------


def test_queue_event_lock_semaphore_condition_barrier(run):
    async def main():
        queue = asyncio.Queue(2)

        async def produce():
            for number in range(100):
                await queue.put(number)

        async def consume():
            return [await queue.get() for _ in range(100)]

        _, numbers = await asyncio.gather(produce(), consume())
        assert numbers == list(range(100))

        event, order = asyncio.Event(), []

        async def waits(number):
            await event.wait()
            order.append(number)

        tasks = [asyncio.create_task(waits(number)) for number in range(3)]
        await asyncio.sleep(0)
        event.set()
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2]

        lock, inside = asyncio.Lock(), []

        async def locked(number):
            async with lock:
                inside.append(number)
                await asyncio.sleep(0)
                assert inside[-1] == number

        await asyncio.gather(*map(locked, range(5)))
        assert inside == list(range(5))

        semaphore, most, now = asyncio.Semaphore(3), 0, 0

        async def limited():
            nonlocal most, now
            async with semaphore:
                now += 1
                most = max(most, now)
                await asyncio.sleep(0)
                now -= 1

        await asyncio.gather(*(limited() for _ in range(20)))
        assert most == 3

        condition, state = asyncio.Condition(), []

        async def waiter():
            async with condition:
                await condition.wait_for(lambda: state)

        task = asyncio.create_task(waiter())
        await asyncio.sleep(0)
        async with condition:
            state.append(1)
            condition.notify_all()
        await task

        barrier = asyncio.Barrier(3)
        positions = await asyncio.gather(*(barrier.wait() for _ in range(3)))
        assert sorted(positions) == [0, 1, 2]

    run(main())
