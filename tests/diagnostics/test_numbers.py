"""What the loop and its tasks count, and the look that is taken once a second."""

from __future__ import annotations

from typing import Any

COUNT = """
    import asyncio, json, time

    async def busy():
        for _ in range(10):
            time.sleep(0.005)
            await asyncio.sleep(0)

    async def fail():
        raise ValueError

    async def main():
        loop = asyncio.get_running_loop()
        before = loop._see_counters
        task = asyncio.create_task(busy())
        failing = asyncio.create_task(fail())
        cancelled = asyncio.create_task(asyncio.sleep(10))
        waiting = asyncio.create_task(asyncio.sleep(0))
        await asyncio.sleep(0.001)
        cancelled.cancel()
        await asyncio.wait([task, failing, cancelled, waiting])
        failing.exception()
        await asyncio.sleep(0.2)
        after = loop._see_counters
        print(json.dumps([loop._see_number, before, after, task._see_numbers,
                          waiting._see_numbers, failing._see_numbers]))

    asyncio.run(main())
"""


def test_what_ran_is_counted(watch: Any) -> None:
    import json

    number, before, after, busy, waiting, _failing = json.loads(watch(COUNT).stdout)
    assert number == 0
    change = {name: after[name] - before[name] for name in after if isinstance(after[name], int)}
    assert change["created"] == 4
    assert change["ended_ok"] == 2
    assert change["ended_error"] == 1
    assert change["ended_cancelled"] == 1
    assert change["steps"] >= 11 + 1 + 2 + 2
    assert change["callbacks"] >= change["steps"]
    assert change["busy"] >= 50e6
    assert 150e6 <= change["idle"] <= 10e9
    _id, steps, age, took, _delay, _ready, parent = busy
    assert steps == 11
    assert 0 < parent < busy[0], "made by the main task"
    assert 50e6 <= took <= age
    # It was ready while the first step of the busy task ran.
    assert waiting[4] >= 4e6
    assert sum(after["durations"]) == after["callbacks"]
    assert sum(after["durations"][23:]) >= 10, "ten steps of at least 2**22 nanoseconds"
    assert sum(after["delays"]) >= after["steps"]


def test_nothing_is_counted_when_off(watch: Any) -> None:
    import json

    number, before, after, busy, *_ = json.loads(watch(COUNT, diag="0").stdout)
    assert (number, before, after) == (0, {}, {})
    assert busy[1:] == [0, 0, 0, 0, 0, 0]


TICKS = """
    import asyncio, sys, time

    looks = []

    def look(loop):
        looks.append(time.monotonic())

    def broken(loop):
        raise ValueError("broken look")

    async def main():
        if "watched" in sys.argv:
            from vivace.see import _tick
            _tick.watches += [look, broken]
        loop = asyncio.get_running_loop()
        end = loop.time() + 3.3
        turns = loop._see_counters.get("iterations", 0)
        if "busy" in sys.argv:
            # Three times take somewhat longer where the machine is busy.
            while loop.time() < end or 0 < len(looks) < 3:
                await asyncio.sleep(0.01)
        else:
            await asyncio.sleep(3.3)
            print("turns", loop._see_counters.get("iterations", 0) - turns)
        print("looks", len(looks))

    asyncio.run(main())
"""


def test_a_loop_that_turns_is_looked_at_once_a_second(watch: Any) -> None:
    done = watch(TICKS, "watched", "busy")
    assert done.stdout == "looks 3\n"
    assert "diagnostics: broken failed and is off now" in done.stderr


def test_a_loop_that_sleeps_is_woken_for_it_more_and_more_seldom(watch: Any) -> None:
    done = watch(TICKS, "watched")
    assert done.stdout.endswith("looks 1\n")


def test_a_loop_that_nobody_looks_at_sleeps(watch: Any) -> None:
    turns, looks = watch(TICKS).stdout.splitlines()
    assert looks == "looks 0"
    # Of the timer, and of the step that it makes ready.
    assert int(turns.split()[1]) <= 3


def test_nobody_looks_when_off(watch: Any) -> None:
    assert watch(TICKS, "watched", "busy", diag="0").stdout == "looks 0\n"


INTERRUPTED = """
    import signal
    from vivace.see import _tick
    import vivace

    def look(loop):
        looks.append(loop)
        signal.raise_signal(signal.SIGINT)

    looks = []
    _tick.watches.insert(0, look)
    loop = vivace.new_event_loop()
    loop.call_later(60, loop.stop)
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        print("interrupted", len(looks), loop.is_running())
    _tick.watches.remove(look)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
"""


def test_control_c_during_a_look_is_not_lost(watch: Any) -> None:
    assert watch(INTERRUPTED).stdout == "interrupted 1 False\n"
