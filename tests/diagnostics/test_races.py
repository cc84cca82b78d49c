"""Races at awaits are told with both lines and tasks; schedules of chance can be repeated."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

needs_monitoring = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="races need sys.monitoring"
)

LOST_UPDATE = """
import asyncio

class Account:
    def __init__(self):
        self.balance = 0

    async def credit(self, amount):
        balance = self.balance  # <- read
        await asyncio.sleep(0)
        self.balance = balance + amount  # <- write

async def main():
    account = Account()
    await asyncio.gather(account.credit(1), account.credit(1))

asyncio.run(main())
"""

ADDED_TO = """
import asyncio

class Account:
    balance = 0

    async def credit(self):
        self.balance += await one()  # <- both

async def one():
    await asyncio.sleep(0)
    return 1

async def main():
    account = Account()
    await asyncio.gather(account.credit(), account.credit())

asyncio.run(main())
"""

DOUBLE_INIT = """
import asyncio

connection = None

async def connect():
    await asyncio.sleep(0)
    return object()

async def get():
    global connection
    if connection is None:  # <- read
        connection = await connect()  # <- write
    return connection

async def main():
    await asyncio.gather(get(), get())

asyncio.run(main())
"""

ITEM = """
import asyncio

async def count(seen, key):
    before = seen[key]  # <- read
    await asyncio.sleep(0)
    seen[key] = before + 1  # <- write

async def main():
    seen = {"a": 0}
    await asyncio.gather(count(seen, "a"), count(seen, "a"))

asyncio.run(main())
"""

CACHE = """
import asyncio

class Cache:
    def __init__(self):
        self.known = {}

    async def get(self, user):
        if user.id not in self.known:  # <- read
            self.known[user.id] = await load(user)  # <- write
        return self.known[user.id]

class User:
    def __init__(self, number):
        self.id = number

async def load(user):
    await asyncio.sleep(0)
    return object()

async def main():
    cache, user = Cache(), User(7)
    await asyncio.gather(cache.get(user), cache.get(user))

asyncio.run(main())
"""

COUNTED = """
import asyncio

seen = {}

async def size(key):
    await asyncio.sleep(0)
    return 1

async def count(key):
    seen[key] = seen.get(key, 0) + await size(key)  # <- both

async def main():
    await asyncio.gather(count("a"), count("a"))

asyncio.run(main())
"""


@needs_monitoring
@pytest.mark.parametrize(
    ("source", "read", "write", "what", "function"),
    [
        (LOST_UPDATE, "read", "write", "self.balance", "Account.credit"),
        (ADDED_TO, "both", "both", "self.balance", "Account.credit"),
        (DOUBLE_INIT, "read", "write", "connection", "get"),
        (ITEM, "read", "write", "seen[key]", "count"),
        (CACHE, "read", "write", "self.known[user.id]", "Cache.get"),
        (COUNTED, "both", "both", "seen[key]", "count"),
    ],
    ids=["lost update", "added to", "double init", "item", "cache", "counted"],
)
@pytest.mark.parametrize("diag", ["1", "0"])
def test_a_race_is_told(
    watch: Any, source: str, read: str, write: str, what: str, function: str, diag: str
) -> None:
    done = watch(source, diag=diag, flags=("--races",))
    if diag == "0":
        assert done.findings == []
        return
    found = done.only("V501")
    assert found["line"] == done.line(write)
    assert found["read_line"] == done.line(read)
    assert found["what"] == what
    assert found["function"] == function
    assert found["other"]["line"] == done.line(write)
    assert found["other"]["task"] != found["task"]["name"]
    assert found["file"] == found["other"]["file"] == str(done.path)


@needs_monitoring
def test_without_the_flag_nobody_looks(watch: Any) -> None:
    assert watch(LOST_UPDATE).of("V501") == []


CLEAN = {
    "under a lock": """
class Account:
    balance, lock = 0, asyncio.Lock()
    async def credit(self):
        async with self.lock:
            balance = self.balance
            await asyncio.sleep(0)
            self.balance = balance + 1

async def main():
    account = Account()
    await asyncio.gather(account.credit(), account.credit())
    assert account.balance == 2
""",
    "one after the other": """
class Account:
    balance = 0
    async def credit(self):
        balance = self.balance
        await asyncio.sleep(0)
        self.balance = balance + 1

async def main():
    account = Account()
    await account.credit()
    await asyncio.create_task(account.credit())
    assert account.balance == 2
""",
    "read again after the await": """
class Account:
    balance = 0
    async def credit(self):
        print(self.balance)
        await asyncio.sleep(0)
        self.balance += 1
        await asyncio.sleep(0)
        self.balance = self.balance + 1

async def main():
    account = Account()
    await asyncio.gather(account.credit(), account.credit())
    assert account.balance == 4
""",
    "each task has its own": """
class Account:
    def __init__(self):
        self.balance = 0
    async def credit(self):
        balance = self.balance
        await asyncio.sleep(0)
        self.balance = balance + 1

async def main():
    await asyncio.gather(*(Account().credit() for _ in range(5)))
""",
    "written equal": """
