"""Memory of futures under conditions that a native implementation gets wrong first."""

from __future__ import annotations

import gc
import weakref

import vivace


def test_a_long_chain_of_futures_goes_without_recursion() -> None:
    """Each holds the next one as its result; dropping the head drops them all."""
    loop = vivace.new_event_loop()
    last = None
    for _ in range(300_000):
        future = loop.create_future()
        future.set_result(last)
        last = future
    witness = weakref.ref(last)
    del last, future
    assert witness() is None
    loop.close()


def test_a_subclass_that_its_own_instance_refers_to_is_collected() -> None:
    """Such a cycle goes through the type, which on CPython 3.11 the base does not show."""
    loop = vivace.new_event_loop()

    class Future(vivace.Future):
        instance: vivace.Future

    Future.instance = Future(loop=loop)
    witness = weakref.ref(Future)
    del Future
    gc.collect()
    assert witness() is None
    loop.close()


def test_an_await_inside_a_finalizer_leaves_the_outer_one_its_value() -> None:
    """Giving an await its value lets go of the last one's, whose `__del__` may await too."""
    loop = vivace.new_event_loop()

    def resolved(value: object) -> vivace.Future:
        future = loop.create_future()
        future.set_result(value)
        return future

    class AwaitsAtTheEnd:
        def __del__(self) -> None:
            async def inner() -> object:
                return await resolved("inner")

            try:
                inner().send(None)
            except StopIteration as stop:
                assert stop.value == "inner"

    async def outer() -> object:
        await resolved(AwaitsAtTheEnd())
        return await resolved("outer")

    assert loop.run_until_complete(outer()) == "outer"
    loop.close()


def test_the_value_of_an_await_is_not_kept_beyond_its_step() -> None:
    loop = vivace.new_event_loop()

    class Value:
        pass

    async def use() -> weakref.ref[Value]:
        future = loop.create_future()
        future.set_result(Value())
        value = await future
        return weakref.ref(value)

    assert loop.run_until_complete(use())() is None
    loop.close()
