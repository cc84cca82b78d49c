"""Asynchronous generators: finalized on the loop, and closed by shutdown_asyncgens."""

from __future__ import annotations

import asyncio
import gc
import sys

import pytest


async def generator(seen):
    try:
        for number in range(10):
            yield number
    finally:
        await asyncio.sleep(0)
        seen.append("closed")


async def first(it):
    """Ask for the first value on the loop, whose hooks thereby learn of the generator."""
    return await anext(it)


def test_a_dropped_generator_is_closed_on_the_loop(run):
    async def main():
        seen = []
        it = generator(seen)
        assert await anext(it) == 0
        del it
        gc.collect()
        for _ in range(5):
            await asyncio.sleep(0)
        return seen

    assert run(main()) == ["closed"]


def test_shutdown_asyncgens(loop):
    seen = []
    generators = [generator(seen) for _ in range(3)]

    async def main():
        for it in generators:
            await anext(it)

    loop.run_until_complete(main())
    assert seen == []
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert seen == ["closed"] * 3
    loop.run_until_complete(loop.shutdown_asyncgens())


def test_a_generator_that_fails_to_close(loop, reports):
    async def broken():
        try:
            yield 1
        finally:
            raise ZeroDivisionError

    it = broken()
    loop.run_until_complete(first(it))
    loop.run_until_complete(loop.shutdown_asyncgens())
    context = reports.take_one()
    assert "an error occurred during closing of asynchronous generator" in context["message"]
    assert context["asyncgen"] is it
    assert isinstance(context["exception"], ZeroDivisionError)


def test_a_generator_after_the_shutdown(loop):
    loop.run_until_complete(loop.shutdown_asyncgens())
    it = generator([])
    with pytest.warns(ResourceWarning, match="scheduled after loop.shutdown_asyncgens"):
        loop.run_until_complete(first(it))
    loop.run_until_complete(it.aclose())


def test_hooks_are_put_back(loop):
    before = sys.get_asyncgen_hooks()

    async def main():
        return sys.get_asyncgen_hooks()

    inside = loop.run_until_complete(main())
    assert inside.firstiter is not None and inside.finalizer is not None
    assert sys.get_asyncgen_hooks() == before


def test_the_hooks_of_somebody_else_are_kept(loop):
    """A loop that runs inside a framework with hooks of its own puts these back."""
    calls = []
    sys.set_asyncgen_hooks(firstiter=calls.append)
    try:
        loop.run_until_complete(asyncio.sleep(0))
        assert sys.get_asyncgen_hooks().firstiter == calls.append
    finally:
        sys.set_asyncgen_hooks(None, None)


def test_an_exhausted_generator(run):
    async def main():
        seen = []
        assert [number async for number in generator(seen)] == list(range(10))
        return seen

    assert run(main()) == ["closed"]


def test_runner_closes_generators(loop_factory):
    seen = []
    kept = []

    async def main():
        kept.append(generator(seen))
        await anext(kept[0])

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    assert seen == ["closed"]
