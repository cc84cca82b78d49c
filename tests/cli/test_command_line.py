"""The `vivace` command's own words: help, version, and one line for every mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import vivace

if TYPE_CHECKING:
    from conftest import Commands


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_version(commands: Commands, word: str) -> None:
    assert commands.vivace(word) == (0, f"vivace {vivace.__version__}\n", "")


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help(commands: Commands, word: str) -> None:
    done = commands.vivace(word)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("usage: vivace ")
    assert "\n  run " in done.out


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_of_run(commands: Commands, word: str) -> None:
    done = commands.vivace("run", word)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("usage: vivace run ")
    assert all(len(line) <= 100 for line in done.out.splitlines())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "vivace: no command; the commands are: run"),
        (["rnu", "x.py"], "vivace: no command 'rnu'; did you mean 'run'?"),
        (["something"], "vivace: no command 'something' (see vivace --help)"),
        (["x.py"], "vivace: no command 'x.py'; to run a program: vivace run x.py"),
        (["--verison"], "vivace: no option --verison (see vivace --help)"),
        (["run"], "vivace run: no program; give a script, -m MODULE or -c CODE"),
        (["run", "--dbug", "x.py"], "vivace run: no option --dbug (see vivace run --help)"),
        (["run", "-x"], "vivace run: no option -x (see vivace run --help)"),
        (["run", "-m"], "vivace run: -m needs a module after it"),
        (["run", "-c"], "vivace run: -c needs code after it"),
    ],
)
def test_mistakes(commands: Commands, words: list[str], line: str) -> None:
    done = commands.vivace(*words)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(line)
    assert done.err.count("\n") == 1


def test_script_that_is_not_there(commands: Commands) -> None:
    plain = commands.python("nothing.py")
    done = commands.vivace("run", "nothing.py")
    assert (done.status, done.out) == (plain.status, plain.out) == (2, "")
    # What python says, but for its own path in front.
    assert done.err.removeprefix("vivace") == plain.err[plain.err.index(": can't open file") :]


def test_script_that_cannot_be_read(commands: Commands) -> None:
    (commands.folder / "loop.py").symlink_to("loop.py")
    plain = commands.python("loop.py")
    done = commands.vivace("run", "loop.py")
    assert done.status == plain.status == 2
    assert done.err.removeprefix("vivace") == plain.err[plain.err.index(": can't open file") :]


def test_words_after_the_program_are_not_options(commands: Commands) -> None:
    commands.write("program.py", "import sys; print(sys.argv[1:])\n")
    done = commands.vivace("run", "program.py", "--help", "-m", "x", "--version")
    assert done == (0, "['--help', '-m', 'x', '--version']\n", "")
