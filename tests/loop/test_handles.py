"""Handle and TimerHandle: what call_soon, call_later and call_at give back."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref

import pytest


def spin(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


def callback(*args):
    """A callback whose name shows in a repr."""


def test_types(loop):
    assert isinstance(loop.call_soon(callback), asyncio.Handle)
    assert not isinstance(loop.call_soon(callback), asyncio.TimerHandle)
    assert isinstance(loop.call_soon_threadsafe(callback), asyncio.Handle)
    for timer in (loop.call_later(5, callback), loop.call_at(loop.time() + 5, callback)):
        assert isinstance(timer, asyncio.TimerHandle)
        assert isinstance(timer, asyncio.Handle)


def test_call_later_of_zero_is_a_timer(loop):
    assert isinstance(loop.call_later(0, callback), asyncio.TimerHandle)


@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe", "call_later"])
def test_cancelled_handles_do_not_run(loop, method):
    seen = []
    arguments = (0,) if method == "call_later" else ()
    schedule = getattr(loop, method)
    handles = [schedule(*arguments, seen.append, number) for number in range(5)]
    handles[1].cancel()
    handles[3].cancel()
    assert [handle.cancelled() for handle in handles] == [False, True, False, True, False]
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    assert seen == [0, 2, 4]


def test_cancel_twice_and_after_running(loop):
    handle = loop.call_soon(callback)
    spin(loop)
    assert not handle.cancelled()
    assert handle.cancel() is None
    handle.cancel()
    assert handle.cancelled()
    spin(loop)


def test_a_callback_cancels_one_of_the_same_turn(loop):
    seen = []
    handles = []
    loop.call_soon(lambda: handles[0].cancel())
    handles.append(loop.call_soon(seen.append, "cancelled"))
    loop.call_soon(seen.append, "kept")
    spin(loop)
    assert seen == ["kept"]


def test_a_callback_cancels_itself(loop):
    handles = []
    loop_calls = []

    def cancel_self():
        loop_calls.append(1)
        handles[0].cancel()

    handles.append(loop.call_soon(cancel_self))
    spin(loop)
    spin(loop)
    assert loop_calls == [1]


def test_a_cancelled_handle_drops_its_arguments(loop):
    class Argument:
        pass

    argument = Argument()
    reference = weakref.ref(argument)
    soon = loop.call_soon(callback, argument)
    timer = loop.call_later(100, callback, argument)
    soon.cancel()
    timer.cancel()
    del argument
    gc.collect()
    assert reference() is None
    assert soon.cancelled() and timer.cancelled()


def test_a_run_callback_is_not_kept(loop):
    class Argument:
        pass

    argument = Argument()
    reference = weakref.ref(argument)
    loop.call_soon(callback, argument)
    del argument
    spin(loop)
    gc.collect()
    assert reference() is None


def test_handles_can_be_weakly_referenced(loop):
    for handle in (loop.call_soon(callback), loop.call_later(100, callback)):
        assert weakref.ref(handle)() is handle
        handle.cancel()


def test_get_context(loop):
    context = contextvars.copy_context()
    handles = [
        loop.call_soon(callback, context=context),
        loop.call_later(10, callback, context=context),
        loop.call_at(loop.time() + 10, callback, context=context),
        loop.call_soon_threadsafe(callback, context=context),
    ]
    if hasattr(asyncio.Handle, "get_context"):  # 3.12
        assert all(handle.get_context() is context for handle in handles)
        assert isinstance(loop.call_soon(callback).get_context(), contextvars.Context)


def test_when(loop):
    moment = loop.time() + 12.5
    assert loop.call_at(moment, callback).when() == moment
    whole = loop.call_at(int(moment), callback).when()
    assert (whole, type(whole)) == (int(moment), int)
    before = loop.time()
    timer = loop.call_later(10, callback)
    after = loop.time()
    assert before + 10 <= timer.when() <= after + 10
    timer.cancel()
    assert before + 10 <= timer.when() <= after + 10


def test_timers_compare_by_when(loop):
    early, late = loop.call_at(1e9, callback), loop.call_at(2e9, callback)
    same = loop.call_at(1e9, callback)
    assert early < late and late > early and early <= late and late >= early
    assert early != late
    assert early == early
    assert early <= same and early >= same
    assert early == same  # same moment, same callback and arguments
    assert hash(early) == hash(same)
    assert (early == object()) is False
    with pytest.raises(TypeError):
        early < object()  # noqa: B015
    for timer in (early, late, same):
        timer.cancel()


def test_handles_of_call_soon_are_equal_only_to_themselves(loop):
    first, second = loop.call_soon(callback), loop.call_soon(callback)
    assert first == first
    assert first != second
    assert len({first, second}) == 2


def test_repr(loop):
    # Whether the arguments show depends on the version: compare with a handle made by hand.
    handle = loop.call_soon(callback, 1, "two")
    assert repr(handle) == repr(asyncio.Handle(callback, (1, "two"), loop))
    handle.cancel()
    assert repr(handle) == "<Handle cancelled>"
    timer = loop.call_at(1e9, callback, 3)
    assert repr(timer) == repr(asyncio.TimerHandle(1e9, callback, (3,), loop))
    timer.cancel()
    assert repr(timer) == f"<TimerHandle cancelled when={1e9}>"


def test_repr_in_debug_mode_names_where_it_was_made(loop):
    loop.set_debug(True)
    handle = loop.call_soon(callback)
    assert "created at" in repr(handle) and __file__ in repr(handle)
    timer = loop.call_later(100, callback)
    assert "created at" in repr(timer) and __file__ in repr(timer)
    handle.cancel()
    assert "cancelled" in repr(handle) and "callback" in repr(handle)
    timer.cancel()


def test_a_handle_made_by_hand_works(loop):
    """Libraries make asyncio.Handle themselves and give it to nobody."""
    seen = []
    handle = asyncio.Handle(seen.append, (1,), loop)
    loop.call_soon(handle._run)
    spin(loop)
    assert seen == [1]
