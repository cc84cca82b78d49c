"""A program under `vivace run` ends as it does under `python`: status, signal and last words."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.patience import SECONDS

if TYPE_CHECKING:
    from conftest import Commands

BOTH_WAYS = ["vivace", "python -m vivace"]

# name: (source, exit status under python, if all versions agree)
PROGRAMS: dict[str, tuple[str, int | None]] = {
    "end": ("print('done')", 0),
    "exit nothing": ("raise SystemExit", 0),
    "exit 0": ("import sys; sys.exit(0)", 0),
    "exit 3": ("import sys; sys.exit(3)", 3),
    "exit 256 and more": ("import sys; sys.exit(259)", 3),
    "exit -1": ("import sys; sys.exit(-1)", 255),
    "exit text": ("import sys; sys.exit('because of this')", 1),
    "exit object": ("import sys; sys.exit(['a', 'list'])", 1),
    "exit in a thread": (
        "import sys, threading\n"
        "t = threading.Thread(target=sys.exit, args=(5,))\nt.start(); t.join()",
        0,
    ),
    "_exit": ("import os; os._exit(7)", 7),
    "exit at exit": ("import atexit, os; atexit.register(os._exit, 9)", 9),
    "error": ("def f():\n    raise ValueError('x')\nf()", 1),
    "error of the first line": ("1/0", 1),
    "chained": (
        "try:\n    {}['key']\nexcept KeyError as e:\n    raise RuntimeError('second') from e",
        1,
    ),
    "in the wake of": ("try:\n    {}['key']\nexcept KeyError:\n    1/0", 1),
    "notes": ("e = ValueError('x'); e.add_note('a note'); raise e", 1),
    "group": ("raise ExceptionGroup('g', [ValueError(1), ExceptionGroup('h', [OSError(2)])])", 1),
    "raised once before": (
        "def f(): 1/0\ntry:\n    f()\nexcept ZeroDivisionError as e:\n    kept = e\nraise kept",
        1,
    ),
    "error in an import": ("import broken", 1),
    "import of nothing": ("import nothing_of_this_name", 1),
    "syntax": ("x = (1,\nfor\n", 1),
    "indentation": ("if 1:\nx = 1\n", 1),
    "empty": ("", 0),
    "encoding": ("# coding: latin-1\nprint('f\xfcr')\nraise ValueError('\xfc')", 1),
    "hook": (
        "import sys\nsys.excepthook = lambda *a: print('hook', a[:2], a[2].tb_lineno)\n1/0",
        1,
    ),
    "hook that raises": (
        "import sys\ndef hook(*a):\n    raise OSError('of the hook')\nsys.excepthook = hook\n1/0",
        1,
    ),
    "hook that exits": (
        "import sys\ndef hook(*a):\n    sys.exit(4)\nsys.excepthook = hook\n1/0",
        4,
    ),
    "post mortem": (
        "import atexit, sys, traceback\n"
        "def last():\n"
        "    print(sys.last_type, sys.last_value)\n"
        "    traceback.print_tb(sys.last_traceback)\n"
        "    traceback.print_tb(sys.last_value.__traceback__)\n"
        "    print(sys.excepthook is sys.__excepthook__)\n"
        "atexit.register(last)\n"
        "1/0",
        1,
    ),
    "generator exit": ("raise GeneratorExit", 1),
    "keyboard interrupt": ("def f():\n    raise KeyboardInterrupt('by hand')\nf()", -signal.SIGINT),
    "signal": ("import signal\nsignal.raise_signal(signal.SIGINT)", -signal.SIGINT),
    # Later Pythons count it as a KeyboardInterrupt, earlier ones as any exception.
    "kind of keyboard interrupt": ("class K(KeyboardInterrupt): pass\nraise K", None),
    "terminated": ("import signal\nsignal.raise_signal(signal.SIGTERM)", -signal.SIGTERM),
}


@pytest.fixture
def project(commands: Commands) -> Commands:
    """A project with a module that does not import."""
    commands.write("broken.py", "def f():\n    raise OSError('broken')\nf()\n")
    return commands


@pytest.mark.parametrize("name", PROGRAMS)
def test_script(project: Commands, name: str) -> None:
    source, status = PROGRAMS[name]
    encoding = "latin-1" if "latin-1" in source else "utf-8"
    (project.folder / "program.py").write_text(source, encoding=encoding)
    done = project.same("program.py")
    assert status is None or done.status == status


@pytest.mark.parametrize("commands", BOTH_WAYS, indirect=True)
@pytest.mark.parametrize("name", ["end", "exit 3", "error", "chained", "syntax", "signal"])
def test_other_kinds_of_program(project: Commands, name: str) -> None:
    source, status = PROGRAMS[name]
    project.write("package/__init__.py", "")
    (project.folder / "package" / "__main__.py").write_text(source)
    assert project.same("-m", "package").status == status
    assert project.same("package").status == status
    assert project.same("-c", source).status == status
    assert project.same("-", stdin=source).status == status


def test_module_that_is_not_there(project: Commands) -> None:
    for name in ("nothing_of_this_name", "broken.part", "package.part", ".x", "program.py"):
        assert project.same("-m", name).status == 1
    project.write("empty/__init__.py", "")
    assert project.same("-m", "empty").status == 1
    assert project.same("empty").status == 1


def test_exception_out_of_a_coroutine(project: Commands) -> None:
    project.write(
        "program.py",
        """
        import asyncio
        async def inner():
            await asyncio.sleep(0)
            raise LookupError("from within")
        async def main():
            async with asyncio.TaskGroup() as group:
                group.create_task(inner())
        asyncio.run(main())
        """,
    )
    done = project.same("program.py")
    assert done.status == 1
    assert "from within" in done.err


@pytest.mark.parametrize("commands", BOTH_WAYS, indirect=True)
def test_interrupt_from_outside(project: Commands) -> None:
    project.write(
        "program.py",
        """
        import asyncio
        async def main():
            print("ready", flush=True)
            try:
                await asyncio.Event().wait()
            finally:
                print("cleaned up", flush=True)
        asyncio.run(main())
        """,
    )
    process = subprocess.Popen(
        project.command("run", "program.py"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=project.folder,
        # A runner in the background leaves it ignored, and Python then installs no handler.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    assert out == "cleaned up\n"
    assert err.endswith("KeyboardInterrupt\n")
    assert "_cli" not in err
    assert process.returncode == -signal.SIGINT


# The script that pip writes ends with sys.exit in any case, which -i would report.
@pytest.mark.parametrize("commands", ["python -m vivace"], indirect=True)
def test_interactive_afterwards(project: Commands) -> None:
    project.write("program.py", "value = 42\nimport sys; sys.ps1 = sys.ps2 = ''\n")
    # The version's banner is missing with -q; standard input is the session.
    plain = project.python("-i", "-q", "program.py", stdin="print(value)\n")
    ours = project.vivace("run", "program.py", stdin="print(value)\n", options=("-i", "-q"))
    assert plain.out == ours.out == "42\n"
