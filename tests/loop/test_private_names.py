"""Private attributes of loops that well-known libraries read or assign."""

from __future__ import annotations

import asyncio
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
    import signal

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
