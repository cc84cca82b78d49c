"""contextvars: which context a callback, a task, a protocol runs in."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref

import pytest
from support.sockets import tcp_pair

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="default")


def spin(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()


def context_with(value):
    context = contextvars.copy_context()
    context.run(variable.set, value)
    return context


SCHEDULE = {
    "call_soon": lambda loop, *args, **kw: loop.call_soon(*args, **kw),
    "call_soon_threadsafe": lambda loop, *args, **kw: loop.call_soon_threadsafe(*args, **kw),
    "call_later": lambda loop, *args, **kw: loop.call_later(0.0001, *args, **kw),
    "call_at": lambda loop, *args, **kw: loop.call_at(loop.time(), *args, **kw),
}


@pytest.mark.parametrize("schedule", SCHEDULE.values(), ids=SCHEDULE)
def test_the_current_context_is_copied(loop, schedule):
    seen = []
    token = variable.set("at the call")
    try:
        schedule(loop, lambda: seen.append(variable.get()))
        variable.set("later")
        loop.call_later(0.002, loop.stop)
        loop.run_forever()
    finally:
        variable.reset(token)
    assert seen == ["at the call"]


@pytest.mark.parametrize("schedule", SCHEDULE.values(), ids=SCHEDULE)
def test_a_given_context_is_used_and_changed(loop, schedule):
    context = context_with("given")
    seen = []

    def callback():
        seen.append(variable.get())
        variable.set("changed")

    schedule(loop, callback, context=context)
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert seen == ["given"]
    assert context[variable] == "changed"
    assert variable.get() == "default"


def test_a_callback_cannot_change_the_context_of_another(loop):
    seen = []
    loop.call_soon(variable.set, "changed")
    loop.call_soon(lambda: seen.append(variable.get()))
    spin(loop)
    assert seen == ["default"]
    assert variable.get() == "default"


def test_copy_context_inside_a_callback(loop):
    """The context is a real one even if it is empty."""
    seen = []
    loop.call_soon(
        lambda: seen.append(len(list(contextvars.copy_context()))), context=contextvars.Context()
    )
    spin(loop)
    assert seen == [0]


def test_one_context_for_many_callbacks(loop):
    context = context_with("0")

    def count():
        variable.set(str(int(variable.get()) + 1))

    for _ in range(10):
        loop.call_soon(count, context=context)
    spin(loop)
    assert context[variable] == "10"


def test_running_a_callback_in_a_context_that_is_entered(loop, reports, caplog):
    context = contextvars.copy_context()

    def inner():
        loop.call_soon(loop.stop, context=context)
        loop.run_forever()

    # The loop itself runs inside the context: its callbacks cannot enter it again.
    loop.call_later(0.01, loop.stop)
    context.run(inner)
    # From 3.12 on the handler is to run in that context too, and cannot be told.
    told = [str(context["exception"]) for context in reports.take()]
    logged = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert any("cannot enter context" in text for text in told + logged)


def test_a_task_has_a_copy(run):
    async def child():
        before = variable.get()
        variable.set("child")
        await asyncio.sleep(0)
        return before, variable.get()

    async def main():
        variable.set("main")
        result = await asyncio.create_task(child())
        return result, variable.get()

    assert run(main()) == (("main", "child"), "main")


def test_a_task_in_a_given_context(run):
    async def child():
        variable.set("child")

    async def main():
        context = contextvars.copy_context()
        task = asyncio.create_task(child(), context=context)
        if hasattr(task, "get_context"):  # 3.12
            assert task.get_context() is context
        await task
        return context[variable], variable.get()

    assert run(main()) == ("child", "default")


def test_two_tasks_in_one_context(run):
    async def writes():
        variable.set("written")

    async def reads():
        await asyncio.sleep(0)
        return variable.get()

    async def main():
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        _, value = await asyncio.gather(
            loop.create_task(writes(), context=context), loop.create_task(reads(), context=context)
        )
        return value

    assert run(main()) == "written"


def test_done_callbacks(run):
    async def main():
        future = asyncio.get_running_loop().create_future()
        seen = []
        variable.set("at the call")
        future.add_done_callback(lambda _: seen.append(variable.get()))
        future.add_done_callback(
            lambda _: seen.append(variable.get()), context=context_with("given")
        )
        variable.set("later")
        future.set_result(None)
        await asyncio.sleep(0)
        return seen

    assert run(main()) == ["at the call", "given"]


def test_add_reader(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = tcp_pair()
        with near, far:
            variable.set("at the call")
            value = loop.create_future()

            def readable():
                loop.remove_reader(far)
                value.set_result(variable.get())

            loop.add_reader(far, readable)
            variable.set("later")
            near.send(b"x")
            return await value

    assert run(main()) == "at the call"


def test_add_signal_handler(run):
    import os
    import signal

    async def main():
        loop = asyncio.get_running_loop()
        variable.set("at the call")
        value = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, lambda: value.set_result(variable.get()))
        variable.set("later")
        os.kill(os.getpid(), signal.SIGUSR1)
        result = await value
        loop.remove_signal_handler(signal.SIGUSR1)
        return result

    assert run(main()) == "at the call"


def test_protocol_of_a_client(run):
    """The callbacks of a protocol see the context in which the connection was made."""
    from support.sockets import listener

    seen = {}

    class Client(asyncio.Protocol):
        def connection_made(self, transport):
            seen["connection_made"] = variable.get()

        def data_received(self, data):
            seen["data_received"] = variable.get()

        def eof_received(self):
            seen["eof_received"] = variable.get()

        def connection_lost(self, exc):
            seen["connection_lost"] = variable.get()
            lost.set_result(None)

    async def main():
        nonlocal lost
        loop = asyncio.get_running_loop()
        lost = loop.create_future()
        with listener() as sock:
            variable.set("connecting")
            await loop.create_connection(Client, *sock.getsockname())
            variable.set("later")
            near, _ = await loop.sock_accept(sock)
            with near:
                await loop.sock_sendall(near, b"x")
            await lost

    lost = None
    run(main())
    assert seen == dict.fromkeys(
        ["connection_made", "data_received", "eof_received", "connection_lost"], "connecting"
    )


def test_protocols_of_a_server(run):
    """The callbacks of a server's protocol see the context in which the server was made."""
    import socket

    seen = []

    class Served(asyncio.Protocol):
        def __init__(self):
            seen.append(variable.get())

        def connection_made(self, transport):
            seen.append(variable.get())
            variable.set("by another connection")

        def data_received(self, data):
            seen.append(variable.get())

        def connection_lost(self, exc):
            lost.set_result(None)

    async def main():
        nonlocal lost
        loop = asyncio.get_running_loop()
        lost = loop.create_future()
        variable.set("serving")
        server = await loop.create_server(Served, "127.0.0.1", 0)
        variable.set("later")
        async with server:
            near = socket.create_connection(server.sockets[0].getsockname())
            near.send(b"x")
            near.close()
            await lost

    lost = None
    run(main())
    assert seen[0] == "serving"
    assert seen[1] == "serving"
    assert len(seen) == 3


