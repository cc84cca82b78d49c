"""call_soon and its order; what a turn of the loop runs and what it leaves for the next."""

from __future__ import annotations

import asyncio
import functools
import time

import pytest


def spin(loop, turns=1):
    """Run the loop for exactly that many turns."""
    for _ in range(turns):
        loop.call_soon(loop.stop)
        loop.run_forever()


def test_call_soon_keeps_order(loop):
    seen = []
    for number in range(1000):
        loop.call_soon(seen.append, number)
    spin(loop)
    assert seen == list(range(1000))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 8])
def test_call_soon_passes_every_argument(loop, count):
    seen = []
    loop.call_soon(lambda *args: seen.append(args), *range(count))
    spin(loop)
    assert seen == [tuple(range(count))]


def test_call_soon_takes_only_context_by_keyword(loop):
    with pytest.raises(TypeError):
        loop.call_soon(print, key="value")
    with pytest.raises(TypeError):
        loop.call_soon()


def test_kinds_of_callables(loop):
    class Callable:
        def __call__(self, value):
            seen.append(value)

        def method(self, value):
            seen.append(value)

        @classmethod
        def of_class(cls, value):
            seen.append(value)

        @staticmethod
        def static(value):
            seen.append(value)

    seen = []
    it = Callable()
    callables = (it, it.method, it.of_class, it.static, seen.append, functools.partial(it.method))
    for number, callable_ in enumerate(callables):
        loop.call_soon(callable_, number)
    spin(loop)
    assert seen == list(range(len(callables)))


def test_callback_added_by_a_callback_runs_in_the_next_turn(loop):
    seen = []

    def first():
        seen.append("first")
        loop.call_soon(seen.append, "third")

    loop.call_soon(first)
    loop.call_soon(seen.append, "second")
    spin(loop)
    assert seen == ["first", "second"]
    spin(loop)
    assert seen == ["first", "second", "third"]


def test_stop_lets_the_turn_finish(loop):
    seen = []
    loop.call_soon(loop.stop)
    loop.call_soon(seen.append, "after stop")
    loop.run_forever()
    assert seen == ["after stop"]


def test_stop_before_run_forever_gives_one_turn(loop):
    seen = []

    def again():
        seen.append(len(seen))
        loop.call_soon(again)

    loop.call_soon(again)
    loop.stop()
    loop.run_forever()
    assert seen == [0]
    loop.stop()
    loop.run_forever()
    assert seen == [0, 1]


def test_stop_twice_stops_once(loop):
    seen = []
    loop.call_soon(loop.stop)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.call_soon(seen.append, 1)
    spin(loop)
    assert seen == [1]


def test_a_spinning_callback_starves_neither_timers_nor_sockets(loop):
    import socket

    near, far = socket.socketpair()
    with near, far:
        far.setblocking(False)
        state = {"timer": False, "reader": False}

        def spinner():
            if not all(state.values()):
                loop.call_soon(spinner)
            else:
                loop.stop()

        def readable():
            state["reader"] = bool(far.recv(10))

        loop.add_reader(far, readable)
        loop.call_later(0.001, state.__setitem__, "timer", True)
        near.send(b"x")
        loop.call_soon(spinner)
        loop.run_forever()
        loop.remove_reader(far)


def test_callbacks_run_before_the_timers_of_a_later_turn(loop):
    seen = []
    loop.call_soon(seen.append, "soon")
    loop.call_later(0, seen.append, "timer")
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert seen == ["soon", "timer"]


def test_time_is_the_monotonic_clock(loop):
    before = time.monotonic()
    now = loop.time()
    after = time.monotonic()
    assert isinstance(now, float)
    assert before <= now <= after


def test_call_soon_on_a_closed_loop(loop):
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_soon(print)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_later(1, print)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_at(1, print)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_soon_threadsafe(print)


def test_sleep_zero_lets_others_run_once(run):
    async def main():
        seen = []

        async def count(name):
            for number in range(3):
                seen.append(f"{name}{number}")
                await asyncio.sleep(0)

        await asyncio.gather(count("a"), count("b"))
        return seen

    assert run(main()) == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_bare_yield_is_one_turn(run):
    class Once:
        def __await__(self):
            yield

    async def main():
        seen = []
        asyncio.get_running_loop().call_soon(seen.append, "callback")
        await Once()
        seen.append("task")
        return seen

    assert run(main()) == ["callback", "task"]


def test_a_hundred_thousand_callbacks_in_one_turn(loop):
    left = 100_000

    def one():
        nonlocal left
        left -= 1

    for _ in range(left):
        loop.call_soon(one)
    spin(loop)
    assert left == 0
