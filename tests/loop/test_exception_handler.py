"""set_exception_handler, call_exception_handler and the default handler."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys

import pytest

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="default")


class Failure(Exception):
    """Raised by the callbacks of this file."""


def fail(*args):
    raise Failure("failed")


def spin(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_get_and_set(loop, reports):
    assert loop.get_exception_handler() is reports
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None
    with pytest.raises(TypeError, match="callable object or None is expected"):
        loop.set_exception_handler("text")


def test_what_a_failing_callback_reports(loop, reports):
    handle = loop.call_soon(fail, 1)
    spin(loop)
    context = reports.take_one()
    assert isinstance(context["exception"], Failure)
    described = repr(asyncio.Handle(fail, (1,), loop)).removeprefix("<Handle ").removesuffix(">")
    assert context["message"] == f"Exception in callback {described}"
    assert context["handle"] is handle
    assert "source_traceback" not in context


def test_the_source_traceback_in_debug_mode(loop, reports):
    loop.set_debug(True)
    loop.call_soon(fail)
    spin(loop)
    context = reports.take_one()
    assert any(frame.filename == __file__ for frame in context["source_traceback"])


def test_the_turn_goes_on_after_a_failure(loop, reports):
    seen = []
    loop.call_soon(fail)
    loop.call_soon(seen.append, 1)
    spin(loop)
    assert seen == [1]
    reports.take_one()


def test_the_handler_gets_loop_and_context(loop):
    seen = []
    loop.set_exception_handler(lambda *args: seen.append(args))
    context = {"message": "text", "own": 1}
    loop.call_exception_handler(context)
    assert seen == [(loop, context)]
    assert seen[0][1] is context


@pytest.mark.skipif(sys.version_info < (3, 12), reason="in the current context before 3.12")
def test_the_handler_runs_in_the_context_of_the_handle(loop):
    seen = []
    loop.set_exception_handler(lambda loop, context: seen.append(variable.get()))
    context = contextvars.copy_context()
    context.run(variable.set, "of the handle")
    loop.call_soon(fail, context=context)
    spin(loop)
    assert seen == ["of the handle"]


def test_call_exception_handler_can_be_replaced_on_the_loop(loop):
    seen = []
    loop.call_exception_handler = seen.append
    loop.call_soon(fail)
    spin(loop)
    assert len(seen) == 1 and isinstance(seen[0]["exception"], Failure)


def test_the_default_handler_logs(loop, caplog):
    loop.set_exception_handler(None)
    loop.call_soon(fail, 5)
    spin(loop)
    (record,) = caplog.records
    assert record.name == "asyncio" and record.levelno == logging.ERROR
    handle = repr(asyncio.Handle(fail, (5,), loop))
    described = handle.removeprefix("<Handle ").removesuffix(">")
    assert record.getMessage() == f"Exception in callback {described}\nhandle: {handle}"
    assert record.exc_info[0] is Failure


def test_the_default_handler_with_a_message_alone(loop, caplog):
    loop.default_exception_handler({"message": "only this", "own": "detail"})
    (record,) = caplog.records
    assert record.getMessage() == "only this\nown: 'detail'"
    assert not record.exc_info
    caplog.clear()
    loop.default_exception_handler({})
    assert caplog.records[0].getMessage() == "Unhandled exception in event loop"


def test_a_handler_that_fails(loop, caplog):
    def broken(loop, context):
        raise ZeroDivisionError

    loop.set_exception_handler(broken)
    loop.call_soon(fail)
    spin(loop)
    (record,) = caplog.records
    assert "Unhandled error in exception handler" in record.getMessage()
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_a_handler_that_leaves(loop, kind):
    def leave(loop, context):
        raise kind

    loop.set_exception_handler(leave)
    loop.call_soon(fail)
    with pytest.raises(kind):
        loop.run_forever()


def test_a_default_handler_that_fails(loop_factory, caplog):
    plain = loop_factory()
    plain.close()

    class Broken(type(plain)):
        def default_exception_handler(self, context):
            raise ZeroDivisionError

    loop = Broken()
    loop.call_soon(fail)
    spin(loop)
    loop.close()
    (record,) = caplog.records
    assert "Exception in default exception handler" in record.getMessage()


def test_a_failing_callback_does_not_keep_the_exception(loop, reports):
    import gc
    import weakref

    references = []

    class Referenced(Exception):
        def __init__(self):
            references.append(weakref.ref(self))

    def callback():
        raise Referenced

    loop.set_exception_handler(lambda loop, context: None)
    loop.call_soon(callback)
    spin(loop)
    gc.collect()
    assert references[0]() is None


def test_a_failing_done_callback(loop, reports):
    seen = []
    future = loop.create_future()
    future.add_done_callback(fail)
    future.add_done_callback(seen.append)
    future.set_result(None)
    spin(loop)
    assert seen == [future]
    assert isinstance(reports.take_one()["exception"], Failure)


def test_a_failing_reader_and_writer(loop, reports):
    import socket

    near, far = socket.socketpair()
    with near, far:

        def readable():
            loop.remove_reader(near)
            raise Failure("reader")

        def writable():
            loop.remove_writer(near)
            raise Failure("writer")

        loop.add_reader(near, readable)
        loop.add_writer(near, writable)
        far.send(b"x")
        for _ in range(5):
            spin(loop)
    assert sorted(str(context["exception"]) for context in reports.take()) == ["reader", "writer"]
    assert asyncio.all_tasks(loop) == set()
