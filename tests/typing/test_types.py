"""The types of the package are right: mypy and stubtest, on the interpreter that runs the suite.

`make types` and `make stubs` check the package itself on the newest interpreter; here what a
program sees of it is checked (`public_api.py`), and the stub against the extension of every
version that the suite runs on.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import vivace

pytest.importorskip("mypy", reason="requirements/checks.txt has mypy")

# The first run reads all of the standard library's types.
pytestmark = pytest.mark.time_limit(300)

FOLDER = Path(__file__).parent
CHECKOUT = FOLDER.parents[1]
# The folder with the package under test, which need not be the one in the checkout.
PACKAGES = Path(vivace.__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "MYPYPATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        timeout=280,
    )


def check(file: Path) -> subprocess.CompletedProcess[str]:
    return run("mypy", "--strict", "--no-error-summary", str(file))


def test_public_api() -> None:
    checked = check(FOLDER / "public_api.py")
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stdout + checked.stderr


def test_a_wrong_type_is_found(tmp_path: Path) -> None:
    """Were the package untyped for a checker, everything would be Any and every check pass."""
    file = tmp_path / "wrong.py"
    file.write_text("import vivace\n\nreveal_type(vivace.new_event_loop().time())\nvivace.run(1)\n")
    checked = check(file)
    assert 'wrong.py:3: note: Revealed type is "float"' in checked.stdout
    assert 'wrong.py:4: error: Argument 1 to "run"' in checked.stdout
    assert checked.stdout.count("\n") == 2, checked.stdout


def test_stub_is_the_extensions() -> None:
    allowed = ["--allowlist", str(FOLDER / "stubtest_allowlist.txt"), "--ignore-unused-allowlist"]
    checked = run("mypy.stubtest", "vivace._native", "--concise", *allowed)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout + checked.stderr