def test_to_thread_copies_and_run_in_executor_does_not(run):
    async def main():
        variable.set("main")
        copied = await asyncio.to_thread(variable.get)
        plain = await asyncio.get_running_loop().run_in_executor(None, variable.get)
        return copied, plain

    assert run(main()) == ("main", "default")


def test_runner_context(loop_factory):
    async def main():
        variable.set("main")

    context = contextvars.copy_context()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main(), context=context)
        assert context[variable] == "main"
        runner.run(main())

        async def reads():
            return variable.get()

        assert runner.run(reads()) == "main"
    assert variable.get() == "default"


@pytest.mark.parametrize("schedule", SCHEDULE.values(), ids=SCHEDULE)
def test_a_change_stays_in_the_context_of_its_callback(loop, schedule):
    """Scheduled under equal variables, each callback still has its own, whenever one asks."""
    if not hasattr(asyncio.Handle, "get_context"):  # 3.12
        pytest.skip("handles do not show their context")
    seen = []

    def changes(value):
        variable.set(value)
        seen.append(handles[value].get_context()[variable])

    handles = {value: schedule(loop, changes, value) for value in "abc"}
    contexts = [handles["b"].get_context()]
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    assert seen == ["a", "b", "c"]
    contexts += [handle.get_context() for handle in handles.values()]
    assert [context[variable] for context in contexts] == ["b", "a", "b", "c"]
    assert contexts[0] is contexts[2]
    assert variable not in contextvars.copy_context()


