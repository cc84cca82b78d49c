"""Deadlocks are found, with who holds what and where; what only waits is left in peace."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

import vivace
from vivace.see import _deadlocks


@dataclass(frozen=True)
class Setting:
    """What is around the body of a program, which defines `main`."""

    begin: str
    end: str = "\nasyncio.run(main())\n"
    status: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, watch: Any, body: str, **options: Any) -> Any:
        """Runs the body; the options are those of `watch`."""
        source = self.begin + body + self.end
        return watch(source, status=self.status, **self.environment, **options)


# The program is deadlocked and has nothing else to do: SIGALRM, which nobody handles, ends it.
ALONE = Setting(
    """
import asyncio, signal
signal.setitimer(signal.ITIMER_REAL, 2.5)
""",
    status=-14,
)

# The program goes on doing other things, and ends by itself. So that no test waits for long, less
# patience is asked for.
BESIDE = Setting(
    """
import asyncio

async def beside(coroutine, seconds=4.0):
    task = asyncio.ensure_future(coroutine)
    for _ in range(int(seconds * 20)):
        await asyncio.sleep(0.05)
        if task.done():
            return task.result()
    for one in asyncio.all_tasks() - {asyncio.current_task()}:
        one.cancel()
    await asyncio.wait([task])
""",
    "\nasyncio.run(beside(main()))\n",
    environment={"VIVACE_DIAG_DEADLOCK": "0.5"},
)

EITHER = pytest.mark.parametrize("where", [ALONE, BESIDE], ids=["alone", "beside others"])

TRANSFER = """
async def transfer(mine, theirs):
    async with mine:  # <- held
        await asyncio.sleep(0.01)
        async with theirs:  # <- wanted
            pass
"""

CROSSED = (
    TRANSFER
    + """
async def main():
    a, b = asyncio.Lock(), asyncio.Lock()
    await asyncio.gather(
        asyncio.create_task(transfer(a, b), name="first"),
        asyncio.create_task(transfer(b, a), name="second"),
    )
"""
)


@EITHER
@pytest.mark.parametrize("diag", ["1", "dev", "0"])
def test_two_locks_in_different_order(watch: Any, where: Setting, diag: str) -> None:
    done = where.run(watch, CROSSED, diag=diag)
    if diag == "0":
        assert done.findings == []
        return
    found = done.only("V301")
    assert found["verdict"] == "certain"
    assert found["title"].startswith("(certain) 2 tasks")
    assert {task["name"] for task in found["tasks"]} == {"first", "second"}
    for task in found["tasks"]:
        assert task["coro"] == "transfer"
        [held] = task["holds"]
        assert (held["what"], held["line"]) == ('Lock "mine"', done.line("held"))
        assert held["file"] == str(done.path)
        assert task["waits"]["text"] == 'Lock "theirs"'
        assert task["waits"]["line"] == done.line("wanted")
    assert ["do", "take the locks in one order everywhere"] in found["report"]
    lines = [text for _, text in found["report"]]
    assert any(
        line.startswith('first transfer()  holds Lock "mine" (')
        and line.endswith(f'waits for Lock "theirs" at {done.path}:{done.line("wanted")}')
        for line in lines
    ), lines


def test_a_loop_that_sleeps_is_looked_at_in_time(watch: Any) -> None:
    """Nothing happens but one timer at the end: it is woken for the second look."""
    asleep = Setting("import asyncio\n", "\nasyncio.run(beside())\n")
    source = (
        CROSSED
        + """
async def beside():
    task = asyncio.ensure_future(main())
    await asyncio.wait([task], timeout=11)
    task.cancel()
"""
    )
    found = asleep.run(watch, source, VIVACE_DIAG_DEADLOCK="3").only("V301")
    assert found["verdict"] == "certain"
    # After one, and five seconds more; and then soon, not after ten.
    assert found["waited"] < 10.9


def test_a_look_that_comes_too_early_is_not_the_last(watch: Any) -> None:
    """Somebody else wants a look between the two that a circle needs."""
    asleep = Setting("import asyncio\n", "\nasyncio.run(beside())\n")
    source = (
        CROSSED
        + """
from vivace import _native
from vivace.see import _deadlocks, _tick

asked = []

def ask(loop):
    if not asked and _deadlocks._loops[loop].seen:
        asked.append(loop)
        _native.see_again(loop, 0.3)

async def beside():
    _tick.watches.append(ask)
    task = asyncio.ensure_future(main())
    await asyncio.wait([task], timeout=10)
    task.cancel()
    assert asked
