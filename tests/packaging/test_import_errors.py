"""Where vivace cannot run, importing it says so in one sentence."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.patience import SECONDS

import vivace

# Other interpreters and builders are started, which takes long on a busy machine.


def import_after(prepare: str, *options: str, folder: Path | None = None) -> str:
    """Import vivace in a process of its own and return the message of the ImportError."""
    source = f"""\
import asyncio, sys, types
{textwrap.dedent(prepare)}
try:
    import vivace
except ImportError as error:
    print(error)
    assert error.__cause__ is None and error.__suppress_context__ or error.__context__ is None
else:
    print("imported")
"""
    if folder is not None:
        source = f"import sys; sys.path.insert(0, {str(folder)!r})\n{source}"
    done = subprocess.run(
        [sys.executable, *options, "-c", source], capture_output=True, text=True, timeout=SECONDS
    )
    assert (done.returncode, done.stderr) == (0, "")
    message = done.stdout.removesuffix("\n")
    assert "\n" not in message
    return message


def test_another_platform() -> None:
    assert import_after("sys.platform = 'darwin'") == (
        "vivace runs on Linux only, and this is darwin"
    )


def test_another_implementation() -> None:
    pretend = "sys.implementation = types.SimpleNamespace(**vars(sys.implementation))"
    assert import_after(f"{pretend}; sys.implementation.name = 'pypy'") == (
        "vivace runs on CPython only, and this is pypy"
    )


def test_an_old_python() -> None:
    assert import_after("sys.version_info = (3, 10, 9, 'final', 0)") == (
        "vivace needs Python 3.11 or newer, and this is Python 3.10.9"
    )


def test_files_read_before_the_check_are_readable_for_old_pythons() -> None:
    import ast

    folder = Path(vivace.__file__).parent
    for name in ("__init__.py", "_requirements.py"):
        ast.parse((folder / name).read_text(), name, feature_version=(3, 7))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package without its extension module."""
    shutil.copytree(
        Path(vivace.__file__).parent,
        tmp_path / "vivace",
        ignore=shutil.ignore_patterns("*.so", "_native.py", "__pycache__"),
    )
    return tmp_path


def test_no_extension(package: Path) -> None:
    message = import_after("", folder=package)
    assert message.startswith("vivace has no extension module for this Python (cpython-3")
    assert message.endswith(f"), none at all: install vivace with {sys.executable}")


def test_extension_of_another_python(package: Path) -> None:
    (package / "vivace" / "_native.cpython-39-x86_64-linux-gnu.so").touch()
    message = import_after("", folder=package)
    assert ", only one for cpython-39-x86_64-linux-gnu: install vivace with " in message


def test_extension_that_does_not_load(package: Path) -> None:
    import importlib.machinery

    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    (package / "vivace" / f"_native{suffix}").write_bytes(b"not a shared object")
    message = import_after("", folder=package)
    assert message.startswith("vivace's extension module does not load: ")


IN_A_SUBINTERPRETER = (
    "vivace cannot be used in a subinterpreter: "
    "import it in the main interpreter or in a process of its own"
)

# The source is given as SOURCE to whatever this version has for subinterpreters.
RUN = {
    "3.11": "import _xxsubinterpreters as m; m.run_string(m.create(), SOURCE)",
    "3.12": "import _xxsubinterpreters as m; m.run_string(m.create(), SOURCE)",
    "3.13": "import _interpreters as m; failure = m.exec(m.create(), SOURCE); assert not failure",
}.get(
    ".".join(map(str, sys.version_info[:2])),
    "from concurrent import interpreters; interpreters.create().exec(SOURCE)",
)

# As embedding programs (mod_wsgi and the like) make them: the interpreters share one GIL.
RUN_SHARING_THE_GIL = "import _testcapi; assert _testcapi.run_in_subinterp(SOURCE) == 0"


@pytest.mark.parametrize("imported_before", [False, True])
@pytest.mark.parametrize("run", [RUN, RUN_SHARING_THE_GIL], ids=["own module", "embedding"])
def test_a_subinterpreter(run: str, imported_before: bool, tmp_path: Path) -> None:
    if "_testcapi" in run:
        pytest.importorskip("_testcapi", reason="this Python comes without CPython's test modules")
    report = tmp_path / "report"
    source = f"""\
try:
    import vivace
except ImportError as error:
    text = str(error)
else:
    text = "imported"
with open({str(report)!r}, "w") as file:
    file.write(text)
"""
    # Whoever comes first: the main interpreter can import it before and after.
    first = "import vivace" if imported_before else "pass"
    program = f"{first}\nSOURCE = {source!r}\n{run}\nimport vivace; print(vivace.EventLoop)\n"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert report.read_text() == IN_A_SUBINTERPRETER
    assert "EventLoop" in done.stdout