def test_a_context_shown_is_the_one_that_is_used(loop):
    """Whenever somebody asks for it."""
    if not hasattr(asyncio.Handle, "get_context"):  # 3.12
        pytest.skip("handles do not show their context")
    seen = []

    def asks():
        seen.append(handle.get_context())
        variable.set("set after asking")

    handle = loop.call_soon(asks)
    other = loop.call_soon(lambda: seen.append(variable.get()))
    spin(loop)
    assert handle.get_context() is seen[0]
    assert seen[0][variable] == "set after asking"
    assert seen[1] == "default"
    assert variable not in other.get_context()


def test_tokens_outlive_the_step(run):
    """A variable set in one step is reset in a later one; another task sees none of it."""

    async def sets_and_resets():
        token = variable.set("set")
        await asyncio.sleep(0)
        inside = variable.get()
        variable.reset(token)
        await asyncio.sleep(0)
        return inside, variable.get()

    async def looks():
        return [(await asyncio.sleep(0), variable.get())[1] for _ in range(6)]

    async def main():
        return await asyncio.gather(sets_and_resets(), looks(), sets_and_resets(), looks())

    assert run(main()) == [("set", "default"), ["default"] * 6] * 2


def test_a_token_of_another_task(run):
    """Two tasks made under equal variables do not share a context."""
    tokens = []

    async def sets():
        tokens.append(variable.set("set"))

    async def resets():
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match="different Context"):
            variable.reset(tokens[0])

    async def main():
        await asyncio.gather(sets(), resets())

    run(main())


def test_a_token_that_is_used_up(run):
    """Set and reset in one step: the task goes on in a context of its own."""

    async def child(number):
        values = []
        for step in range(5):
            token = variable.set(f"{number}.{step}")
            values.append(variable.get())
            variable.reset(token)
            await asyncio.sleep(0)
            values.append(variable.get())
        return values

    async def main():
        return await asyncio.gather(*[child(number) for number in range(3)])

    for number, values in enumerate(run(main())):
        assert values[::2] == [f"{number}.{step}" for step in range(5)]
        assert set(values[1::2]) == {"default"}


def test_nested_runs_of_callbacks(loop):
    """A callback that runs another handle by hand: each in its own context."""
    seen = []
    inner = loop.call_soon(lambda: (variable.set("inner"), seen.append(variable.get())))

    def outer():
        variable.set("outer")
        inner._run()
        seen.append(variable.get())

    loop.call_soon(outer)
    last = loop.call_soon(lambda: seen.append(variable.get()))
    spin(loop)
    assert seen == ["inner", "inner", "outer", "default"]
    assert not last.cancelled()


def test_values_die_with_those_who_could_see_them(run):
    """Neither a callback nor a task that is gone keeps the value of a variable alive."""

    class Value:
        pass

    async def child():
        await asyncio.sleep(0)

    async def main():
        loop = asyncio.get_running_loop()
        value = Value()
        token = variable.set(value)
        loop.call_soon(lambda: None)
        task = loop.create_task(child())
        variable.reset(token)
        witness = weakref.ref(value)
        del value, token
        await task
        del task
        await asyncio.sleep(0)
        gc.collect()
        return witness()

    assert run(main()) is None
