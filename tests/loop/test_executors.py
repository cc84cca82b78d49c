"""run_in_executor, the default executor, thread and process pools, to_thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import gc
import multiprocessing
import threading
import time
import weakref

import pytest
from support.patience import SECONDS


class Failure(Exception):
    """Raised by the tests of this file."""


def test_run_in_executor(run):
    def work(*args):
        assert threading.current_thread() is not threading.main_thread()
        return args

    async def main():
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, work, 1, 2) == (1, 2)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert await loop.run_in_executor(pool, work) == ()

    run(main())


def test_it_returns_a_future_at_once(run):
    async def main():
        released = threading.Event()
        future = asyncio.get_running_loop().run_in_executor(None, released.wait, 10)
        assert asyncio.isfuture(future) and not future.done()
        released.set()
        assert await future is True

    run(main())


def test_a_failure(run):
    def work():
        raise Failure("failed")

    async def main():
        with pytest.raises(Failure, match="failed"):
            await asyncio.get_running_loop().run_in_executor(None, work)

    run(main())


def test_many_at_once(run):
    def work(number):
        time.sleep(0.001)
        return number

    async def main():
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(None, work, n) for n in range(100)))

    assert run(main()) == list(range(100))


def test_cancelling_what_has_not_started(run):
    async def main():
        loop = asyncio.get_running_loop()
        released = threading.Event()
        seen = []
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            blocked = loop.run_in_executor(pool, released.wait, 10)
            waiting = loop.run_in_executor(pool, seen.append, 1)
            waiting.cancel()
            await asyncio.sleep(0)
            released.set()
            await blocked
        assert waiting.cancelled() and seen == []

    run(main())


def test_an_executor_that_cancels_what_has_not_started(run):
    async def main():
        loop = asyncio.get_running_loop()
        released = threading.Event()
        pool = concurrent.futures.ThreadPoolExecutor(1)
        blocked = loop.run_in_executor(pool, released.wait, 10)
        waiting = [loop.run_in_executor(pool, time.time) for _ in range(3)]
        pool.shutdown(wait=False, cancel_futures=True)
        for future in waiting:
            with pytest.raises(asyncio.CancelledError):
                await future
        released.set()
        assert await blocked is True
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            loop.run_in_executor(pool, time.time)

    run(main())


def test_threads_that_cannot_start(run, caplog):
    def fail():
        raise Failure("failed")

    async def main():
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1, initializer=fail) as pool:
            with pytest.raises(concurrent.futures.BrokenExecutor, match="initializer failed"):
                await loop.run_in_executor(pool, time.time)
            with pytest.raises(concurrent.futures.BrokenExecutor, match="initializer failed"):
                await loop.run_in_executor(pool, time.time)

    run(main())
    assert "Exception in initializer" in caplog.text


def test_the_exceptions_of_threads_become_those_of_asyncio(run):
    def work(exception):
        raise exception

    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(asyncio.CancelledError, match="why"):
            await loop.run_in_executor(None, work, concurrent.futures.CancelledError("why"))
        with pytest.raises(TimeoutError):
            await loop.run_in_executor(None, work, concurrent.futures.TimeoutError())

    run(main())


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_kept(run, fails):
    """Neither the call nor its outcome outlives the future, even without a collector."""

    class Work:
        def __call__(self):
            if fails:
                raise Failure(self)
            return self

    async def main():
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            work = Work()
            seen = weakref.ref(work)
            future = loop.run_in_executor(pool, work)
            await asyncio.wait([future])
            future.exception()
            del work, future
            # Until the thread waits for the next call, it may hold the last one.
            await loop.run_in_executor(pool, time.time)
            await asyncio.sleep(0)
            assert seen() is None

    gc.disable()
    try:
        run(main())
    finally:
        gc.enable()


def test_whoever_watches_submit_sees_every_call(run, monkeypatch):
    class Watched(concurrent.futures.ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            seen.append(args)
            return super().submit(fn, *args, **kwargs)

    seen = []
    submit = concurrent.futures.ThreadPoolExecutor.submit

    def watch(self, fn, /, *args, **kwargs):
        seen.append(args)
        return submit(self, fn, *args, **kwargs)

    async def main():
        loop = asyncio.get_running_loop()
        with Watched(1) as pool:
            await loop.run_in_executor(pool, abs, 1)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit = functools.partial(watch, pool)
            await loop.run_in_executor(pool, abs, 2)
        monkeypatch.setattr(concurrent.futures.ThreadPoolExecutor, "submit", watch)
        await loop.run_in_executor(None, abs, 3)
        await loop.run_in_executor(None, abs, 4)

    run(main())
    assert seen == [(1,), (2,), (3,), (4,)]


def test_the_default_executor_is_made_once(run):
    async def main():
        loop = asyncio.get_running_loop()
        assert loop._default_executor is None
        await loop.run_in_executor(None, time.time)
        first = loop._default_executor
        assert isinstance(first, concurrent.futures.ThreadPoolExecutor)
        await loop.run_in_executor(None, time.time)
        assert loop._default_executor is first

    run(main())


def test_set_default_executor(run):
    async def main():
        loop = asyncio.get_running_loop()
        pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="own")
        loop.set_default_executor(pool)
        name = await loop.run_in_executor(None, lambda: threading.current_thread().name)
        assert name.startswith("own")
        assert (await asyncio.to_thread(lambda: threading.current_thread().name)).startswith("own")
        with pytest.raises(TypeError, match="executor must be ThreadPoolExecutor instance"):
            loop.set_default_executor("text")

    run(main())


@pytest.fixture(scope="module")
def resource_tracker():
    """The process that multiprocessing starts once and keeps, with a pipe to it."""
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()


def test_a_process_pool(run, resource_tracker):
    async def main():
        loop = asyncio.get_running_loop()
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            assert await loop.run_in_executor(pool, abs, -5) == 5
            with pytest.raises(ValueError):
                await loop.run_in_executor(pool, int, "text")

    run(main())


def test_shutdown_default_executor(loop):
    seen = []

    def work():
        time.sleep(0.005)
        seen.append(1)

    async def main():
        loop.run_in_executor(None, work)

    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_default_executor())
    assert seen == [1]
    with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
        loop.run_in_executor(None, work)
    loop.run_until_complete(loop.shutdown_default_executor())


@pytest.mark.asyncio_since((3, 13), "it keeps to the time limit")
def test_shutdown_default_executor_with_a_timeout(loop):
    released = threading.Event()

    async def main():
        future = loop.run_in_executor(None, released.wait, 10)
        with pytest.warns(RuntimeWarning, match="The executor did not finishing joining"):
            await loop.shutdown_default_executor(0.005)
        released.set()
        await future

    loop.run_until_complete(main())


@pytest.mark.asyncio_since((3, 12), "a time limit")
def test_shutdown_default_executor_in_time(loop):
    async def main():
        future = loop.run_in_executor(None, time.sleep, 0.005)
        await loop.shutdown_default_executor(timeout=SECONDS)
        await future

    loop.run_until_complete(main())


@pytest.mark.asyncio_since((3, 13), "the loop runs on meanwhile")
def test_cancelling_shutdown_default_executor(loop):
    released = threading.Event()

    async def main():
        future = loop.run_in_executor(None, released.wait, 10)
        task = asyncio.create_task(loop.shutdown_default_executor())
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        released.set()
        await future
        # The thread that waits for the executor finds nobody to tell.
        while any("_shut" in thread.name for thread in threading.enumerate()):
            await asyncio.sleep(0)

    loop.run_until_complete(main())


def test_close_with_work_in_progress(loop):
    """close() does not wait for the threads of the default executor."""
    released = threading.Event()
    threads = []

    def work():
        threads.append(threading.current_thread())
        released.wait(10)

    async def main():
        future = loop.run_in_executor(None, work)
        while not threads:
            await asyncio.sleep(0.001)
        future.cancel()

    loop.run_until_complete(main())
    loop.close()
    released.set()
    threads[0].join()


def test_results_after_close(loop):
    """A thread that ends after the loop was closed harms nobody."""
    released = threading.Event()
    started = threading.Event()

    def work():
        started.set()
        released.wait(10)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = loop.run_in_executor(pool, work)
        started.wait()
        loop.close()
        released.set()
    assert not future.done()


def test_on_a_closed_loop(loop):
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.run_in_executor(None, time.time)


def test_to_thread(run):
    def work(first, *, second):
        return first, second, threading.current_thread() is threading.main_thread()

    async def main():
        assert await asyncio.to_thread(work, 1, second=2) == (1, 2, False)

    run(main())


def test_cancelling_to_thread(run):
    async def main():
        released = threading.Event()
        started = threading.Event()

        def work():
            started.set()
            released.wait(10)

        task = asyncio.create_task(asyncio.to_thread(work))
        while not started.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        released.set()

    run(main())


def test_debug_mode_checks_the_callable(loop):
    async def coroutine():
        pass

    loop.set_debug(True)
    with pytest.raises(TypeError):
        loop.run_in_executor(None, coroutine)
    made = coroutine()
    with pytest.raises(TypeError):
        loop.run_in_executor(None, made)
    made.close()
