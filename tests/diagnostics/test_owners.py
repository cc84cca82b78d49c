"""Who is inside of which `async with`, and since which line, by `vivace.see._owners`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import vivace
from vivace.see import _acquisitions, _frames, _owners


def line_of(mark: str) -> int:
    with open(__file__) as file:
        [number] = [n for n, line in enumerate(file, 1) if line.endswith(f"# <- {mark}\n")]
    return number


Hold = Callable[[dict[str, asyncio.Lock]], Coroutine[Any, Any, None]]


def held_by(hold: Hold) -> list[tuple[str, int]]:
    """Which of the locks a..d a task is inside of when it wants the lock e."""

    async def main() -> list[tuple[str, int]]:
        locks = {name: asyncio.Lock() for name in "abcde"}
        names = {id(lock): name for name, lock in locks.items()}
        await locks["e"].acquire()
        task = asyncio.ensure_future(hold(locks))
        for _ in range(10):
            await asyncio.sleep(0)
        frames, _ = _frames.chain(task.get_coro())
        found = [
            (names[id(holding.thing)], holding.line)
            for holding in _owners.holdings(frames)
            if id(holding.thing) in names
        ]
        locks["e"].release()
        await task
        return found

    return vivace.run(main())


def test_nested_and_around_other_blocks() -> None:
    async def hold(locks: dict[str, asyncio.Lock]) -> None:
        async with locks["a"]:  # <- nested a
            try:
                with contextlib.suppress(ValueError):
                    for _ in range(2):
                        async with (
                            locks["b"],  # <- nested b
                            locks["c"],  # <- nested c
                        ):
                            async with locks["e"]:
                                pass
            finally:
                pass

    found = held_by(hold)
    assert [name for name, _ in found] == ["a", "b", "c"]
    assert found[0][1] == line_of("nested a")
    # Of one statement over several lines, either its first or that of the item.
    assert line_of("nested b") - 1 <= found[1][1] <= line_of("nested b")
    assert line_of("nested b") - 1 <= found[2][1] <= line_of("nested c")


def test_one_after_the_other() -> None:
    async def hold(locks: dict[str, asyncio.Lock]) -> None:
        async with locks["a"]:
            pass
        async with locks["b"]:  # <- second
            async with locks["c"]:
                pass
            async with locks["e"]:
                pass

    assert held_by(hold) == [("b", line_of("second"))]


def test_through_functions_and_managers() -> None:
    @contextlib.asynccontextmanager
    async def manager(lock: asyncio.Lock) -> AsyncIterator[None]:
        async with lock:
            yield

    async def inner(locks: dict[str, asyncio.Lock]) -> None:
        async with locks["c"]:  # <- inner
            async with contextlib.AsyncExitStack() as stack:  # <- stack
                await stack.enter_async_context(locks["d"])
                async with locks["e"]:
                    pass

    async def hold(locks: dict[str, asyncio.Lock]) -> None:
        async with locks["a"]:  # <- outer
            async with manager(locks["b"]):  # <- manager
                await inner(locks)

    assert held_by(hold) == [
        ("a", line_of("outer")),
        ("b", line_of("manager")),
        ("c", line_of("inner")),
        ("d", line_of("stack")),
    ]


def test_in_a_closure_and_twice() -> None:
    async def hold(locks: dict[str, asyncio.Lock]) -> None:
        lock = locks["a"]

        async def use() -> None:
            async with lock:  # <- closure
                await locks["e"].acquire()
                locks["e"].release()

        await use()

    assert held_by(hold) == [("a", line_of("closure"))]


def test_a_condition_that_waits_has_given_its_lock_back() -> None:
    async def main() -> int:
        changed = asyncio.Condition()

        async def wait() -> None:
            async with changed:
                await changed.wait()

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0.01)
        frames, _ = _frames.chain(task.get_coro())
        found = len(_owners.holdings(frames))
        async with changed:
            changed.notify()
        await task
        return found

    assert vivace.run(main()) == 0


def test_nothing_is_read_of_what_does_not_wait() -> None:
    async def never() -> None:
        pass

    def generate() -> Any:
        yield

    coroutine, generator = never(), generate()
    assert _frames.frame_of(coroutine) is None
    assert _frames.frame_of(generator) is None
    assert _frames.frame_of(object()) is None
    next(generator)
    assert _frames.frame_of(generator) is not None
    generator.close()
    assert _frames.frame_of(generator) is None
    coroutine.close()
    assert _frames.frame_of(coroutine) is None


def test_the_caller_of_acquire_is_the_program() -> None:
    assert _acquisitions._caller(None) == ("", 0, "")
