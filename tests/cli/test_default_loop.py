"""Under `vivace run`, whatever asks asyncio for a loop gets vivace's, and nothing else does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Commands, Outcome

PRELUDE = """
import asyncio, selectors, sys, threading, unittest, warnings
import vivace

async def running():
    return asyncio.get_running_loop()

def tell(loop):
    print("vivace" if type(loop) is vivace.EventLoop else type(loop).__name__)
    if not loop.is_running():
        loop.close()
"""

OURS = {
    "asyncio.run": "tell(asyncio.run(running()))",
    "debug": "tell(asyncio.run(running(), debug=True))",
    "Runner": "with asyncio.Runner() as runner:\n    loop = runner.run(running())\ntell(loop)",
    "Runner.get_loop": "with asyncio.Runner() as runner: loop = runner.get_loop()\ntell(loop)",
    "new_event_loop": "tell(asyncio.new_event_loop())",
    "run_until_complete": "loop = asyncio.new_event_loop()\n"
    "tell(loop.run_until_complete(running()))",
    "get_event_loop after set": "loop = asyncio.new_event_loop()\n"
    "asyncio.set_event_loop(loop)\ntell(asyncio.get_event_loop())",
    "thread": "t = threading.Thread(target=lambda: tell(asyncio.run(running())))\n"
    "t.start(); t.join()",
    "new_event_loop in a thread": "t = threading.Thread(target=lambda: "
    "tell(asyncio.new_event_loop()))\nt.start(); t.join()",
    "the class": "tell(asyncio.SelectorEventLoop())",
    "default policy": "tell(asyncio.events._get_event_loop_policy().new_event_loop())\n"
    if sys.version_info >= (3, 14)
    else "tell(asyncio.get_event_loop_policy().new_event_loop())\n",
    "policy reset": "asyncio.events._set_event_loop_policy(None)\ntell(asyncio.run(running()))"
    if sys.version_info >= (3, 14)
    else "asyncio.set_event_loop_policy(None)\ntell(asyncio.run(running()))",
    "policy subclass": "warnings.simplefilter('ignore')\n"
    "class Policy(asyncio.DefaultEventLoopPolicy): pass\n"
    "asyncio.set_event_loop_policy(Policy())\ntell(asyncio.run(running()))",
    "second time": "asyncio.run(running())\ntell(asyncio.run(running()))",
    "unittest": "class Test(unittest.IsolatedAsyncioTestCase):\n"
    "    async def test(self): tell(asyncio.get_running_loop())\n"
    "sys.stderr = open('/dev/null', 'w')\n"
    "unittest.main(argv=['x'])",
    "fork": "import os\nif pid := os.fork():\n    os.waitpid(pid, 0)\n"
    "else:\n    tell(asyncio.run(running()))\n",
}
if sys.version_info >= (3, 12):
    OURS["loop_factory=None"] = "tell(asyncio.run(running(), loop_factory=None))"
    OURS["loop_factory=vivace"] = "tell(asyncio.run(running(), loop_factory=vivace.EventLoop))"
if sys.version_info >= (3, 13):
    OURS["asyncio.EventLoop"] = "tell(asyncio.run(running(), loop_factory=asyncio.EventLoop))"

THEIRS = {
    "selector of its own": "tell(asyncio.SelectorEventLoop(selectors.SelectSelector()))",
    "subclass": "class Own(asyncio.SelectorEventLoop):\n"
    "    def __init__(self, word): super().__init__(); self.word = word\n"
    "loop = Own('word')\nassert loop.word == 'word'\ntell(loop)",
    "subclass with __new__": "class Mixin:\n"
    "    def __new__(cls, word): self = super().__new__(cls); self.word = word; return self\n"
    "class Own(asyncio.SelectorEventLoop, Mixin):\n"
    "    def __init__(self, word): super().__init__()\n"
    "loop = Own('word')\nassert loop.word == 'word'\ntell(loop)",
    "factory": "class Own(asyncio.SelectorEventLoop): pass\n"
    "with asyncio.Runner(loop_factory=Own) as runner: loop = runner.run(running())\ntell(loop)",
    "policy": "warnings.simplefilter('ignore')\n"
    "class Own(asyncio.SelectorEventLoop): pass\n"
    "class Policy(asyncio.DefaultEventLoopPolicy):\n"
    "    def new_event_loop(self): return Own()\n"
    "asyncio.set_event_loop_policy(Policy())\ntell(asyncio.run(running()))",
}


def _run(commands: Commands, body: str) -> Outcome:
    commands.write("program.py", PRELUDE + body)
    return commands.vivace("run", "program.py")


@pytest.mark.parametrize("name", OURS)
def test_asyncio_makes_vivaces_loop(commands: Commands, name: str) -> None:
    assert _run(commands, OURS[name]) == (0, "vivace\n", "")


@pytest.mark.parametrize("name", THEIRS)
def test_what_is_asked_for_wins(commands: Commands, name: str) -> None:
    done = _run(commands, THEIRS[name])
    assert (done.status, done.err) == (0, "")
    assert done.out in ("Own\n", "_UnixSelectorEventLoop\n")


def test_another_loop_wins(commands: Commands) -> None:
    pytest.importorskip("uvloop")
    body = "import uvloop\nwith asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:\n"
    done = _run(commands, body + "    loop = runner.run(running())\nprint(type(loop).__module__)")
    assert done == (0, "uvloop\n", "")


@pytest.mark.parametrize("prepare", ["", "import warnings; warnings.simplefilter('error')\n"])
def test_get_event_loop_is_the_versions_own(commands: Commands, prepare: str) -> None:
    # It makes a loop, warns or raises, by version; the words and the line are asyncio's.
    commands.write(
        "program.py",
        f"{prepare}import asyncio\n"
        "try:\n    loop = asyncio.get_event_loop()\n    print('a loop'); loop.close()\n"
        "except Exception as error: print(repr(error))\n"
        "asyncio.set_event_loop(None)\n"
        "try: asyncio.get_event_loop()\n"
        "except Exception as error: print(repr(error))\n",
    )
    commands.same("program.py")


def test_the_class_keeps_its_identity(commands: Commands) -> None:
    done = _run(
        commands,
        "from asyncio.unix_events import _UnixSelectorEventLoop as stock\n"
        "loop = asyncio.new_event_loop()\n"
        "print(asyncio.SelectorEventLoop is stock, isinstance(loop, stock),\n"
        "      isinstance(loop, asyncio.AbstractEventLoop), issubclass(vivace.EventLoop, stock))\n"
        "loop.close()",
    )
    assert done == (0, "True True True True\n", "")


def test_nothing_changes_without_vivace_run(commands: Commands) -> None:
    commands.write("program.py", PRELUDE + "tell(asyncio.run(running()))")
    assert commands.python("program.py").out == "_UnixSelectorEventLoop\n"