class Service:
    state = "new"
    async def start(self):
        if self.state != "ready":
            await asyncio.sleep(0)
            self.state = "".join(["re", "ady"])

async def main():
    service = Service()
    service.state = "ready"
    async def again():
        if service.state == "ready":
            await asyncio.sleep(0)
            service.state = "".join(["rea", "dy"])
    await asyncio.gather(again(), again())
""",
    "looked for again after the await": """
known = {}
async def get(key):
    if key not in known:
        value = await load()
        if key not in known:
            known[key] = value
async def load():
    await asyncio.sleep(0)
    return object()

async def main():
    await asyncio.gather(get("a"), get("a"))
""",
    "of a list the members are looked at, not the items": """
async def mark(items):
    if 1 in items:
        await asyncio.sleep(0)
        items[1] = object()

async def main():
    items = [1, 2]
    await asyncio.gather(mark(items), mark(items))
""",
    "changed by the task itself": """
class Account:
    balance = 0
    async def fee(self):
        await asyncio.sleep(0)
        self.balance -= 1
    async def credit(self):
        if self.balance == 0:
            await self.fee()
            self.balance = 10

async def main():
    await Account().credit()
""",
}


@needs_monitoring
@pytest.mark.parametrize("name", CLEAN)
def test_what_loses_nothing_is_no_race(watch: Any, name: str) -> None:
    source = f"import asyncio\n{CLEAN[name]}\nasyncio.run(main())\n"
    assert watch(source, flags=("--races",)).findings == []


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="races can be looked for")
def test_older_pythons_say_that_they_cannot(watch: Any) -> None:
    done = watch(LOST_UPDATE, flags=("--races",), status=2)
    assert done.stderr == "vivace run: --races needs Python 3.12 or later (sys.monitoring)\n"


# Six tasks that are ready together: only one order of the first and last of three pairs loses.
RARE = """
import asyncio, sys

order = []

async def worker(number, ready):
    await ready.wait()
    order.append(number)

async def main():
    ready = asyncio.Event()
    tasks = [asyncio.create_task(worker(number, ready)) for number in range(6)]
    await asyncio.sleep(0)
    ready.set()
    await asyncio.gather(*tasks)
    pairs = [order.index(2 * pair) > order.index(2 * pair + 1) for pair in range(3)]
    print(*order)
    # One order of 8 pairs, and of those one of 8 again.
    sys.exit(3 if all(pairs) and order.index(0) < order.index(2) < order.index(4) else 0)

asyncio.run(main())
"""


def order_of(watch: Any, seed: int) -> tuple[int, str]:
    done = watch(RARE, flags=(f"--fuzz-schedule={seed}",), status=None)
    assert done.status in (0, 3), done.stderr
    return done.status, done.stdout


# All seeds in one process: a process for each would take minutes.
SEEDS = """
import asyncio, sys
import vivace._loop

async def worker(number, ready, order):
    await ready.wait()
    order.append(number)

async def main():
    order, ready = [], asyncio.Event()
    tasks = [asyncio.create_task(worker(number, ready, order)) for number in range(6)]
    await asyncio.sleep(0)
    ready.set()
    await asyncio.gather(*tasks)
    return order

for seed in range(200):
    vivace._loop.fuzz_schedule = seed
    order = asyncio.run(main())
    pairs = [order.index(2 * pair) > order.index(2 * pair + 1) for pair in range(3)]
    if all(pairs) and order.index(0) < order.index(2) < order.index(4):
        print(seed, *order)
        break
"""


def test_a_rare_order_is_found_and_repeated_by_its_seed(watch: Any) -> None:
    found = watch(SEEDS).stdout.split()
    assert found, "no seed of 200 found the order"
    seed, order = int(found[0]), " ".join(found[1:])
    assert order_of(watch, seed) == (3, order + "\n")
    assert order_of(watch, seed) == (3, order + "\n")


def test_the_seed_is_printed_and_repeats(watch: Any) -> None:
    done = watch(RARE, flags=("--fuzz-schedule",), status=None)
    [seed] = re.findall(r"--fuzz-schedule=(\d+)", done.stderr)
    assert order_of(watch, int(seed)) == (done.status, done.stdout)


def test_callbacks_keep_their_order(watch: Any) -> None:
    source = """
import asyncio

async def main():
    loop, order, done = asyncio.get_running_loop(), [], asyncio.Event()
    async def task():
        for _ in range(3):
            await asyncio.sleep(0)
    tasks = []
    for number in range(50):
        loop.call_soon(order.append, number)
        tasks.append(asyncio.create_task(task()))
    loop.call_soon(done.set)
    await done.wait()
    await asyncio.gather(*tasks)
    assert order == list(range(50)), order

asyncio.run(main())
"""
    for seed in range(5):
        watch(source, flags=(f"--fuzz-schedule={seed}",))


@pytest.mark.parametrize("seed", ["x", "-1", "99999999999999999999999", ""])
def test_a_bad_seed_is_named(watch: Any, seed: str) -> None:
    done = watch("pass", flags=(f"--fuzz-schedule={seed}",), status=2)
    assert f"--fuzz-schedule={seed}" in done.stderr
