"""tools/stages.py: what whoever reads the end of a run of all stages learns from it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from repository.checkout import ROOT
from support.patience import SECONDS

GOOD = "===== 3 passed, 1 skipped in 0.10s ====="

PYTEST = """
tests/loop/test_x.py .F                                    [100%]
=================================== FAILURES ===================================
___________________________ TestX.test_one[vivace] ____________________________
tests/loop/test_x.py:3: in test_one
    assert int(out) == 3
\x1b[31mE   AssertionError: assert 19 == 3\x1b[0m
E    +  where 19 = int('19')
----------------------------- Captured stdout call -----------------------------
E.T. phoned
_________________________________ test_two ____________________________________
took longer than 20 s
=========================== short test summary info ============================
FAILED tests/loop/test_x.py::TestX::test_one[vivace] - AssertionError: ...
==================== 2 failed, 1 passed in 1.00s ====================
"""

CARGO = """
test a::b ... FAILED

failures:

---- a::b stdout ----

thread 'a::b' panicked at src/a.rs:1:2:
it broke

failures:
    a::b

test result: FAILED. 5 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s
"""

REPEATED = """
tests/loop/test_x.py R.RF                                    [100%]
=================================== FAILURES ===================================
___________________________________ test_two ___________________________________
E   AssertionError: two
=========================== rerun test summary info ============================
RERUN tests/loop/test_x.py::test_one[vivace]
def test_one():
>       assert 0
E       AssertionError: one
PASSED tests/loop/test_x.py::test_one[vivace]
RERUN tests/loop/test_x.py::test_two
E       AssertionError: two
FAILED tests/loop/test_x.py::test_two
"""


@pytest.fixture
def stages(tmp_path):
    """Run stages that print what they are given, and fail where that is not good."""

    def run(**outputs: str) -> subprocess.CompletedProcess[str]:
        make = tmp_path / "make"
        make.write_text(
            f'#!/bin/sh\ncat "{tmp_path}/$2"\n! grep -qi "failed\\|error" "{tmp_path}/$2"\n'
        )
        make.chmod(0o755)
        for name, output in outputs.items():
            (tmp_path / name).write_text(output)
        return subprocess.run(
            [sys.executable, str(ROOT / "tools" / "stages.py"), *outputs],
            cwd=tmp_path,
            env=os.environ | {"MAKE": str(make)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    return run


def test_all_is_well(stages):
    done = stages(python=GOOD)
    assert done.returncode == 0
    assert "what failed" not in done.stdout
    assert done.stdout.endswith("3 passed, 0 failed, 1 skipped\n")


def test_failures_stand_at_the_end(stages):
    done = stages(good=GOOD, python=PYTEST, rust=CARGO, clippy="error: unused variable\n")
    assert done.returncode == 1
    end = done.stdout[done.stdout.index("--- what failed ---") :]
    failures, _, table = end.partition("\n--- stages ---\n")
    assert failures.splitlines()[1:] == [
        "python:",
        "  TestX.test_one[vivace]",
        "      E   AssertionError: assert 19 == 3",
        "      E    +  where 19 = int('19')",
        "  test_two",
        "      took longer than 20 s",
        "rust:",
        "  a::b",
        "      thread 'a::b' panicked at src/a.rs:1:2:",
        "      it broke",
        "clippy:",
        "  the end of the log:",
        "      error: unused variable",
    ]
    assert table.splitlines()[-1] == "9 passed, 3 failed, 1 skipped"


def test_a_test_that_passes_when_it_is_repeated_is_named(stages):
    done = stages(python=REPEATED + "==== 1 failed, 1 passed, 2 rerun in 1.00s ====\n")
    heading = "--- what passed only when it was repeated ---\n"
    repeated, _, rest = done.stdout.partition(heading)[2].partition("\n--- what failed ---")
    assert repeated.splitlines() == [
        "python:",
        "  tests/loop/test_x.py::test_one[vivace]",
        "      E       AssertionError: one",
    ]
    assert rest.endswith("1 passed, 1 failed, 0 skipped\n")


def test_a_runner_that_was_ended(stages):
    """Its last words are all there is."""
    done = stages(python="tests/loop/test_x.py ...\nFatal Python error: Segmentation fault\n")
    assert "      Fatal Python error: Segmentation fault\n\n--- stages ---" in done.stdout


def test_many_failures_are_cut(stages):
    one = "____ test_{} ____\nE   AssertionError: {}\n"
    done = stages(
        python="".join(one.format(number, "x" * 500) for number in range(1000))
        + "==== 1000 failed in 1.00s ====\n"
    )
    end = done.stdout[done.stdout.index("--- what failed ---") :]
    assert "  ... and 1850 lines more: .work/logs/python.log" in end
    assert len(end.splitlines()) < 160
    assert max(map(len, end.splitlines())) < 170
