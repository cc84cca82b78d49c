"""Futures of a loop: results, callbacks, cancellation, reports and what they look like."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref

import pytest


def spin(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


class Failure(Exception):
    """Raised by the tests of this file."""


def test_type(loop):
    future = loop.create_future()
    assert isinstance(future, asyncio.Future)
    assert asyncio.isfuture(future)
    assert asyncio.isfuture(type(future)(loop=loop))
    assert not asyncio.iscoroutine(future)
    assert future.get_loop() is loop
    assert future._asyncio_future_blocking is False


def test_result(loop):
    future = loop.create_future()
    assert not future.done() and not future.cancelled()
    with pytest.raises(asyncio.InvalidStateError, match="Result is not set"):
        future.result()
    with pytest.raises(asyncio.InvalidStateError, match="Exception is not set"):
        future.exception()
    assert future.set_result(5) is None
    assert future.done() and not future.cancelled()
    assert future.result() == 5
    assert future.exception() is None
    for again in (lambda: future.set_result(6), lambda: future.set_exception(Failure())):
        with pytest.raises(asyncio.InvalidStateError):
            again()
    assert future.cancel() is False


def test_exception(loop):
    future = loop.create_future()
    error = Failure("failed")
    future.set_exception(error)
    assert future.exception() is error
    with pytest.raises(Failure) as caught:
        future.result()
    assert caught.value is error


def test_exception_of_a_class(loop):
    future = loop.create_future()
    future.set_exception(Failure)
    assert isinstance(future.exception(), Failure)


def test_what_is_no_exception(loop):
    for wrong in ("text", 5, object()):
        with pytest.raises(TypeError):
            loop.create_future().set_exception(wrong)


def test_stop_iteration_is_refused(loop):
    # At first a TypeError at once, wrapped since a micro version of 3.11 and 3.12: the standard
    # class of this version tells which.
    standard = asyncio.Future(loop=loop)
    future = loop.create_future()
    try:
        standard.set_exception(StopIteration(5))
    except TypeError as exc:
        assert sys.version_info < (3, 13)
        with pytest.raises(TypeError) as caught:
            future.set_exception(StopIteration(5))
        assert str(caught.value) == str(exc)
        return
    future.set_exception(StopIteration(5))
    error, expected = future.exception(), standard.exception()
    assert isinstance(error, RuntimeError) and str(error) == str(expected)
    assert isinstance(error.__cause__, StopIteration)
    assert isinstance(error.__context__, StopIteration)


def test_the_traceback_does_not_grow(loop):
    """The same exception is raised again and again, and does not collect frames."""
    future = loop.create_future()
    try:
        raise Failure
    except Failure as exc:
        future.set_exception(exc)
    lengths = []
    for _ in range(3):
        try:
            future.result()
        except Failure as exc:
            length, tb = 0, exc.__traceback__
            while tb:
                length, tb = length + 1, tb.tb_next
            lengths.append(length)
    assert lengths[0] >= lengths[1] == lengths[2]


def test_cancel(loop):
    future = loop.create_future()
    assert future.cancel() is True
    assert future.cancelled() and future.done()
    assert future.cancel() is False
    for question in (future.result, future.exception):
        with pytest.raises(asyncio.CancelledError):
            question()
    with pytest.raises(asyncio.InvalidStateError):
        future.set_result(1)


def test_cancel_with_a_message(loop):
    future = loop.create_future()
    future.cancel("reason")
    with pytest.raises(asyncio.CancelledError, match="reason"):
        future.result()
    future = loop.create_future()
    future.cancel(msg="keyword")
    with pytest.raises(asyncio.CancelledError, match="keyword"):
        future.exception()


def test_callbacks_keep_order_and_run_by_call_soon(loop):
    future = loop.create_future()
    seen = []
    for number in range(5):
        future.add_done_callback(lambda f, number=number: seen.append((number, f)))
    future.set_result(None)
    assert seen == []
    spin(loop)
    assert seen == [(number, future) for number in range(5)]
    future.add_done_callback(lambda f: seen.append("late"))
    assert len(seen) == 5
    spin(loop)
    assert seen[-1] == "late"


def test_remove_done_callback(loop):
    future = loop.create_future()
    seen = []

    def one(_):
        seen.append(1)

    def two(_):
        seen.append(2)

    assert future.remove_done_callback(one) == 0
    for callback in (one, two, one, one):
        future.add_done_callback(callback)
    assert future.remove_done_callback(one) == 3
    future.add_done_callback(one)
    future.set_result(None)
    spin(loop)
    assert seen == [2, 1]


def test_remove_done_callback_by_equality(loop):
    class Equal:
        def __init__(self):
            self.calls = 0

        def __eq__(self, other):
            return isinstance(other, Equal)

        __hash__ = None

        def __call__(self, future):
            self.calls += 1

    future = loop.create_future()
    for _ in range(3):
        future.add_done_callback(Equal())
    assert future.remove_done_callback(Equal()) == 3
    future.cancel()


def test_remove_while_comparing(loop):
    """The comparison runs code that changes the list."""
    future = loop.create_future()

    class Evil:
        comparing = False

        def __call__(self, future):
            pass

        def __eq__(self, other):
            if not Evil.comparing:
                Evil.comparing = True
                future.remove_done_callback(len)
            return False

        __hash__ = None

    for _ in range(3):
        future.add_done_callback(len)
        future.add_done_callback(Evil())
    assert future.remove_done_callback(Evil()) == 0
    future.cancel()


def test_callbacks_added_by_a_callback(loop):
    future = loop.create_future()
    seen = []
    future.add_done_callback(lambda f: f.add_done_callback(lambda _: seen.append("inner")))
    future.set_result(None)
    spin(loop)
    assert seen == []
    spin(loop)
    assert seen == ["inner"]


def test_await(loop):
    async def main(future):
        return await future

    future = loop.create_future()
    loop.call_soon(future.set_result, 7)
    assert loop.run_until_complete(main(future)) == 7
    assert loop.run_until_complete(main(future)) == 7  # done: no turn is needed
    failed = loop.create_future()
    loop.call_soon(failed.set_exception, Failure("failed"))
    with pytest.raises(Failure):
        loop.run_until_complete(main(failed))


def test_the_iterator(loop):
    future = loop.create_future()
    iterator = iter(future)
    assert next(iterator) is future
    assert future._asyncio_future_blocking is True
    future._asyncio_future_blocking = False
    future.set_result(9)
    with pytest.raises(StopIteration) as stopped:
        next(iterator)
    assert stopped.value.value == 9
    waits = future.__await__()
    with pytest.raises(StopIteration):
        waits.send(None)
    fresh = loop.create_future().__await__()
    with pytest.raises(Failure):
        fresh.throw(Failure)
    fresh.close()


def test_a_tuple_as_result(loop):
    """A tuple is not spread over the arguments of StopIteration."""

    async def main(future):
        return await future

    for value in ((), (1,), (1, 2), StopIteration(3), ValueError(1)):
        future = loop.create_future()
        future.set_result(value)
        assert loop.run_until_complete(main(future)) is value
        waiting = loop.create_future()
        loop.call_soon(waiting.set_result, value)
        assert loop.run_until_complete(main(waiting)) is value


def test_repr(loop):
    future = loop.create_future()
    name = type(future).__name__
    assert repr(future) == f"<{name} pending>"
    future.add_done_callback(spin)
    assert repr(future).startswith(f"<{name} pending cb=[spin() at ")
    future.add_done_callback(spin)
    future.add_done_callback(spin)
    assert "<1 more>" in repr(future)
    future.remove_done_callback(spin)
    future.set_result("text")
    assert repr(future) == f"<{name} finished result='text'>"
    future = loop.create_future()
    future.set_exception(Failure("failed"))
    assert repr(future) == f"<{name} finished exception=Failure('failed')>"
    future.exception()
    future = loop.create_future()
    future.cancel()
    assert repr(future) == f"<{name} cancelled>"


def test_repr_of_a_future_in_its_own_result(loop):
    future = loop.create_future()
    future.set_result([future])
    assert "..." in repr(future)
    future.result().clear()


def test_repr_in_debug_mode(loop):
    loop.set_debug(True)
    future = loop.create_future()
    assert "created at" in repr(future)
    assert __file__ in [frame.filename for frame in future._source_traceback]
    future.cancel()


def test_an_exception_never_retrieved(loop, reports):
    future = loop.create_future()
    error = Failure("failed")
    future.set_exception(error)
    text = repr(future)
    name = type(future).__name__
    del future
    gc.collect()
    context = reports.take_one()
    assert context["message"] == f"{name} exception was never retrieved"
    assert context["exception"] is error
    assert repr(context["future"]) == text


def test_the_report_in_debug_mode(loop, reports):
    loop.set_debug(True)
    future = loop.create_future()
    future.set_exception(Failure("failed"))
    del future
    gc.collect()
    assert __file__ in [frame.filename for frame in reports.take_one()["source_traceback"]]


@pytest.mark.parametrize("question", ["result", "exception", "await"])
def test_a_retrieved_exception_is_not_reported(loop, question):
    async def waits(future):
        await future

    future = loop.create_future()
    future.set_exception(Failure("failed"))
    try:
        if question == "await":
            loop.run_until_complete(waits(future))
        else:
            getattr(future, question)()
    except Failure:
        pass
    del future
    gc.collect()


def test_the_report_runs_in_the_context_of_the_handle_where_it_dies(loop):
    import contextvars

    variable = contextvars.ContextVar("variable", default="default")
    seen = []
    loop.set_exception_handler(lambda loop, context: seen.append(variable.get()))
    context = contextvars.copy_context()
    context.run(variable.set, "of the handle")
    loop.call_soon(lambda: loop.create_future().set_exception(Failure()), context=context)
    spin(loop)
    gc.collect()
    assert seen == ["of the handle"]


def test_cancelled_futures_are_not_reported(loop):
    loop.create_future().cancel()
    gc.collect()


def test_a_resurrected_future(loop, reports):
    kept = []
    loop.set_exception_handler(lambda loop, context: kept.append(context["future"]))
    loop.create_future().set_exception(Failure("failed"))
    gc.collect()
    assert isinstance(kept[0].exception(), Failure)
    kept.clear()
    gc.collect()
    assert kept == []


def test_weak_references_and_cycles(loop):
    future = loop.create_future()
    reference = weakref.ref(future)
    future.add_done_callback(lambda _, keep=future: None)
    future.itself = future
    del future
    gc.collect()
    assert reference() is None


def test_attributes_of_a_subclass(loop):
    class Named(type(loop.create_future())):
        def __init__(self, name, *, loop):
            super().__init__(loop=loop)
            self.name = name

        def set_result(self, value):
            super().set_result(value * 2)

    future = Named("mine", loop=loop)
    loop.call_soon(lambda: future.set_result(4))
    assert loop.run_until_complete(future) == 8
    assert future.name == "mine"
    assert isinstance(future, asyncio.Future)


def test_a_future_without_a_running_loop(loop):
    with pytest.raises(RuntimeError, match="no running event loop|no current event loop"):
        asyncio.get_running_loop()
    future = type(loop.create_future())(loop=loop)
    assert future.get_loop() is loop
    with pytest.raises(TypeError):
        type(future)(loop)
    with pytest.raises((AttributeError, TypeError)):
        type(future)(loop="text").add_done_callback(print)


def test_initialised_twice(loop, reports):
    future = loop.create_future()
    future.add_done_callback(print)
    future.__init__(loop=loop)
    assert not future.done()
    assert future._callbacks is None or future._callbacks == []
    future.cancel()


def test_private_names_that_libraries_read(loop):
    future = loop.create_future()
    assert future._state == "PENDING"
    assert future._loop is loop
    assert future._log_traceback is False
    future.set_exception(Failure("failed"))
    assert future._state == "FINISHED"
    assert isinstance(future._exception, Failure)
    assert future._log_traceback is True
    with pytest.raises(ValueError):
        future._log_traceback = True
    future._log_traceback = False
    done = loop.create_future()
    done.set_result(5)
    assert done._result == 5
    cancelled = loop.create_future()
    cancelled.cancel("why")
    assert cancelled._state == "CANCELLED"
    assert cancelled._cancel_message == "why"


def test_generic_alias(loop):
    assert type(loop.create_future())[int].__origin__ is type(loop.create_future())


def test_wrap_future(run):
    import concurrent.futures
    import threading

    async def main():
        source = concurrent.futures.Future()
        threading.Thread(target=source.set_result, args=(5,)).start()
        assert await asyncio.wrap_future(source) == 5
        failing = concurrent.futures.Future()
        failing.set_exception(Failure("failed"))
        with pytest.raises(Failure):
            await asyncio.wrap_future(failing)
        abandoned = concurrent.futures.Future()
        wrapped = asyncio.wrap_future(abandoned)
        wrapped.cancel()
        await asyncio.sleep(0)
        assert abandoned.cancelled()
        own = asyncio.get_running_loop().create_future()
        assert asyncio.wrap_future(own) is own
        own.cancel()

    run(main())


def test_ensure_future(run):
    async def value():
        return 1

    class Awaitable:
        def __await__(self):
            return (yield from value().__await__())

    async def main():
        assert await asyncio.ensure_future(value()) == 1
        assert await asyncio.ensure_future(Awaitable()) == 1
        future = asyncio.get_running_loop().create_future()
        assert asyncio.ensure_future(future) is future
        future.cancel()
        with pytest.raises(TypeError):
            asyncio.ensure_future(5)

    run(main())
