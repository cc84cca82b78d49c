"""call_later and call_at: the order, never early, and moments that no clock reaches."""

from __future__ import annotations

import asyncio
import random
import sys
import time

import pytest


def callback():
    """Does nothing."""


def test_order_is_by_time_not_by_call(loop):
    seen = []
    now = loop.time()
    for delay in (0.004, 0.002, 0.003, 0.001):
        loop.call_at(now + delay, seen.append, delay)
    loop.call_at(now + 0.005, loop.stop)
    loop.run_forever()
    assert seen == [0.001, 0.002, 0.003, 0.004]


def test_many_random_timers_run_in_order(loop):
    generator = random.Random(1234)
    now = loop.time()
    moments = [now + generator.random() / 50 for _ in range(1000)]
    seen = []
    handles = [loop.call_at(moment, seen.append, moment) for moment in moments]
    cancelled = generator.sample(range(1000), 300)
    for index in cancelled:
        handles[index].cancel()
    loop.call_at(now + 0.03, loop.stop)
    loop.run_forever()
    kept = [moment for index, moment in enumerate(moments) if index not in set(cancelled)]
    assert seen == sorted(kept)


@pytest.mark.parametrize("delay", [0.00005, 0.0001, 0.0003, 0.001, 0.0013, 0.0049, 0.02])
def test_never_early(loop, delay):
    resolution = time.get_clock_info("monotonic").resolution
    early = []

    def check(when):
        difference = when - time.monotonic()
        if difference > resolution:
            early.append(difference)

    for _ in range(10):
        when = loop.time() + delay
        loop.call_at(when, check, when)
        loop.call_at(when, loop.stop)
        loop.run_forever()
    assert early == []


def test_far_deadlines_that_come_nearer_and_move_away(loop):
    # Far enough for the loop to leave them to a timer that outlives the wait.
    seen = []
    begin = loop.time()

    def note(name, when):
        assert loop.time() >= when - time.get_clock_info("monotonic").resolution
        seen.append(name)

    def at(name, delay):
        return loop.call_at(begin + delay, note, name, begin + delay)

    first = at("cancelled", 0.07)
    at("second", 0.16)
    loop.call_at(begin + 0.01, at, "nearer", 0.08)
    loop.call_at(begin + 0.02, first.cancel)
    at("last", 0.22)
    loop.call_at(begin + 0.23, loop.stop)
    loop.run_forever()
    assert seen == ["nearer", "second", "last"]
    # Nothing is left of what was set: the loop goes on to sleep, and is woken again.
    again = loop.time() + 0.06
    loop.call_at(again, note, "again", again)
    loop.call_at(again, loop.stop)
    loop.run_forever()
    assert seen[-1] == "again"


def test_a_far_deadline_does_not_keep_the_loop_busy(loop):
    loop.call_later(0.4, loop.stop)
    begin = time.process_time()
    loop.run_forever()
    assert time.process_time() - begin < 0.2


def test_a_deadline_that_moves_with_each_wake_up(loop):
    # As the deadline of a connection does with each request.
    left, fired = 30, []
    timer = loop.call_later(0.06, fired.append, "early")

    def request():
        nonlocal left, timer
        timer.cancel()
        left -= 1
        if left:
            timer = loop.call_later(0.06, fired.append, "early")
            loop.call_later(0.004, request)
        else:
            loop.call_later(0.06, loop.stop)

    loop.call_soon(request)
    loop.run_forever()
    assert fired == []


def test_sleep_is_never_early(run):
    async def main():
        for delay in (0.0001, 0.001, 0.0101):
            for _ in range(5):
                before = time.monotonic()
                await asyncio.sleep(delay)
                assert time.monotonic() - before >= delay - 2e-9

    run(main())


def test_a_delay_of_zero_or_less_runs_in_the_next_turn(loop):
    seen = []
    loop.call_later(0, seen.append, "zero")
    loop.call_later(-10, seen.append, "negative")
    loop.call_at(-1e9, seen.append, "long ago")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert sorted(seen) == ["long ago", "negative", "zero"]


