"""Deadlocks among ten thousand tasks: found however far apart, in steps that stay small."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

# Looks as often as it can, a step at a time, until something is found or there were so many whole
# rounds. Prints how many tasks were looked at in the longest step, and in all.
HEAD = """
import asyncio, json, sys
from vivace.see import _deadlocks, _graph

_deadlocks.PATIENCE = _deadlocks.APART = 0.0
_deadlocks.SLICE = 0.0
looked = 0
original = _graph.look

def look(task):
    global looked
    looked += 1
    return original(task)

_graph.look = look

async def rounds(number, between=lambda: None):
    loop = asyncio.get_running_loop()
    most = done = steps = 0
    while done < number:
        before = looked
        _deadlocks.watch(loop)
        most = max(most, looked - before)
        known = _deadlocks._loops[loop]
        done += known.work is None
        if known.reported:
            break
        steps += 1
        if steps % 100 == 0:
            between()
            await asyncio.sleep(0)
    print(json.dumps([most, looked, len(known.reported)]))

async def hold(lock, name):
    async with lock:
        await asyncio.sleep(1000)

async def want(lock):
    async with lock:
        pass

async def transfer(mine, theirs):
    async with mine:  # <- held
        await asyncio.sleep(0)
        async with theirs:  # <- wanted
            pass

def crowd(number):
    loop = asyncio.get_running_loop()
    event, queue, slow = asyncio.Event(), asyncio.Queue(), asyncio.Lock()
    made = [asyncio.create_task(hold(slow, "slow"))]
    for n in range(number):
        made.append(asyncio.ensure_future((
            lambda: asyncio.sleep(1000),
            event.wait,
            queue.get,
            lambda: asyncio.wait_for(bare(loop), 1000),
            lambda: bare(loop),
        )[n % 5]()))
    made += [asyncio.create_task(want(slow)) for _ in range(100)]
    return made

async def bare(loop):
    await loop.create_future()

async def settle():
    for _ in range(5):
        await asyncio.sleep(0)
"""

END = """
async def program():
    main_task = asyncio.current_task()
    await main()
    rest = asyncio.all_tasks() - {main_task}
    for task in rest:
        task.cancel()
    await asyncio.wait(rest)

asyncio.run(program())
"""


def steps(done: Any) -> tuple[int, int, int]:
    """Looks in the longest step, looks in all, circles."""
    most, all_of_them, found = json.loads(done.stdout.splitlines()[-1])
    return most, all_of_them, found


FAR = """
async def main():
    one, other = asyncio.Lock(), asyncio.Lock()
    first = asyncio.create_task(transfer(one, other), name="first")
    made = crowd(10_000)
    last = asyncio.create_task(transfer(other, one), name="last")
    await settle()
    await rounds(10)
"""


@pytest.mark.parametrize("diag", ["1", "0"])
def test_a_circle_far_apart(watch: Any, diag: str) -> None:
    if diag == "0":
        source = FAR.replace("await rounds(10)", "await asyncio.sleep(2)")
        assert watch(HEAD + source + END, diag="0").findings == []
        return
    done = watch(HEAD + FAR + END)
    most, looked, circles = steps(done)
    assert (most, circles) == (1, 1)
    # Those who sleep, or wait for an event, a queue or a future, are passed over: a fifth is under
    # `wait_for`, which might be for a task.
    assert looked < 10_000 / 5 * 2 + 1000
    found = done.only("V301")
    assert found["verdict"] == "certain"
    assert {task["name"] for task in found["tasks"]} == {"first", "last"}
    for task in found["tasks"]:
        assert task["waits"]["line"] == done.line("wanted")
        assert [held["line"] for held in task["holds"]] == [done.line("held")]


def test_tasks_that_come_and_go_hide_nothing(watch: Any) -> None:
    done = watch(
        HEAD
        + """
