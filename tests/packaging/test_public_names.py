"""What `import vivace` offers is listed, documented, typed and complete."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.patience import SECONDS

import vivace

# Other interpreters and builders are started, which takes long on a busy machine.
PACKAGE = Path(vivace.__file__).parent
CHECKOUT = Path(__file__).resolve().parents[2]


def test_public_names() -> None:
    assert vivace.__all__ == sorted(vivace.__all__)
    public = {
        name
        for name, value in vars(vivace).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    }
    # The server and the diagnostics are imported when they are first asked for.
    lazy = {"Server", "diagnostics", "metrics_text", "serve"}
    assert public - lazy == set(vivace.__all__) - lazy
    assert callable(vivace.serve)
    assert callable(vivace.diagnostics)
    assert callable(vivace.metrics_text)
    assert inspect.isclass(vivace.Server)
    assert lazy <= set(dir(vivace))


@pytest.mark.parametrize("name", vivace.__all__)
def test_documented(name: str) -> None:
    documentation = getattr(vivace, name).__doc__
    assert documentation, f"vivace.{name} has no docstring"
    assert re.match(r"[A-Z].*\.$", documentation.strip().splitlines()[0]), documentation
    pages = "".join(page.read_text() for page in (CHECKOUT / "docs").glob("*.md"))
    assert f"vivace.{name}" in pages, f"no page of docs/ mentions vivace.{name}"


def test_classes_are_asyncios() -> None:
    assert issubclass(vivace.EventLoop, asyncio.AbstractEventLoop)
    assert issubclass(vivace.Future, asyncio.Future)
    assert issubclass(vivace.Task, asyncio.Task)


def test_run_has_the_shape_of_asyncios() -> None:
    ours = inspect.signature(vivace.run).parameters
    theirs = inspect.signature(asyncio.run).parameters
    assert set(theirs) <= set(ours)
    for name, parameter in theirs.items():
        assert ours[name].kind == parameter.kind


def test_typed() -> None:
    assert (PACKAGE / "py.typed").read_text() == ""
    stub = ast.parse((PACKAGE / "_native.pyi").read_text())
    declared = {node.name for node in stub.body if isinstance(node, ast.ClassDef)}
    assert {"Future", "Task", "Loop"} <= declared


def test_every_file_says_what_it_is_for() -> None:
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")]
    silent = [file.name for file in files if not ast.get_docstring(ast.parse(file.read_text()))]
    assert not silent


def test_import_warns_of_nothing_and_brings_little() -> None:
    program = (
        "import asyncio, sys; before = set(sys.modules)\n"
        "import vivace\n"
        "print(*sorted(set(sys.modules) - before), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    brought = [name for name in done.stdout.split() if name.partition(".")[0] != "vivace"]
    # Python 3.11 says only in the second one whether this is the main interpreter, and asyncio
    # does without typing from Python 3.14 on.
    assert set(brought) <= {"__future__", "_xxsubinterpreters", "typing", "_typing"}
    unwanted = ("vivace._cli", "vivace._default", "vivace.serve")
    assert not [name for name in done.stdout.split() if name.startswith(unwanted)]


# The extension, found and loaded as tools do that look into a module without its package.
EXTENSION_ALONE = f"""importlib.util
spec = importlib.util.spec_from_file_location("vivace._native", {vivace._native.__file__!r})
spec.loader.exec_module(importlib.util.module_from_spec(spec))
"""


@pytest.mark.parametrize("first", ["vivace", "vivace._native", EXTENSION_ALONE])
def test_import_leaves_asyncio_as_it_is(first: str) -> None:
    # vivace first: its extension must not bring in half of asyncio in an order of its own.
    shown = "print({name: repr(value) for name, value in vars(asyncio).items() if callable(value)})"
    plain, ours = (
        subprocess.run(
            [sys.executable, "-c", f"import {module}\nimport asyncio, re; {shown}"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        ).stdout
        for module in ("asyncio", first)
    )
    assert re.sub("0x[0-9a-f]+", "", ours) == re.sub("0x[0-9a-f]+", "", plain)