"""
    )
    found = asleep.run(watch, source, VIVACE_DIAG_DEADLOCK="3").only("V301")
    assert found["waited"] < 9.9


TWICE = """
class Account:
    def __init__(self):
        self.lock = asyncio.Lock()

    async def outer(self):
        async with self.lock:  # <- held
            await self.inner()

    async def inner(self):
        async with self.lock:  # <- wanted
            pass

async def main():
    await Account().outer()
"""


@pytest.mark.parametrize("diag", ["1", "0"])
def test_a_lock_taken_twice(watch: Any, diag: str) -> None:
    done = ALONE.run(watch, TWICE, diag=diag)
    if diag == "0":
        assert done.findings == []
        return
    found = done.only("V301")
    [task] = found["tasks"]
    assert found["verdict"] == "certain"
    assert task["waits"]["text"] == 'Lock "self.lock"'
    assert task["waits"]["line"] == found["line"] == done.line("wanted")
    assert task["holds"][0]["line"] == done.line("held")


CHILD = """
async def child(limit):
    async with limit:  # <- wanted
        pass

async def main():
    limit = asyncio.Semaphore(1)
    async with limit:  # <- held
        await asyncio.create_task(child(limit), name="child")  # <- awaited
"""


@EITHER
@pytest.mark.parametrize("diag", ["1", "0"])
def test_a_parent_inside_awaits_a_child_that_wants_in(
    watch: Any, where: Setting, diag: str
) -> None:
    done = where.run(watch, CHILD, diag=diag)
    if diag == "0":
        assert done.findings == []
        return
    found = done.only("V301")
    # Beside others, somebody who is not seen could be inside, and leave.
    assert found["verdict"] == ("certain" if where is ALONE else "likely")
    tasks = {task["coro"]: task for task in found["tasks"]}
    assert set(tasks) == {"main", "child"}
    assert tasks["child"]["waits"]["text"] == 'Semaphore "limit"'
    assert tasks["child"]["waits"]["line"] == done.line("wanted")
    assert tasks["main"]["waits"]["text"] == "task child"
    assert tasks["main"]["waits"]["line"] == done.line("awaited")
    [held] = tasks["main"]["holds"]
    assert (held["what"], held["line"]) == ('Semaphore "limit"', done.line("held"))


GONE = """
async def careless(lock):
    await lock.acquire()  # <- taken

async def main():
    lock = asyncio.Lock()
    await asyncio.create_task(careless(lock), name="careless")
    async with lock:  # <- wanted
        pass
"""


@pytest.mark.parametrize("diag", ["1", "dev", "0"])
def test_the_holder_of_a_lock_has_exited(watch: Any, diag: str) -> None:
    done = ALONE.run(watch, GONE, diag=diag)
    if diag == "0":
        assert done.findings == []
        return
    found = done.only("V303")
    assert found["line"] == done.line("wanted")
    assert done.of("V301") == []
    text = " ".join(line for _, line in found["report"])
    if diag == "dev":
        assert found["verdict"] == "certain"
        assert found["taken"]["task"] == "careless"
        assert found["taken"]["line"] == done.line("taken")
        assert "careless, which has ended; taken at " in text
    else:
        assert found["verdict"] == "likely"
        assert "acquire()" in text


def test_the_flag_is_as_good_as_the_variable(watch: Any) -> None:
    done = ALONE.run(watch, GONE, flags=("--dev",))
    assert done.only("V303")["taken"]["line"] == done.line("taken")


def test_with_dev_a_lost_lock_is_seen_beside_others(watch: Any) -> None:
    done = BESIDE.run(watch, GONE, diag="dev")
    assert done.only("V303")["taken"]["line"] == done.line("taken")


def test_with_dev_a_lock_is_taken_without_a_loop_as_ever(watch: Any) -> None:
    source = """
import asyncio

async def main():
    pass

asyncio.run(main())
lock = asyncio.Lock()
try:
    lock.acquire().send(None)
except StopIteration as stop:
    print(stop.value, lock.locked())
lock.release()
print(lock.locked())
"""
    done = watch(source, diag="dev")
    assert done.stdout == "True True\nFalse\n"
    assert done.findings == []


def test_with_dev_the_owner_by_hand_is_in_the_circle(watch: Any) -> None:
    source = """
async def transfer(mine, theirs):
    await mine.acquire()  # <- held
    try:
        await asyncio.sleep(0.01)
        await theirs.acquire()  # <- wanted
    finally:
        mine.release()

