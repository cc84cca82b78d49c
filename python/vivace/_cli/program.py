"""Becomes a program: what the interpreter does with its command line, done once more.

CPython does this in C (Modules/main.c) before any Python code runs, and the standard library has
only approximations of it, so the details are here: which `sys.path` entry belongs to the
launcher, what a fresh `__main__` holds, and how an absolute path is spelled in a traceback.
`tests/cli` compares each of them with a real `python`.
"""

from __future__ import annotations

import builtins
import importlib.machinery
import io
import os
import sys
import types
from collections.abc import Callable

from . import fail, uncaught


def run_path(path: str, arguments: list[str]) -> int:
    """Run a file, or a folder or zip file with a ``__main__.py``.

    Returns:
        The exit status if there is no such file; else the program decides.
    """
    sys.argv[:] = [path, *arguments]
    if has_importer(path):
        replace_first_path(None)
        # Before everything, even where the launcher put nothing (python -P).
        sys.path.insert(0, absolute(path))
        run_by_name("__main__", as_module=False)
        return 0
    filename = absolute(path)
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}"
        return fail("vivace", f"can't open file {filename!r}: {reason}")
    replace_first_path(os.path.dirname(os.path.realpath(path)))
    if path.endswith(".pyc"):
        compiled = importlib.machinery.SourcelessFileLoader("__main__", filename)
        execute(lambda: compiled.get_code("__main__"), new_main(compiled, filename))
    else:
        loader = importlib.machinery.SourceFileLoader("__main__", filename)
        execute(lambda: compile_program(source, filename), new_main(loader, filename))
    return 0


def run_module(name: str, arguments: list[str]) -> None:
    """Run a module as ``python -m`` does."""
    sys.argv[:] = ["-m", *arguments]
    replace_first_path(working_folder())
    run_by_name(name, as_module=True)


def run_code(code: str, arguments: list[str]) -> None:
    """Run a piece of source as ``python -c`` does."""
    sys.argv[:] = ["-c", *arguments]
    replace_first_path("")
    if sys.version_info >= (3, 14):
        import textwrap

        code = textwrap.dedent(code)
    source = f"{code}\n"

    def compile_and_register() -> types.CodeType:
        compiled = compile_program(source, "<string>")
        uncaught.show_source_of(compiled, source)
        return compiled

    execute(compile_and_register, new_main(importlib.machinery.BuiltinImporter))


def run_standard_input(arguments: list[str]) -> None:
    """Run what standard input holds as ``python -`` does."""
    sys.argv[:] = ["-", *arguments]
    replace_first_path("")
    source = sys.stdin.buffer.read()
    main = new_main(importlib.machinery.BuiltinImporter, "<stdin>")
    execute(lambda: compile_program(source, "<stdin>"), main)


def run_by_name(name: str, *, as_module: bool) -> None:
    """Let `runpy` find a module and run it in a fresh ``__main__``."""
    # What the interpreter itself calls for -m and for folders: its frames are in the tracebacks
    # there too.
    from runpy import _run_module_as_main  # type: ignore[attr-defined]

    new_main(importlib.machinery.BuiltinImporter)
    try:
        _run_module_as_main(name, as_module)
    except SystemExit:
        raise
    except BaseException as error:
        uncaught.end_with(error)
        raise


def execute(compiler: Callable[[], types.CodeType | None], main: types.ModuleType) -> None:
    """Compile the program and run it in its ``__main__``."""
    try:
        code = compiler()
        assert code is not None, "a loader returns None only for modules without code"
        exec(code, main.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        uncaught.end_with(error)
        raise


def compile_program(source: str | bytes, filename: str) -> types.CodeType:
    """Compile with the interpreter's flags, not with those of this file."""
    code: types.CodeType = compile(source, filename, "exec", dont_inherit=True)
    return code


def new_main(loader: object, filename: str | None = None) -> types.ModuleType:
    """Put a new ``__main__`` in the place of the launcher's, so that it can be pickled from."""
    main = types.ModuleType("__main__")
    main.__dict__.update(__loader__=loader, __builtins__=builtins)
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    if filename is not None:
        main.__dict__.update(__file__=filename, __cached__=None)
    sys.modules["__main__"] = main
    return main


def replace_first_path(entry: str | None) -> None:
    """Replace the launcher's entry in ``sys.path`` by the program's, if there are any.

    There are none under ``python -P``, and ``python -m`` makes none in a folder that is gone.
    """
    if sys.flags.safe_path:
        return
    started_as_module = getattr(sys.modules["__main__"], "__spec__", None) is not None
    launchers = 0 if started_as_module and working_folder() is None else 1
    sys.path[:launchers] = [] if entry is None else [entry]


def has_importer(path: str) -> bool:
    """Whether the path is something to import from: a folder or a zip file."""
    for hook in sys.path_hooks:
        try:
            hook(path)
        except ImportError:
            continue
        return True
    return False


def absolute(path: str) -> str:
    """Make a path absolute the way the interpreter does, which does not tidy it up."""
    folder = working_folder()
    if os.path.isabs(path) or folder is None:
        return path
    return folder if path == "." else f"{folder}/{path}"


def working_folder() -> str | None:
    """The current folder, or None if it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return None
