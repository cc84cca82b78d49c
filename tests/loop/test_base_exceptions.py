"""KeyboardInterrupt and SystemExit leave run_forever at once, and the loop stays usable."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

LEAVING = [KeyboardInterrupt, SystemExit]


def spin(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


@pytest.mark.parametrize("kind", LEAVING)
@pytest.mark.parametrize("schedule", ["call_soon", "call_soon_threadsafe", "call_later"])
def test_from_a_callback(loop, kind, schedule):
    seen = []

    def leave():
        raise kind("leaving")

    arguments = (0.0001,) if schedule == "call_later" else ()
    getattr(loop, schedule)(*arguments, leave)
    with pytest.raises(kind, match="leaving"):
        loop.run_forever()
    assert not loop.is_running()
    assert asyncio._get_running_loop() is None
    loop.call_soon(seen.append, "usable")
    spin(loop)
    assert seen == ["usable"]


@pytest.mark.parametrize("kind", LEAVING)
def test_the_rest_of_the_turn_runs_next_time(loop, kind):
    seen = []

    def leave():
        raise kind

    loop.call_soon(seen.append, "before")
    loop.call_soon(leave)
    loop.call_soon(seen.append, "after")
    with pytest.raises(kind):
        loop.run_forever()
    assert seen == ["before"]
    spin(loop)
    assert seen == ["before", "after"]


@pytest.mark.parametrize("kind", LEAVING)
def test_from_a_task(loop, kind):
    async def leave():
        await asyncio.sleep(0)
        raise kind("leaving")

    with pytest.raises(kind, match="leaving"):
        loop.run_until_complete(leave())
    assert not loop.is_running()
    assert loop.run_until_complete(asyncio.sleep(0, "usable")) == "usable"


@pytest.mark.parametrize("kind", LEAVING)
def test_the_task_that_left_holds_the_exception(loop, kind):
    async def leave():
        raise kind("leaving")

    task = loop.create_task(leave())
    with pytest.raises(kind):
        loop.run_forever()
    assert task.done()
    assert isinstance(task.exception(), kind)


@pytest.mark.parametrize("kind", LEAVING)
def test_while_another_task_waits(loop, kind):
    async def leave():
        raise kind("leaving")

    async def waits():
        await asyncio.sleep(0.001)
        return "done"

    waiting = loop.create_task(waits())
    leaving = loop.create_task(leave())
    with pytest.raises(kind):
        loop.run_forever()
    assert isinstance(leaving.exception(), kind)
    assert loop.run_until_complete(waiting) == "done"


@pytest.mark.parametrize("kind", LEAVING)
def test_from_a_done_callback(loop, kind):
    def leave(future):
        raise kind

    future = loop.create_future()
    future.add_done_callback(leave)
    future.set_result(None)
    with pytest.raises(kind):
        loop.run_forever()
    spin(loop)


@pytest.mark.parametrize("kind", LEAVING)
def test_from_a_reader(loop, kind):
    near, far = os.pipe()

    def leave():
        os.read(near, 1)
        raise kind

    try:
        loop.add_reader(near, leave)
        os.write(far, b"x")
        with pytest.raises(kind):
            loop.run_forever()
        spin(loop)
        assert loop.remove_reader(near)
    finally:
        os.close(near)
        os.close(far)


@pytest.mark.parametrize("kind", LEAVING)
@pytest.mark.parametrize(
    "method", ["connection_made", "data_received", "eof_received", "connection_lost"]
)
def test_from_a_protocol(loop, kind, method):
    from support.sockets import tcp_pair

    near, far = tcp_pair()
    left = []

    class Leaving(asyncio.Protocol):
        pass

    def leave(self, *args):
        # Once: what is still readable would make the loop call it again and again.
        if not left:
            left.append(method)
            raise kind

    setattr(Leaving, method, leave)
    near.send(b"x")
    near.close()
    task = loop.create_task(loop.connect_accepted_socket(Leaving, far))
    loop.call_later(5, loop.stop)
    with pytest.raises(kind):
        loop.run_forever()
    assert left == [method]
    for _ in range(10):
        spin(loop)
    if task.done():
        task.result()[0].abort()
    else:
        task.cancel()  # connection_made was cut short, and nobody says that it is made
    for _ in range(3):
        spin(loop)


def test_a_real_interrupt_while_the_loop_waits(loop):
    loop.call_later(0.005, os.kill, os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert loop.run_until_complete(asyncio.sleep(0, 1)) == 1


def test_a_real_interrupt_with_nothing_to_do(run_script):
    """The loop sleeps in the kernel without any timer when the signal comes."""
    source = """
        import os, signal, threading
        loop = new_event_loop()
        main = threading.main_thread().ident
        threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
        try:
            loop.run_forever()
        except KeyboardInterrupt:
            print("interrupted")
        loop.close()
    """
    assert run_script(source).stdout == "interrupted\n"


def test_a_real_interrupt_in_a_busy_loop(loop):
    def again():
        loop.call_soon(again)

    loop.call_soon(again)
    loop.call_later(0.005, os.kill, os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()


def test_runner_turns_an_interrupt_into_a_cancellation(loop_factory):
    seen = []

    async def main():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    for _ in range(2):  # twice in a row: the handler must be put back
        with pytest.raises(KeyboardInterrupt), asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main())
    assert seen == ["cancelled"] * 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_base_exception_goes_to_the_handler(loop, reports):
    class Odd(BaseException):
        pass

    def fail():
        raise Odd

    loop.call_soon(fail)
    spin(loop)
    assert isinstance(reports.take_one()["exception"], Odd)


def test_exit_status_of_a_script(run_script):
    run_script(
        """
        import asyncio, sys
        async def main():
            sys.exit(7)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(main())
        """,
        expect=7,
    )
