"""Private attributes of loops that well-known libraries read or assign."""

from __future__ import annotations

import asyncio
import concurrent.futures
import selectors
import signal
import socket
import threading

import pytest


def test_the_default_executor(run):
    async def main():
        loop = asyncio.get_running_loop()
        assert loop._default_executor is None
        await asyncio.to_thread(len, ())
        assert loop._default_executor is not None

    run(main())


def test_the_length_of_the_ready_queue(loop):
    assert len(loop._ready) == 0
    assert not loop._ready
    loop.call_soon(len, ())
    loop.call_soon(len, ())
    assert len(loop._ready) == 2
    loop.stop()
    loop.run_forever()
    assert len(loop._ready) == 0


def test_the_signal_handlers(loop):
    assert signal.SIGUSR1 not in loop._signal_handlers
    loop.add_signal_handler(signal.SIGUSR1, print)
    assert signal.SIGUSR1 in loop._signal_handlers
    loop.remove_signal_handler(signal.SIGUSR1)
    assert signal.SIGUSR1 not in loop._signal_handlers


def test_the_thread(run):
    async def main():
        assert asyncio.get_running_loop()._thread_id == threading.get_ident()

    run(main())


def test_the_checks(loop):
    loop._check_closed()
    loop._check_running()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop._check_closed()


@pytest.mark.parametrize("name", ["_closed", "_debug", "_task_factory", "_exception_handler"])
def test_state(loop, name):
    assert hasattr(loop, name)


def test_methods_can_be_replaced_on_the_object(loop):
    """Instrumentation replaces methods on the loop; what asyncio calls through it must follow."""
    calls = []
    real = loop.create_task

    def create_task(coroutine, **options):
        calls.append(options)
        return real(coroutine, **options)

    loop.create_task = create_task

    async def main():
        await asyncio.create_task(asyncio.sleep(0), name="mine")
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))

    loop.run_until_complete(main())
    assert len(calls) == 4


def test_call_soon_replaced_on_a_subclass(loop_factory):
    plain = loop_factory()
    plain.close()

    class Counting(type(plain)):
        count = 0

        def call_soon(self, *args, **kwargs):
            self.count += 1
            return super().call_soon(*args, **kwargs)

    loop = Counting()
    loop.call_soon(len, ())
    assert loop.count == 1
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_call_exception_handler_can_be_replaced_on_the_object(loop):
    """Test frameworks put a function there to fail a test by what was reported."""
    contexts = []
    loop.call_exception_handler = contexts.append

    class Broken(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport
            raise LookupError("protocol")

    async def fails():
        raise LookupError("task")

    async def main():
        loop.call_soon(failing, "callback")
        loop.call_later(0, failing, "timer")
        loop.call_soon_threadsafe(failing, "thread")
        near, far = socket.socketpair()
        near.setblocking(False)
        loop.add_reader(near, failing_reader, near)
        far.send(b"x")
        transport, _ = await loop.create_datagram_endpoint(Broken, ("127.0.0.1", 0))
        task = loop.create_task(fails())
        await asyncio.wait([task])
        del task
        while len(contexts) < 6:
            await asyncio.sleep(0)
        far.close()
        transport.close()
        await asyncio.sleep(0)

    def failing(text):
        raise LookupError(text)

    def failing_reader(sock):
        loop.remove_reader(sock)
        sock.close()
        failing("reader")

    loop.run_until_complete(main())
    said = {str(context["exception"]) for context in contexts}
    assert said == {"callback", "timer", "thread", "reader", "protocol", "task"}
    assert all(isinstance(context["message"], str) for context in contexts)
    del loop.call_exception_handler
    assert loop.call_exception_handler != contexts.append


def test_the_default_executor_can_be_exchanged_and_dropped(loop):
    """As anyio and notebooks do."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        loop._default_executor = pool
        assert loop.run_until_complete(loop.run_in_executor(None, threading.get_ident))
        assert loop._default_executor is pool
        loop._default_executor = None
    assert loop.run_until_complete(loop.run_in_executor(None, len, "four")) == 4
    assert loop._default_executor is not None and loop._default_executor is not pool


def test_the_ready_queue_while_the_loop_runs(run):
    """Schedulers and watchdogs ask how much there is to do."""

    async def main():
        loop = asyncio.get_running_loop()
        assert len(loop._ready) == 0
        for _ in range(3):
            loop.call_soon(len, ())
        task = asyncio.ensure_future(asyncio.sleep(0))
        assert len(loop._ready) == 4 and loop._ready
        await task
        assert len(loop._ready) == 0
        timers = len(loop._scheduled)
        handle = loop.call_later(100, len, ())
        assert len(loop._scheduled) == timers + 1
        assert handle in loop._scheduled
        handle.cancel()

    run(main())


def test_the_signal_handlers_hold_handles(loop):
    loop.add_signal_handler(signal.SIGUSR1, print, "x")
    assert list(loop._signal_handlers) == [signal.SIGUSR1]
    handle = loop._signal_handlers[signal.SIGUSR1]
    assert isinstance(handle, asyncio.Handle)
    assert (handle._callback, handle._args) == (print, ("x",))
    loop.close()
    assert not loop._signal_handlers


def test_what_the_selector_knows(loop):
    near, far = socket.socketpair()
    with near, far:
        with pytest.raises(KeyError):
            loop._selector.get_key(near)
        loop.add_reader(near, len, ())
        key = loop._selector.get_key(near)
        assert key.fd == near.fileno() and key.events == selectors.EVENT_READ
        assert isinstance(key.data[0], asyncio.Handle) and key.data[1] is None
        assert near.fileno() in loop._selector.get_map()
        loop.add_writer(near, len, ())
        assert loop._selector.get_key(near).events == selectors.EVENT_READ | selectors.EVENT_WRITE
        loop.remove_reader(near)
        loop.remove_writer(near)
        assert near.fileno() not in loop._selector.get_map()
    loop.close()
    assert loop._selector is None
