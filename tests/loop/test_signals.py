"""add_signal_handler, and what the loop does with the wake-up descriptor of signals."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time

import pytest

USR1 = signal.SIGUSR1


def spin(loop, turns=1):
    for _ in range(turns):
        loop.call_soon(loop.stop)
        loop.run_forever()


@pytest.fixture(autouse=True)
def dispositions():
    """What the handlers of the signals used here were is what they are at the end."""
    numbers = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_delivery(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, lambda *args: seen.append(args) or loop.stop(), 1, 2)
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.run_forever()
    assert seen == [(1, 2)]
    assert loop.remove_signal_handler(signal.SIGUSR1) is True


def test_it_wakes_a_sleeping_loop(loop):
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    main = threading.main_thread().ident
    timer = threading.Timer(0.02, signal.pthread_kill, (main, signal.SIGUSR1))
    timer.start()
    loop.run_forever()
    timer.join()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_sent_to_another_thread(loop):
    """The kernel may hand a signal to any thread; the callback runs on the loop."""
    seen = []

    def callback():
        seen.append(threading.current_thread())
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, callback)
    released = threading.Event()
    thread = threading.Thread(target=released.wait)
    thread.start()
    loop.call_later(0.005, signal.pthread_kill, thread.ident, signal.SIGUSR1)
    loop.run_forever()
    released.set()
    thread.join()
    assert seen == [threading.main_thread()]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_signal_while_the_loop_is_stopped(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, 1)
    spin(loop)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert seen == []
    spin(loop, 3)
    assert seen == [1]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_signal_before_the_loop_ever_ran(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, 1)
    os.kill(os.getpid(), signal.SIGUSR1)
    spin(loop, 3)
    assert seen == [1]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_several_signals(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, 1)
    loop.add_signal_handler(signal.SIGUSR2, seen.append, 2)
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)
    spin(loop, 3)
    assert sorted(seen) == [1, 2]
    assert loop.remove_signal_handler(signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)
    spin(loop, 3)
    assert seen[2:] == [2]
    assert loop.remove_signal_handler(signal.SIGUSR2)


def test_a_burst(loop):
    count = 0

    def callback():
        nonlocal count
        count += 1

    loop.add_signal_handler(signal.SIGUSR1, callback)
    for _ in range(200):
        os.kill(os.getpid(), signal.SIGUSR1)
        spin(loop)
    spin(loop, 3)
    assert count == 200
    loop.remove_signal_handler(signal.SIGUSR1)


def test_replacing_a_handler(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "first")
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "second")
    os.kill(os.getpid(), signal.SIGUSR1)
    spin(loop, 3)
    assert seen == ["second"]
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop.remove_signal_handler(signal.SIGUSR1) is False


def test_removing_puts_the_default_back(loop):
    loop.add_signal_handler(signal.SIGUSR1, print)
    assert signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL
    loop.remove_signal_handler(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    loop.add_signal_handler(signal.SIGINT, print)
    loop.remove_signal_handler(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_close_removes_the_handlers(loop):
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.add_signal_handler(signal.SIGUSR2, print)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL


def test_interrupt_with_a_handler(loop):
    """A handler for SIGINT takes the place of KeyboardInterrupt."""
    seen = []
    loop.add_signal_handler(signal.SIGINT, lambda: (seen.append(1), loop.stop()))
    loop.call_soon(os.kill, os.getpid(), signal.SIGINT)
    loop.run_forever()
    assert seen == [1]
    loop.remove_signal_handler(signal.SIGINT)


def test_errors(loop):
    async def coroutine():
        pass

    for wrong in (1.5, "SIGUSR1", None):
        with pytest.raises(TypeError, match="sig must be an int"):
            loop.add_signal_handler(wrong, print)
        with pytest.raises(TypeError, match="sig must be an int"):
            loop.remove_signal_handler(wrong)
    for wrong in (0, -1, 1000):
        with pytest.raises(ValueError, match="invalid signal number"):
            loop.add_signal_handler(wrong, print)
        with pytest.raises(ValueError, match="invalid signal number"):
            loop.remove_signal_handler(wrong)
    with pytest.raises(TypeError, match="coroutines cannot be used with add_signal_handler"):
        loop.add_signal_handler(signal.SIGUSR1, coroutine)
    made = coroutine()
    with pytest.raises(TypeError, match="coroutines cannot be used with add_signal_handler"):
        loop.add_signal_handler(signal.SIGUSR1, made)
    made.close()
    for number in (signal.SIGKILL, signal.SIGSTOP):
        with pytest.raises(RuntimeError, match=f"sig {int(number)} cannot be caught"):
            loop.add_signal_handler(number, print)
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_signal_handler(signal.SIGUSR1, print)


def test_from_another_thread(loop):
    errors = []

    def work():
        try:
            loop.add_signal_handler(signal.SIGUSR1, print)
        except (RuntimeError, ValueError) as exc:
            errors.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    (error,) = errors
    assert type(error) is RuntimeError
    assert "main thread" in str(error)


def test_a_failing_handler(loop, reports):
    def fail():
        raise ZeroDivisionError

    loop.add_signal_handler(signal.SIGUSR1, fail)
    os.kill(os.getpid(), signal.SIGUSR1)
    spin(loop, 3)
    assert isinstance(reports.take_one()["exception"], ZeroDivisionError)
    loop.remove_signal_handler(signal.SIGUSR1)


def test_plain_signal_handlers_run_between_callbacks(loop):
    """A handler of the module signal runs in the main thread while the loop runs, and waits."""
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *args: seen.append(args[0]))
    try:
        loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        loop.call_later(0.005, loop.stop)
        loop.run_forever()
        assert seen == [signal.SIGUSR1]
        timer = threading.Timer(
            0.01, signal.pthread_kill, (threading.main_thread().ident, signal.SIGUSR1)
        )
        timer.start()

        async def until_seen():
            # Under asyncio a signal just before the loop sleeps is handled when it wakes.
            while len(seen) < 2:
                await asyncio.sleep(0.05)

        loop.run_until_complete(until_seen())
        timer.join()
        assert seen == [signal.SIGUSR1] * 2
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_plain_handler_that_raises_leaves_the_loop(loop):
    class Odd(Exception):
        pass

    def raise_odd(*args):
        raise Odd

    before = signal.signal(signal.SIGUSR1, raise_odd)
    try:
        timer = threading.Timer(
            0.01, signal.pthread_kill, (threading.main_thread().ident, signal.SIGUSR1)
        )
        timer.start()

        def tick():
            # Under asyncio a signal just before the loop sleeps is handled when it wakes.
            loop.call_later(0.05, tick)

        tick()
        with pytest.raises(Odd):
            loop.run_forever()
        timer.join()
        spin(loop)
    finally:
        signal.signal(signal.SIGUSR1, before)


def send_from_a_thread(delay=0.02):
    """A thread that gets SIGUSR1 itself, in a while, as if the kernel had chosen it."""
    thread = threading.Timer(delay, lambda: signal.pthread_kill(threading.get_ident(), USR1))
    thread.start()
    return thread


@pytest.mark.not_asyncio("it sleeps on")
def test_a_plain_handler_wakes_the_loop_whichever_thread_got_the_signal(loop):
    """So does one that comes just before the loop sleeps, which no test can time."""
    before = signal.signal(USR1, lambda *args: loop.stop())
    try:
        for _ in range(2):
            thread = send_from_a_thread()
            loop.run_forever()
            thread.join()
            # Given back after each run.
            assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(USR1, before)


@pytest.mark.not_asyncio("it sleeps on")
def test_a_plain_handler_wakes_the_loop_after_a_handler_of_the_loop_has_come_and_gone(loop):
    def come_and_go():
        loop.add_signal_handler(signal.SIGUSR2, print)
        loop.remove_signal_handler(signal.SIGUSR2)

    before = signal.signal(USR1, lambda *args: loop.stop())
    try:
        loop.call_soon(come_and_go)
        thread = send_from_a_thread()
        loop.run_forever()
        thread.join()
    finally:
        signal.signal(USR1, before)


@pytest.mark.not_asyncio("it sleeps on")
def test_interrupt_from_another_thread(loop_factory):
    """KeyboardInterrupt ends a program that sleeps."""

    async def main():
        threading.Timer(
            0.02, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        ).start()
        await asyncio.get_running_loop().create_future()

    with (
        pytest.raises(KeyboardInterrupt) as caught,
        asyncio.Runner(loop_factory=loop_factory) as runner,
    ):
        runner.run(main())
    # Not that of the time limit.
    assert caught.type is KeyboardInterrupt


def test_more_plain_signals_than_the_wake_up_descriptor_takes(loop, capfd):
    """As a profiler sends them while a callback blocks: nobody is told that it was full."""
    count = 0

    def handler(*args):
        nonlocal count
        count += 1

    def block():
        for _ in range(2000):
            signal.raise_signal(USR1)

    before = signal.signal(USR1, handler)
    try:
        loop.call_soon(block)
        spin(loop, 3)
    finally:
        signal.signal(USR1, before)
    assert count == 2000
    assert capfd.readouterr().err == ""


def test_no_wake_up_descriptor_without_handlers(loop):
    """A loop that handles no signal leaves the wake-up descriptor of others alone."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    signal.set_wakeup_fd(near.fileno())
    before = signal.signal(USR1, lambda *args: None)
    try:
        loop.call_soon(signal.raise_signal, USR1)
        spin(loop)
        assert far.recv(10) == bytes([USR1])
        assert signal.set_wakeup_fd(near.fileno()) == near.fileno()
    finally:
        signal.signal(USR1, before)
        signal.set_wakeup_fd(-1)
        near.close()
        far.close()