@pytest.mark.parametrize("delay", [float("inf"), 1e300, 1e18, 1e10, 10**12])
def test_a_moment_that_never_comes(loop, delay):
    seen = []
    timers = [loop.call_later(delay, seen.append, "ran"), loop.call_at(delay, seen.append, "ran")]
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert seen == []
    for timer in timers:
        timer.cancel()
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_the_loop_waits_when_the_only_timer_never_comes(loop):
    """A huge delay must not wrap around to a short or an invalid one."""
    loop.call_later(float("inf"), callback)
    loop.call_later(1e12, callback)
    import threading

    timer = threading.Timer(0.02, loop.call_soon_threadsafe, (loop.stop,))
    timer.start()
    before = time.process_time()
    loop.run_forever()
    assert time.process_time() - before < 0.015  # it slept
    timer.join()


def test_not_a_number_leaves_the_loop_usable(loop, loop_name):
    if loop_name == "asyncio" and sys.version_info >= (3, 13):
        pytest.skip("the standard loop stops with a ValueError, turn after turn")
    try:
        timer = loop.call_later(float("nan"), callback)
    except ValueError:
        timer = None
    seen = []
    loop.call_later(0.001, seen.append, 1)
    loop.call_later(0.003, loop.stop)
    loop.run_forever()
    assert seen == [1]
    if timer is not None:
        timer.cancel()


def test_an_integer_too_large_for_a_float(loop):
    with pytest.raises(OverflowError):
        loop.call_later(10**400, callback)


@pytest.mark.parametrize("method", ["call_later", "call_at"])
@pytest.mark.parametrize("value", [None, "1", object()])
def test_what_is_no_number(loop, method, value):
    if method == "call_at" and value is not None:
        pytest.skip("the standard loop finds out only when it compares")
    with pytest.raises(TypeError):
        getattr(loop, method)(value, callback)


def test_numbers_of_other_types(loop):
    from fractions import Fraction

    seen = []
    loop.call_later(Fraction(1, 1000), seen.append, "fraction")
    loop.call_later(True, callback).cancel()
    loop.call_later(0.004, loop.stop)
    loop.run_forever()
    assert seen == ["fraction"]


def test_cancelling_many_timers(loop):
    """Most timers of a server are timeouts that never fire."""
    timers = [loop.call_later(3600, callback) for _ in range(20_000)]
    for timer in timers:
        timer.cancel()
    seen = []
    loop.call_later(0.001, seen.append, 1)
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert seen == [1]


def test_cancelled_timers_are_let_go(loop):
    import gc
    import weakref

    class Argument:
        pass

    references = []
    for _ in range(1000):
        argument = Argument()
        references.append(weakref.ref(argument))
        loop.call_later(3600, lambda it: None, argument).cancel()
    del argument
    gc.collect()
    assert not [reference for reference in references if reference() is not None]


def test_timers_of_one_moment_run_in_one_turn(loop):
    seen = []
    when = loop.time() + 0.002
    for number in range(100):
        loop.call_at(when, seen.append, number)
    loop.call_at(when, loop.stop)
    loop.run_forever()
    assert sorted(seen) == list(range(100))


def test_a_timer_set_by_a_timer(loop):
    seen = []

    def again(left):
        seen.append(left)
        if left:
            loop.call_later(0.0001, again, left - 1)
        else:
            loop.stop()

    loop.call_later(0.0001, again, 20)
    loop.run_forever()
    assert seen == list(range(20, -1, -1))


def test_time_can_be_replaced(loop_factory):
    """Test suites give a loop a clock of their own, by a subclass."""
    plain = loop_factory()
    plain.close()

    class Clocked(type(plain)):
        offset = 0.0

        def time(self):
            return super().time() + self.offset

    loop = Clocked()
    try:
        seen = []
        loop.call_later(1000, seen.append, 1)
        loop.stop()
        loop.run_forever()
        assert seen == []
        loop.offset = 1001.0
        loop.stop()
        loop.run_forever()
        assert seen == [1]
    finally:
        loop.close()