async def main():
    one, other = asyncio.Lock(), asyncio.Lock()
    made = crowd(2_000)
    asyncio.create_task(transfer(one, other), name="first")
    made += crowd(2_000)
    asyncio.create_task(transfer(other, one), name="last")
    made += crowd(2_000)
    await settle()

    def between():
        for _ in range(10):
            made.pop(len(made) // 2).cancel()
            made.append(asyncio.ensure_future(asyncio.sleep(1000)))

    await rounds(30, between)
"""
        + END
    )
    assert steps(done)[2] == 1
    found = done.only("V301")
    assert {task["name"] for task in found["tasks"]} == {"first", "last"}


def test_a_circle_of_a_semaphore_and_tasks(watch: Any) -> None:
    done = watch(
        HEAD
        + """
async def child(limit):
    async with limit:  # <- wanted
        pass

async def parent(limit, begun, children):
    async with limit:
        begun.set()
        await children

async def main():
    limit, begun = asyncio.Semaphore(1), asyncio.Event()
    children = asyncio.get_running_loop().create_future()
    one = asyncio.create_task(parent(limit, begun, children), name="parent")
    made = crowd(3_000)
    await begun.wait()
    two = asyncio.create_task(child(limit), name="child")
    children.set_result(None)
    one.cancel()
    async def again():
        async with limit:
            await asyncio.gather(two)
    await settle()
    two.cancel()
    async def around():
        async with limit:
            inner = asyncio.create_task(child(limit), name="inner")
            await asyncio.gather(inner)
    three = asyncio.create_task(around(), name="around")
    await settle()
    await rounds(10)
"""
        + END
    )
    most, _, circles = steps(done)
    assert (most, circles) == (1, 1)
    found = done.only("V301")
    assert {task["name"] for task in found["tasks"]} == {"around", "inner"}


CLEAN = {
    "another one is inside, and sleeps": """
    limit = asyncio.Semaphore(2)
    async def around():
        async with limit:
            await asyncio.create_task(want(limit))
    task = asyncio.create_task(around())
    moving = asyncio.create_task(hold(limit, "moving"))
    """,
    "under a timeout around all": """
    one, other = asyncio.Lock(), asyncio.Lock()
    async def all_of_it():
        async with asyncio.timeout(1000):
            await asyncio.gather(transfer(one, other), transfer(other, one))
    task = asyncio.create_task(all_of_it())
    """,
    "the first of two is enough": """
    lock = asyncio.Lock()
    async def around():
        async with lock:
            await asyncio.wait(
                [asyncio.create_task(want(lock)), asyncio.create_task(asyncio.sleep(1000))],
                return_when=asyncio.FIRST_COMPLETED,
            )
    task = asyncio.create_task(around())
    """,
    "a long queue": """
    lock = asyncio.Lock()
    holding = asyncio.create_task(hold(lock, "slow"))
    group = asyncio.gather(*(want(lock) for _ in range(500)))
    """,
}


@pytest.mark.parametrize("name", CLEAN)
def test_what_goes_on_by_itself_is_no_deadlock(watch: Any, name: str) -> None:
    body = "async def main():\n    made = crowd(2_500)\n" + CLEAN[name]
    done = watch(HEAD + body + "\n    await settle()\n    await rounds(3)\n" + END)
    assert steps(done)[0] <= 1
    assert done.of("V301") == []


def test_every_way_to_wait_for_a_task_is_followed(watch: Any) -> None:
    done = watch(
        HEAD
        + """
async def by_task(task): await task
async def by_gather(task): await asyncio.gather(task)
async def by_shield(task): await asyncio.shield(task)
async def by_wait(task): await asyncio.wait([task])
async def by_wait_for(task): await asyncio.wait_for(task, None)
async def by_first(task):
    for one in asyncio.as_completed([task]):
        await one
async def around(lock, by):
    async with lock:
        await by(asyncio.create_task(want(lock)))

async def main():
    made = crowd(2_500)
    ways = [by_task, by_gather, by_shield, by_wait, by_wait_for]
    if sys.version_info >= (3, 13):  # before, `as_completed` does not say of whom it waits
        ways.append(by_first)
    for by in ways:
        task = asyncio.create_task(around(asyncio.Lock(), by), name=by.__name__)
        await settle()
        _deadlocks._loops.clear()
        await rounds(5)
        task.cancel()
        await settle()
"""
        + END
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [circles for *_, circles in lines] == [1] * (5 + (sys.version_info >= (3, 13)))