def test_the_previous_wake_up_descriptor_is_put_back(loop, loop_name):
    if loop_name == "asyncio":
        pytest.skip("the standard loop sets none in its place")
    near, far = socket.socketpair()
    near.setblocking(False)
    signal.set_wakeup_fd(near.fileno())
    try:
        loop.add_signal_handler(signal.SIGUSR1, loop.stop)
        os.kill(os.getpid(), signal.SIGUSR1)
        loop.run_forever()
        loop.remove_signal_handler(signal.SIGUSR1)
        loop.close()
        assert signal.set_wakeup_fd(-1) == near.fileno()
    finally:
        signal.set_wakeup_fd(-1)
        near.close()
        far.close()


def test_two_loops_one_after_the_other(loop_factory):
    for _ in range(3):
        loop = loop_factory()
        loop.add_signal_handler(signal.SIGUSR1, loop.stop)
        loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        loop.run_forever()
        loop.close()


def test_a_blocking_call_is_interrupted_as_ever(loop):
    """Signals inside a callback that blocks: Python's own rules hold."""
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *args: seen.append("handler"))
    near, far = os.pipe()

    def interrupt_and_release():
        while not seen:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
            time.sleep(0.01)
        os.write(far, b"x")

    def block():
        thread = threading.Thread(target=interrupt_and_release)
        thread.start()
        assert os.read(near, 1) == b"x"
        seen.append("read")
        thread.join()

    try:
        loop.call_soon(block)
        spin(loop)
        assert seen[0] == "handler"
        assert seen[-1] == "read"
    finally:
        signal.signal(signal.SIGUSR1, before)
        os.close(near)
        os.close(far)


def test_children_do_not_inherit_the_handler(run):
    async def main():
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, print)
        process = await asyncio.create_subprocess_exec("sleep", "10")
        process.send_signal(signal.SIGUSR1)
        assert await process.wait() == -signal.SIGUSR1
        loop.remove_signal_handler(signal.SIGUSR1)

    run(main())