async def main():
    a, b = asyncio.Lock(), asyncio.Lock()
    await asyncio.gather(transfer(a, b), transfer(b, a))
"""
    done = BESIDE.run(watch, source, diag="dev")
    found = done.only("V301")
    assert found["verdict"] == "certain"
    assert [task["holds"][0]["line"] for task in found["tasks"]] == [done.line("held")] * 2
    assert [task["waits"]["line"] for task in found["tasks"]] == [done.line("wanted")] * 2


EACH_OTHER = """
async def first():
    await asyncio.sleep(0.01)
    await tasks[1]  # <- first

async def second():
    await tasks[0]  # <- second

async def main():
    tasks.extend([asyncio.create_task(first()), asyncio.create_task(second())])
    await asyncio.wait(tasks)

tasks = []
"""


@pytest.mark.parametrize("diag", ["1", "0"])
def test_two_tasks_await_each_other(watch: Any, diag: str) -> None:
    # Cancelling them would recurse for ever: asyncio passes it on to what a task awaits.
    done = ALONE.run(watch, EACH_OTHER, diag=diag)
    if diag == "0":
        assert done.findings == []
        return
    found = done.only("V301")
    lines = {task["coro"]: task["waits"]["line"] for task in found["tasks"]}
    assert lines == {"first": done.line("first"), "second": done.line("second")}
    assert found["behind"] == 1


QUEUES = """
async def side(ours, theirs):
    for number in range(2):
        await theirs.put(number)  # <- put
    for _ in range(2):
        await ours.get()

async def main():
    up, down = asyncio.Queue(1), asyncio.Queue(1)
    await asyncio.gather(side(up, down), side(down, up))
"""


@pytest.mark.parametrize("diag", ["1", "0"])
def test_both_sides_of_two_queues_put_first(watch: Any, diag: str) -> None:
    done = ALONE.run(watch, QUEUES, diag=diag)
    if diag == "0":
        assert done.findings == []
        return
    found = done.only("V301")
    assert [task["waits"]["kind"] for task in found["tasks"]] == ["Queue.put"] * 2
    assert [task["waits"]["text"] for task in found["tasks"]] == ['queue "theirs" 1/1'] * 2
    assert [task["waits"]["line"] for task in found["tasks"]] == [done.line("put")] * 2
    first, second = (task["name"] for task in found["tasks"])
    wakers = f'of {first}: {second} can reach queue "theirs" 1/1'
    assert ["wakers", wakers] in found["report"]


def test_through_a_context_manager_and_a_task_group(watch: Any) -> None:
    source = """
from contextlib import asynccontextmanager

@asynccontextmanager
async def session(lock):
    async with lock:  # <- inside
        yield

async def child(lock):
    async with session(lock):
        pass

async def main():
    lock = asyncio.Lock()
    async with session(lock):  # <- held
        async with asyncio.TaskGroup() as group:  # <- group
            group.create_task(child(lock))
"""
    done = BESIDE.run(watch, source)
    found = done.only("V301")
    tasks = {task["coro"]: task for task in found["tasks"]}
    assert found["verdict"] == "certain"
    assert tasks["main"]["holds"][0]["line"] == done.line("held")
    assert tasks["main"]["waits"]["line"] == done.line("group")
    assert tasks["main"]["waits"]["kind"] == "TaskGroup"
    assert tasks["child"]["waits"]["function"] == "session"
    assert tasks["child"]["waits"]["line"] == done.line("inside")


CLEAN = {
    "under a timeout": """
async def main():
    a, b = asyncio.Lock(), asyncio.Lock()
    async def transfer(mine, theirs, seconds):
        async with mine:
            await asyncio.sleep(0.01)
            try:
                async with asyncio.timeout(seconds):
                    async with theirs:
                        pass
            except TimeoutError:
                pass
    await asyncio.gather(transfer(a, b, 3), transfer(b, a, 3.5))
""",
    "under a timeout around all": TRANSFER
    + """
async def main():
    a, b = asyncio.Lock(), asyncio.Lock()
    try:
        async with asyncio.timeout(3):
            async with asyncio.TaskGroup() as group:
                group.create_task(transfer(a, b))
                group.create_task(transfer(b, a))
    except TimeoutError:
        pass
""",
    "under wait_for": TRANSFER
    + """
