"""Another class in the place of `asyncio.tasks.Task`: the loop's tasks are made of it."""

from __future__ import annotations

import asyncio
import sys

import pytest


class Own(asyncio.Task):
    """Somebody's own tasks."""


async def nothing():
    """Ends at once."""


async def kinds():
    """The classes of tasks made in each of the ways."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        made = [loop.create_task(nothing()), asyncio.create_task(nothing(), name="named")]
        made.append(group.create_task(nothing()))
        made.append(asyncio.ensure_future(nothing()))
    return {type(task) for task in made}


@pytest.fixture(params=[Own, asyncio.tasks._PyTask], ids=["subclass", "Python"])
def other(request, monkeypatch):
    monkeypatch.setattr(asyncio.tasks, "Task", request.param)
    if request.param is not Own and sys.version_info >= (3, 14):
        # The Python class keeps books of its own.
        for name in ("current_task", "all_tasks"):
            function = getattr(asyncio.tasks, f"_py_{name}")
            monkeypatch.setattr(asyncio.tasks, name, function)
            monkeypatch.setattr(asyncio, name, function)
    return request.param


def test_it_is_used(run, other):
    async def main():
        assert type(asyncio.current_task()) is other
        assert await kinds() == {other}
        assert asyncio.current_task() in asyncio.all_tasks()

    run(main())


def test_until_it_is_taken_back(run, monkeypatch):
    async def main():
        usual = await kinds()
        for replace in (
            lambda: monkeypatch.setattr(asyncio.tasks, "Task", Own),
            lambda: asyncio.tasks.__dict__.update(Task=Own),
        ):
            replace()
            assert await kinds() == {Own}
            monkeypatch.undo()
            asyncio.tasks.Task = asyncio.Task
            assert await kinds() == usual

    run(main())


def test_a_factory_comes_first(run, monkeypatch):
    async def main():
        monkeypatch.setattr(asyncio.tasks, "Task", Own)
        asyncio.get_running_loop().set_task_factory(
            lambda loop, coroutine, **options: asyncio.tasks._CTask(coroutine, loop=loop, **options)
        )
        assert await kinds() == {asyncio.tasks._CTask}

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")
def test_eager_tasks_stay_what_they_are(run):
    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        usual = await kinds()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio.tasks, "Task", Own)
            assert await kinds() == usual

    run(main())
