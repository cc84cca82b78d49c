"""V203: tasks that can never go on, and the loop's hold on tasks that nobody else has."""

from __future__ import annotations

import signal
from typing import Any

import pytest

BEGIN = """
    import asyncio, gc, signal, threading, weakref
    from vivace.see import _orphans, _tick
    _orphans.INTERVAL = 0.1

    async def looks(times=6):
        for _ in range(times):
            await asyncio.sleep(0.1)
            gc.collect()
            _tick.tick(asyncio.get_running_loop())

"""

LONE = (
    BEGIN
    + """
    async def waits():
        try:
            await asyncio.get_running_loop().create_future()  # <- waits
        finally:
            print("ended")

    def start():
        return weakref.ref(asyncio.create_task(waits(), name="lone"))  # <- made

    async def main():
        weak = start()
        await looks()
        print("alive", weak() is not None)

    asyncio.run(main())
"""
)

# The weak reference of the program above would be a way to reach the task.
UNSEEN = LONE.replace("return weakref.ref(", "(").replace('print("alive", weak() is not None)', "")

QUEUE = (
    BEGIN
    + """
    async def consumer(queue):
        while True:
            await queue.get()  # <- waits

    async def producer(queue):
        for n in range(3):
            await queue.put(n)

    def start():
        queue = asyncio.Queue()
        for n in range(2):
            asyncio.create_task(consumer(queue), name=f"consumer-{n}")
        return asyncio.create_task(producer(queue))

    async def main():
        await start()
        await looks()

    asyncio.run(main())
"""
)

FORSAKEN = """
    import asyncio, ctypes, sys, threading
    from vivace.see import _tick

    class Pipeline:
        def __init__(self):
            self.queue = asyncio.Queue()

        async def produces(self):
            for n in range(3):
                await self.queue.put(n)

        async def consumes(self):
            while True:
                await self.queue.get()  # <- waits

    async def main():
        pipeline = Pipeline()
        async with asyncio.TaskGroup() as group:
            for n in range(2):
                group.create_task(pipeline.consumes(), name=f"consumer-{n}")
            group.create_task(pipeline.produces())

    async def joins():
        queue = asyncio.Queue()
        queue.put_nowait(1)
        await queue.join()  # <- joins

    async def waits_for_one_of():
        await asyncio.wait([asyncio.get_running_loop().create_future()])  # <- one of

    async def has_a_timer():
        asyncio.get_running_loop().call_later(100, print)
        await main()

    async def has_a_thread():
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        await main()

    async def has_a_thread_of_its_own_make():
        # C code may have threads that Python does not know, and call the loop from there.
        libc, thread = ctypes.CDLL(None), ctypes.c_ulong()
        assert libc.pthread_create(ctypes.byref(thread), None, libc.pause, None) == 0
        await main()

    async def has_a_server():
        await asyncio.start_server(print, "127.0.0.1", 0)
        await main()

    rounds = []

    def ends(loop):
        rounds.append(loop)
        if len(rounds) > 2:
            for task in asyncio.all_tasks(loop):
                task.cancel()

    async def begins(function):
        _tick.watches.append(ends)
        await function()

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(begins(globals()[sys.argv[1]]))
    except asyncio.CancelledError:
        print("ended")
"""

CLEAN = (
    BEGIN
    + """
    kept = []

    async def waits_for_thread():
        event = asyncio.Event()
        loop = asyncio.get_running_loop()

        def later():
            import time
            time.sleep(0.5)
            loop.call_soon_threadsafe(event.set)

        threading.Thread(target=later).start()
        await event.wait()
        print("thread")

    async def waits_for_signal():
        event = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, event.set)
        await event.wait()

    async def waits_for_timer():
        await asyncio.sleep(0.4)

    async def waits_for_callback():
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.4, future.set_result, None)
        await future

    async def waits_for_executor():
        import time
        await asyncio.to_thread(time.sleep, 0.4)

    async def waits_for_process():
        process = await asyncio.create_subprocess_exec("sleep", "0.4")
        await process.wait()

    async def waits_for_ever():
        await asyncio.get_running_loop().create_future()

    async def waits_for_weak():
        event = asyncio.Event()
        weakly.add(event)
        await event.wait()

    weakly = weakref.WeakSet()

    async def serves(reader, writer):
        await reader.read()
        writer.close()

    async def main():
        server = await asyncio.start_server(serves, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for each in (waits_for_thread, waits_for_signal, waits_for_timer, waits_for_callback,
                     waits_for_executor, waits_for_process, waits_for_weak):
            asyncio.create_task(each())
        # Whoever has the task may cancel it.
        kept.append(asyncio.create_task(waits_for_ever()))
        queue = asyncio.Queue()

        async def consumer():
            await queue.get()

        asyncio.create_task(consumer())
        await looks(10)
        for event in weakly:
            event.set()
        writer.close()
        server.close()
        # As in `await asyncio.Future()  # run for ever`.
        asyncio.get_running_loop().call_later(0.1, main_task.cancel)
        await asyncio.get_running_loop().create_future()

    async def outer():
        global main_task
        main_task = asyncio.create_task(main())
        try:
            await main_task
        except asyncio.CancelledError:
            pass

    asyncio.run(outer())
"""
)


