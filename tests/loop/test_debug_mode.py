"""Debug mode: what it checks, logs and remembers."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import threading
import time

import pytest
from support.patience import SLACK


def spin(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


async def nothing():
    """Ends at once."""


def test_get_and_set(loop):
    assert loop.get_debug() is False
    loop.set_debug(True)
    assert loop.get_debug() is True
    loop.set_debug(False)
    assert loop.get_debug() is False


def test_a_slow_callback_is_logged(loop, caplog):
    loop.set_debug(True)
    assert loop.slow_callback_duration == 0.1
    loop.slow_callback_duration = 0.005
    loop.call_soon(time.sleep, 0.02)
    spin(loop)
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert record.name == "asyncio"
    text = record.getMessage()
    assert text.startswith("Executing <Handle ")
    assert re.search(r" took \d+\.\d{3} seconds$", text)


def test_a_slow_task_is_logged_by_name(loop, caplog):
    async def slow_coroutine():
        time.sleep(0.02)

    loop.set_debug(True)
    loop.slow_callback_duration = 0.005
    loop.run_until_complete(loop.create_task(slow_coroutine(), name="the slow one"))
    texts = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert any("slow_coroutine" in text and "the slow one" in text for text in texts)


def test_quick_callbacks_are_not_logged(loop, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = SLACK
    spin(loop)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_nothing_is_logged_without_debug(loop, caplog):
    loop.slow_callback_duration = 0.001
    loop.call_soon(time.sleep, 0.005)
    spin(loop)
    assert not caplog.records


def call_from_a_thread(function):
    """Call it in another thread and return what it raised."""
    errors = []

    def work():
        try:
            function()
        except Exception as exc:
            errors.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return errors


@pytest.mark.parametrize("method", ["call_soon", "call_later", "call_at"])
def test_a_call_from_the_wrong_thread(loop, method):
    async def main():
        arguments = (print,) if method == "call_soon" else (1e9, print)
        (error,) = call_from_a_thread(lambda: getattr(loop, method)(*arguments))
        assert isinstance(error, RuntimeError)
        assert "Non-thread-safe operation" in str(error)
        assert not call_from_a_thread(lambda: loop.call_soon_threadsafe(len, ()))

    loop.set_debug(True)
    loop.run_until_complete(main())


def test_the_right_thread_is_not_bothered(loop):
    loop.set_debug(True)
    assert not call_from_a_thread(lambda: loop.call_soon(len, ()))  # it does not run yet
    spin(loop)


@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe", "call_later", "call_at"])
def test_coroutines_as_callbacks(loop, method):
    arguments = (0,) if method in ("call_later", "call_at") else ()
    loop.set_debug(True)
    made = nothing()
    for wrong in (nothing, made):
        with pytest.raises(TypeError, match="coroutines cannot be used with"):
            getattr(loop, method)(*arguments, wrong)
    made.close()
    with pytest.raises(TypeError, match="a callable object was expected"):
        getattr(loop, method)(*arguments, "text")


def test_source_tracebacks(loop):
    loop.set_debug(True)
    task = loop.create_task(nothing())
    things = [loop.call_soon(len, ()), loop.call_later(100, print), loop.create_future(), task]
    for thing in things:
        assert __file__ in [frame.filename for frame in thing._source_traceback]
    things[1].cancel()
    things[2].cancel()
    loop.run_until_complete(task)
    loop.set_debug(False)
    assert loop.create_future()._source_traceback is None
    assert loop.call_soon(len, ())._source_traceback is None


def test_coroutine_origins(loop):
    async def main():
        assert sys.get_coroutine_origin_tracking_depth() > 0
        coroutine = nothing()
        assert coroutine.cr_origin[0][0] == __file__
        coroutine.close()
        loop.set_debug(False)
        await asyncio.sleep(0)
        assert sys.get_coroutine_origin_tracking_depth() == 0
        loop.set_debug(True)
        await asyncio.sleep(0)
        assert sys.get_coroutine_origin_tracking_depth() > 0

    before = sys.get_coroutine_origin_tracking_depth()
    loop.set_debug(True)
    assert sys.get_coroutine_origin_tracking_depth() == before
    loop.run_until_complete(main())
    assert sys.get_coroutine_origin_tracking_depth() == before


def test_the_debug_of_a_runner(run):
    async def main():
        assert asyncio.get_running_loop().get_debug()
        await asyncio.sleep(0)

    run(main(), debug=True)


def test_a_whole_connection_in_debug_mode(run, caplog):
    """Nothing breaks when everything is traced, and the loop tells of its transports."""

    async def handle(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async def main():
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            assert await reader.read() == b"hello\n"
            writer.close()
            await writer.wait_closed()
        process = await asyncio.create_subprocess_exec("true")
        assert await process.wait() == 0
        await asyncio.to_thread(time.sleep, 0.001)

    with caplog.at_level(logging.DEBUG, "asyncio"):
        run(main(), debug=True)


def test_the_environment_variable(run_script):
    source = """
        import asyncio
        async def main():
            print(asyncio.get_running_loop().get_debug())
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(main())
    """
    assert run_script(source).stdout == "False\n"
    assert run_script(source, environment={"PYTHONASYNCIODEBUG": "1"}).stdout == "True\n"


def test_never_awaited_names_the_place(run_script):
    source = """
        import asyncio
        async def forgotten():
            pass
        async def main():
            forgotten()
        with asyncio.Runner(debug=True, loop_factory=new_event_loop) as runner:
            runner.run(main())
    """
    stderr = run_script(source).stderr
    assert "coroutine 'forgotten' was never awaited" in stderr
    assert "Coroutine created at" in stderr