async def main():
    a, b = asyncio.Lock(), asyncio.Lock()
    try:
        await asyncio.wait_for(asyncio.gather(transfer(a, b), transfer(b, a)), 3)
    except TimeoutError:
        pass
""",
    "a slow holder": """
async def main():
    lock = asyncio.Lock()
    async def hold():
        async with lock:
            await asyncio.sleep(3)
    async def want():
        async with lock:
            pass
    await asyncio.gather(hold(), want(), want())
""",
    "one of three holders moves": """
async def main():
    limit = asyncio.Semaphore(3)
    locks = asyncio.Lock(), asyncio.Lock()
    ready = asyncio.Event()
    async def stuck():
        async with limit:
            await ready.wait()
    async def moving():
        async with limit:
            for _ in range(60):
                await asyncio.sleep(0.05)
        ready.set()
    async def wanting():
        async with limit:
            pass
    await asyncio.gather(stuck(), stuck(), moving(), wanting())
""",
    "a lock taken by hand and given back by a callback": """
async def main():
    lock = asyncio.Lock()
    await lock.acquire()
    asyncio.get_running_loop().call_later(3, lock.release)
    async with lock:
        pass
""",
    "a lock taken by hand and given back by a function that is called later": """
async def main():
    lock = asyncio.Lock()
    def give_back(reason):
        lock.release()
    await lock.acquire()
    asyncio.get_running_loop().call_later(3, give_back, "enough")
    async with lock:
        pass
""",
    "a lock taken by hand and given back by another task": """
async def main():
    lock = asyncio.Lock()
    async def give_back():
        await asyncio.sleep(3)
        lock.release()
    await lock.acquire()
    giving = asyncio.ensure_future(give_back())
    async with lock:
        pass
    await giving
""",
    "a lock that a task which has ended leaves to a callback": """
async def main():
    lock = asyncio.Lock()
    async def take():
        await lock.acquire()
        asyncio.get_running_loop().call_later(3, lock.release)
    await asyncio.create_task(take())
    async with lock:
        pass
""",
    "an event set by another thread": """
import threading, time
async def main():
    ready, loop = asyncio.Event(), asyncio.get_running_loop()
    def set_it():
        time.sleep(3)
        loop.call_soon_threadsafe(ready.set)
    threading.Thread(target=set_it).start()
    await ready.wait()
""",
    "an event set by a signal": """
import os, signal, subprocess
async def main():
    ready = asyncio.Event()
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, ready.set)
    sent = subprocess.Popen(["sh", "-c", f"sleep 3; kill -USR1 {os.getpid()}"])
    await asyncio.gather(ready.wait(), ready.wait())
    server.close()
    sent.wait()
""",
    "the first of two is enough": """
async def main():
    lock = asyncio.Lock()
    async def child():
        async with lock:
            pass
    async with lock:
        waiting = asyncio.ensure_future(child())
        await asyncio.wait(
            [waiting, asyncio.ensure_future(asyncio.sleep(3))],
            return_when=asyncio.FIRST_COMPLETED,
        )
    await waiting
""",
    "a condition that is notified": """
async def main():
    changed = asyncio.Condition()
    async def wait():
        async with changed:
            await changed.wait()
    async def notify():
        await asyncio.sleep(3)
        async with changed:
            changed.notify_all()
    await asyncio.gather(wait(), wait(), notify())
""",
}


UNDISTURBED = Setting("import asyncio\n", environment=BESIDE.environment)
LONGER = replace(BESIDE, end="\nasyncio.run(beside(main(), 6))\n")


@pytest.mark.parametrize(
    ("where", "diag"), [(UNDISTURBED, "1"), (LONGER, "dev")], ids=["alone", "beside others"]
)
@pytest.mark.parametrize("name", CLEAN)
def test_what_goes_on_by_itself_is_no_deadlock(
    watch: Any, name: str, where: Setting, diag: str
) -> None:
    done = where.run(watch, CLEAN[name], diag=diag)
    assert [finding for finding in done.findings if finding["code"].startswith("V3")] == []


def test_a_look_that_is_not_over_keeps_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_deadlocks, "SLICE", 0.0)

    async def main() -> weakref.ref[Any]:
        loop = asyncio.get_running_loop()
        sleeping = [asyncio.ensure_future(asyncio.sleep(60)) for _ in range(3)]
        _deadlocks.watch(loop)
        assert _deadlocks._loops[loop].work is not None
        for task in sleeping:
            task.cancel()
        return weakref.ref(loop)

    loop = vivace.run(main())
    gc.collect()
    assert loop() is None