def test_a_future_that_nobody_else_has(watch: Any) -> None:
    done = watch(UNSEEN)
    found = done.only("V203")
    assert (found["line"], found["function"]) == (done.line("waits"), "waits")
    assert found["task"]["name"] == "lone"
    assert found["task"]["created"]["line"] == done.line("made")
    # asyncio.run() finds and cancels it.
    assert done.stdout.split() == ["ended"]


def test_a_weak_reference_to_the_task_saves_nobody(watch: Any) -> None:
    done = watch(LONE)
    found = done.only("V203")
    assert found["line"] == done.line("waits")


def test_a_task_that_nobody_has_stays(watch: Any) -> None:
    assert watch(LONE).stdout.splitlines() == ["alive True", "ended"]


def test_consumers_without_a_producer(watch: Any) -> None:
    done = watch(QUEUE)
    found = done.only("V203")
    assert sorted(task["name"] for task in found["tasks"]) == ["consumer-0", "consumer-1"]
    assert found["line"] == done.line("waits")


@pytest.mark.parametrize(
    ("function", "mark", "names"),
    [
        ("main", "waits", ["consumer-0", "consumer-1"]),
        ("joins", "joins", ["Task-1"]),
        ("waits_for_one_of", "one of", ["Task-1"]),
    ],
)
def test_a_loop_that_nothing_can_wake(
    watch: Any, function: str, mark: str, names: list[str]
) -> None:
    done = watch(FORSAKEN, function)
    found = done.only("V203")
    assert [found] == done.untimed
    assert found["line"] == done.line(mark)
    assert sorted(task["name"] for task in found["tasks"]) == names


def test_a_loop_that_nothing_can_wake_is_let_be_when_off(watch: Any) -> None:
    # Nobody looks, so an alarm ends it.
    done = watch(
        FORSAKEN.replace("_tick.watches.append(ends)", "signal.alarm(3)").replace(
            "import asyncio,", "import signal, asyncio,"
        ),
        "main",
        diag="0",
        status=-signal.SIGALRM,
    )
    assert not done.findings
    assert not done.stderr


@pytest.mark.parametrize(
    "function", ["has_a_timer", "has_a_thread", "has_a_thread_of_its_own_make", "has_a_server"]
)
def test_a_loop_that_something_may_wake(watch: Any, function: str) -> None:
    done = watch(FORSAKEN, function)
    assert done.stdout == "ended\n"
    assert not done.untimed


def test_clean_programs_hear_nothing(watch: Any) -> None:
    done = watch(CLEAN)
    assert done.untimed == []
    assert done.stdout.split() == ["thread"]


def test_many_idle_connections(watch: Any) -> None:
    done = watch(
        BEGIN
        + """
    from vivace.see import _leaks
    _leaks.INTERVAL = 0.1

    async def serves(reader, writer):
        while await reader.readline():
            pass
        writer.close()

    async def main():
        server = await asyncio.start_server(serves, "127.0.0.1", 0, backlog=1000)
        address = server.sockets[0].getsockname()
        clients = []
        for _ in range(12):
            clients += [await asyncio.open_connection(*address) for _ in range(30)]
            await looks(1)
        await looks(6)
        for _, writer in clients:
            writer.close()
        server.close()
        await asyncio.sleep(0.1)

    asyncio.run(main())
    """
    )
    assert done.untimed == []


def test_a_look_in_pieces_comes_to_the_end(watch: Any) -> None:
    """However little time a piece gets: passing over what was looked at takes time, too."""
    done = watch(
        """
        import asyncio
        from vivace import _native

        async def waits():
            await asyncio.get_running_loop().create_future()

        async def main():
            for _ in range(5):
                asyncio.create_task(waits())
            await asyncio.sleep(0)
            found = skip = pieces = 0
            while skip >= 0 and pieces < 50:
                islands, skip = _native.see_orphans(asyncio.get_running_loop(), skip, 0)
                found += len(islands)
                pieces += 1
            print(found, skip)

        asyncio.run(main())
        """
    )
    assert done.stdout == "5 -1\n"


def test_off(watch: Any) -> None:
    for source in (UNSEEN, QUEUE):
        assert watch(source, diag="0").findings == []


def test_tasks_are_held_whatever_is_looked_at(watch: Any) -> None:
    assert watch(LONE, diag="0").stdout.splitlines() == ["alive True", "ended"]


def test_nothing_is_held_once_the_loop_has_stopped(watch: Any) -> None:
    done = watch(
        """
        import asyncio, gc, weakref

        async def waits():
            await asyncio.get_running_loop().create_future()

        loop = asyncio.new_event_loop()

        async def main():
            task = asyncio.create_task(waits())
            await asyncio.sleep(0)
            return weakref.ref(task)

        weak = loop.run_until_complete(main())
        gc.collect()
        print(weak() is None)

        # And a loop that is dropped takes its tasks with it.
        weak = loop.run_until_complete(main())
        also = weakref.ref(loop)
        del loop
        gc.collect()
        print(weak() is None, also() is None)

        # Closing drops what was ready to run at once.
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: print(context["message"]))
        weak = weakref.ref(loop.create_task(waits()))
        loop.close()
        print(weak() is None)
        """
    )
    assert done.stdout.splitlines() == [
        "True",
        "True True",
        "Task was destroyed but it is pending!",
        "True",
    ]
