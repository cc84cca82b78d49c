"""Processes that a program starts through multiprocessing run on vivace's loop as it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Commands

PROGRAM = """
import asyncio
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor


class Answer:
    def __init__(self, **facts): self.__dict__.update(facts)


async def running():
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def answer(number):
    return Answer(number=number, loop=asyncio.run(running()), argv=sys.argv[1:], name=__name__)


def child(queue):
    queue.put(answer(1))


if __name__ == "__main__":
    method, expected_loop, *_ = sys.argv[1:]
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    first = queue.get()
    process.join()
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        second = pool.submit(answer, 2).result()
    for found in first, second:
        assert found.loop == expected_loop, vars(found)
        print(found.number, found.argv[0], found.name, process.exitcode)
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.parametrize("words", ["program.py", "-m program"])
def test_children_run_on_the_same_loop(commands: Commands, method: str, words: str) -> None:
    commands.write("program.py", PROGRAM)
    plain = commands.python(*words.split(), method, "asyncio")
    ours = commands.vivace("run", *words.split(), method, "vivace")
    assert plain.status == 0
    assert ours == plain


def test_spawn_when_multiprocessing_was_imported_first(commands: Commands) -> None:
    # The hook waits for the import; here, unlike above, it comes by another name.
    commands.write("first.py", "import multiprocessing.spawn, multiprocessing.popen_spawn_posix\n")
    commands.write("program.py", f"import first\n{PROGRAM}")
    ours = commands.vivace("run", "program.py", "spawn", "vivace")
    assert (ours.status, ours.err) == (0, "")


def test_import_of_spawn_looks_untouched(commands: Commands) -> None:
    commands.write(
        "program.py",
        """
        import sys
        import multiprocessing.spawn as spawn
        print([type(finder).__name__ for finder in sys.meta_path])
        print(spawn.__spec__.name, type(spawn.__loader__), vars(spawn.__loader__).keys())
        print(spawn.get_preparation_data.__name__)
        """,
    )
    commands.same("program.py")
