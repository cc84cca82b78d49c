"""A program under `vivace run` finds itself as it does under `python`."""

from __future__ import annotations

import py_compile
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Commands, Outcome

pytestmark = pytest.mark.parametrize("commands", ["vivace", "python -m vivace"], indirect=True)

SELF_PORTRAIT = """
    import sys

    def shown(name, value):
        # The loaders and builtins have addresses in their repr.
        if name in ("__loader__", "__spec__", "__builtins__"):
            kind = value if isinstance(value, type) else type(value)
            return f"{kind.__name__} {getattr(value, 'name', None)} {getattr(value, 'path', None)}"
        return repr(value)

    for name, value in sorted(globals().copy().items()):
        if name not in ("sys", "shown"):
            print(name, shown(name, value))
    print(sys.argv, sys.path)
    print(sys.modules["__main__"].__dict__ is globals())
    print(__name__ == "__main__")
"""


@pytest.fixture
def portrait(commands: Commands) -> Commands:
    """A project in which every file shows how it sees itself."""
    for name in ("program.py", "sub/program.py", "package/__main__.py", "package/part.py"):
        commands.write(name, SELF_PORTRAIT)
    commands.write("package/__init__.py", "")
    (commands.folder / "link.py").symlink_to("sub/program.py")
    (commands.folder / "linked").symlink_to("sub")
    return commands


@pytest.mark.parametrize(
    "words",
    [
        "program.py",
        "program.py one --two -3 -- -m four",
        "./program.py -h",
        "sub/program.py",
        "./sub/../sub/program.py",
        "link.py",
        "linked/program.py",
        "-m program",
        "-mprogram --version",
        "-m package -c -m",
        "-m package.part",
        "package",
        "./package one",
        "package/",
    ],
)
def test_sees_itself_as_under_python(portrait: Commands, words: str) -> None:
    seen = portrait.same(*words.split())
    assert seen.status == 0
    assert "True\nTrue\n" in seen.out


def test_absolute_path(portrait: Commands) -> None:
    portrait.same(str(portrait.folder / "program.py"), "one")
    portrait.same(str(portrait.folder / "package"), "one")


def test_folder_that_is_the_current_one(portrait: Commands) -> None:
    portrait.write("__main__.py", SELF_PORTRAIT)
    portrait.same(".", "one")


def test_zip_file(portrait: Commands) -> None:
    with zipfile.ZipFile(portrait.folder / "program.zip", "w") as archive:
        archive.write(portrait.folder / "program.py", "__main__.py")
    assert portrait.same("program.zip", "one").status == 0
    assert portrait.same("./program.zip", "one").status == 0


def test_compiled_file(portrait: Commands) -> None:
    py_compile.compile(
        str(portrait.folder / "program.py"), str(portrait.folder / "program.pyc"), doraise=True
    )
    assert portrait.same("program.pyc", "one").status == 0


def test_code_from_the_command_line(portrait: Commands) -> None:
    source = (portrait.folder / "program.py").read_text()
    assert portrait.same("-c", source, "one", "-c").status == 0
    assert portrait.same(f"-c{source}", "one").status == 0
    portrait.same("-c", "  print('indented, which newer Pythons accept')")


def test_code_from_standard_input(portrait: Commands) -> None:
    source = (portrait.folder / "program.py").read_text()
    assert portrait.same("-", "one", "-", stdin=source).status == 0


def test_imports_from_its_own_folder(commands: Commands) -> None:
    commands.write("lib/neighbour.py", "print('imported', __file__)\n")
    commands.write("lib/program.py", "import neighbour\n")
    assert "imported" in commands.same("lib/program.py").out
    commands.write("neighbour.py", "print('the other', __file__)\n")
    assert "the other" in commands.same("-c", "import neighbour").out


@pytest.mark.parametrize("option", ["-O", "-OO", "-P", "-E", "-s", "-B", "-Xutf8"])
def test_options_of_the_interpreter(portrait: Commands, option: str) -> None:
    portrait.write(
        "flags.py",
        """
        '''The text that -OO takes away.'''
        import sys
        def function():
            "Documented."
        print(sys.flags, __doc__, function.__doc__, __debug__)
        assert False, "with asserts"
        """,
    )
    for words in (["program.py"], ["-m", "package"], ["flags.py"]):
        portrait.same(*words, options=(option,))


def test_warnings_options(commands: Commands) -> None:
    commands.write(
        "program.py",
        """
        import sys, warnings
        print(sys.warnoptions, sys._xoptions)
        warnings.warn("a word", DeprecationWarning)
        "\\d"
        print("after")
        """,
    )
    assert "a word" in commands.same("program.py").err
    assert "a word" not in commands.same("program.py", options=("-W", "ignore")).err
    assert commands.same("program.py", options=("-W", "error")).status == 1
    commands.same("program.py", options=("-X", "dev"))


def test_starting_up_warns_of_nothing(commands: Commands) -> None:
    commands.write(
        "program.py", "import asyncio\nasync def main(): print(1)\nasyncio.run(main())\n"
    )
    done = commands.vivace("run", "program.py", options=("-X", "dev", "-W", "error"))
    assert done == (0, "1\n", "")


def test_environment_is_untouched(commands: Commands) -> None:
    commands.write("program.py", "import os; print(sorted(os.environ.items()), os.getcwd())\n")
    commands.same("program.py")


def test_standard_input_is_the_programs(commands: Commands) -> None:
    commands.write("program.py", "import sys; print(sys.stdin.read().upper())\n")
    assert commands.same("program.py", stdin="words").out == "WORDS\n"


def test_main_can_be_imported(commands: Commands) -> None:
    commands.write("program.py", "VALUE = 7\nimport __main__; print(__main__.VALUE)\n")
    assert commands.same("program.py").out == "7\n"


def test_classes_of_main_can_be_pickled(commands: Commands) -> None:
    commands.write(
        "program.py",
        """
        import pickle
        class Point:
            def __init__(self, x): self.x = x
        print(pickle.loads(pickle.dumps(Point(3))).x, Point)
        """,
    )
    assert commands.same("program.py").out == "3 <class '__main__.Point'>\n"


def test_globals_live_until_the_interpreter_ends(commands: Commands) -> None:
    commands.write(
        "program.py",
        """
        import atexit, threading
        class Last:
            def __del__(self): print("deleted", LABEL)
        LABEL, kept = "with its globals", Last()
        def thread():
            threading.main_thread().join()
            print("thread", LABEL)
        threading.Thread(target=thread).start()
        atexit.register(lambda: print("atexit", LABEL))
        print("end of file")
        """,
    )
    assert commands.same("program.py").out.splitlines() == [
        "end of file",
        "thread with its globals",
        "atexit with its globals",
        "deleted with its globals",
    ]


def test_program_in_a_folder_that_is_gone(commands: Commands, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys; print(sys.argv, __file__, sys.path)\n")
    gone = tmp_path / "gone"

    def run(*command: str) -> Outcome:
        gone.mkdir()
        leave = f"import os, sys; os.chdir({str(gone)!r}); os.rmdir(os.getcwd()); "
        return commands.python("-c", f"{leave}os.execv(sys.argv[1], sys.argv[1:])", *command)

    plain = run(sys.executable, str(program))
    assert plain == run(*commands.command("run", str(program)))
    assert plain.status == 0
