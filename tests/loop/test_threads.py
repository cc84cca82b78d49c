"""call_soon_threadsafe, run_coroutine_threadsafe and loops in several threads."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest


def test_order_of_one_thread(loop):
    seen = []

    def work():
        for number in range(5000):
            loop.call_soon_threadsafe(seen.append, number)
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    assert seen == list(range(5000))


def test_nothing_is_lost_between_many_threads(loop):
    seen = {}
    left = 4

    def done():
        nonlocal left
        left -= 1
        if not left:
            loop.stop()

    def work(name):
        for number in range(2000):
            loop.call_soon_threadsafe(seen.setdefault(name, []).append, number)
        loop.call_soon_threadsafe(done)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    loop.run_forever()
    for thread in threads:
        thread.join()
    assert seen == {name: list(range(2000)) for name in range(4)}


def test_it_wakes_a_loop_that_sleeps(loop):
    """Ping-pong: each call arrives while the loop waits in the kernel."""
    gone = threading.Semaphore(0)
    rounds = 300

    def work():
        for _ in range(rounds):
            loop.call_soon_threadsafe(gone.release)
            gone.acquire()
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    thread.start()
    loop.run_forever()
    thread.join()


def test_from_the_loop_itself_and_in_order_with_call_soon(loop):
    seen = []
    loop.call_soon(seen.append, 1)
    loop.call_soon_threadsafe(seen.append, 2)
    loop.call_soon(seen.append, 3)
    loop.call_soon_threadsafe(seen.append, 4)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [1, 2, 3, 4]


def test_before_the_loop_runs(loop):
    seen = []
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(seen.append, 1))
    thread.start()
    thread.join()
    assert seen == []
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [1]


def test_cancel_from_another_thread(loop):
    seen = []
    handle = loop.call_soon_threadsafe(seen.append, 1)
    thread = threading.Thread(target=handle.cancel)
    thread.start()
    thread.join()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [] and handle.cancelled()


def test_stop_from_another_thread(loop):
    threading.Timer(0.01, loop.call_soon_threadsafe, (loop.stop,)).start()
    loop.run_forever()


def test_after_close(loop):
    loop.close()
    errors = []

    def work():
        try:
            loop.call_soon_threadsafe(print)
        except RuntimeError as exc:
            errors.append(str(exc))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == ["Event loop is closed"]


def test_close_against_calls(loop_factory):
    """Threads go on calling while the loop is closed: an error or a call, never a crash."""
    for _ in range(20):
        loop = loop_factory()
        go = threading.Event()

        def work(loop=loop, go=go):
            go.set()
            try:
                while True:
                    loop.call_soon_threadsafe(len, ())
            except RuntimeError:
                pass

        thread = threading.Thread(target=work)
        thread.start()
        go.wait()
        loop.run_until_complete(asyncio.sleep(0.001))
        loop.close()
        thread.join()


def test_run_coroutine_threadsafe(loop):
    async def value():
        await asyncio.sleep(0)
        return threading.current_thread(), 5

    async def fail():
        raise ZeroDivisionError

    results = []

    def work():
        results.append(asyncio.run_coroutine_threadsafe(value(), loop).result(5))
        failing = asyncio.run_coroutine_threadsafe(fail(), loop)
        results.append(type(failing.exception(5)))
        endless = asyncio.run_coroutine_threadsafe(asyncio.sleep(100), loop)
        endless.cancel()
        results.append(endless.cancelled())
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    thread.start()
    loop.run_forever()
    thread.join()
    assert results == [(threading.current_thread(), 5), ZeroDivisionError, True]


def test_a_loop_in_each_thread(loop_factory):
    results = {}

    async def main(name):
        values = []
        for number in range(20):
            await asyncio.sleep(0.0005)
            values.append(number)
        results[name] = values, asyncio.get_running_loop()

    def work(name):
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main(name))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: values for name, (values, _) in results.items()} == {
        name: list(range(20)) for name in range(8)
    }
    assert len({id(loop) for _, loop in results.values()}) == 8


def test_messages_between_two_loops(loop_factory):
    """Two loops in two threads hand a number to and fro."""
    loops = [loop_factory(), loop_factory()]
    threads = [threading.Thread(target=loop.run_forever) for loop in loops]
    done = threading.Event()

    def bounce(number):
        if number == 1000:
            done.set()
        else:
            loops[number % 2].call_soon_threadsafe(bounce, number + 1)

    for thread in threads:
        thread.start()
    bounce(0)
    assert done.wait(15)
    for loop, thread in zip(loops, threads, strict=True):
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_loop_made_in_one_thread_and_run_in_another(loop):
    results = []

    def work():
        results.append(loop.run_until_complete(asyncio.sleep(0.001, 5)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [5]
    assert loop.run_until_complete(asyncio.sleep(0.001, 6)) == 6


def test_is_running_seen_from_another_thread(loop):
    seen = []

    def work():
        seen.append(loop.is_running())
        loop.call_soon_threadsafe(loop.stop)

    loop.call_soon(threading.Thread(target=work).start)
    loop.run_forever()
    assert seen == [True]


def test_run_in_another_thread_while_running(loop):
    errors = []

    def work():
        try:
            loop.run_forever()
        except RuntimeError as exc:
            errors.append(str(exc))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    assert errors == ["This event loop is already running"]


def test_objects_dropped_in_another_thread(loop):
    """Handles, futures and tasks may die where the last reference is dropped."""
    things = [
        loop.call_later(100, print),
        loop.create_future(),
        loop.call_soon_threadsafe(len, ()),
    ]
    things[0].cancel()

    async def nothing():
        pass

    task = loop.create_task(nothing())
    loop.run_until_complete(task)
    things.append(task)
    del task
    thread = threading.Thread(target=things.clear)
    thread.start()
    thread.join()
    assert things == []


@pytest.mark.parametrize("interval", [1e-6, 1e-5])
def test_with_a_tiny_switch_interval(loop, interval):
    """Threads change places at almost every instruction."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(interval)
    try:
        total = 0

        def add():
            nonlocal total
            total += 1
            if total == 3000:
                loop.stop()

        def work():
            for _ in range(1000):
                loop.call_soon_threadsafe(add)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        loop.run_forever()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert total == 3000
