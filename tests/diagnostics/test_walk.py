"""Stacks that are read without the GIL: the same as Python shows."""

from __future__ import annotations

import sys
import sysconfig
import threading
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from vivace import _native


def code_objects(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_objects(constant)


def test_lines_and_columns_of_the_standard_library() -> None:
    folder = Path(sysconfig.get_paths()["stdlib"])
    compared = 0
    for path in sorted([*folder.glob("*.py"), *folder.glob("asyncio/*.py")]):
        for code in code_objects(compile(path.read_bytes(), str(path), "exec")):
            expected = list(code.co_positions())
            found = []
            for start, end, *position in _native.see_line_table(
                code.co_linetable, code.co_firstlineno
            ):
                found += [tuple(position)] * ((end - start) // 2)
            # Python gives (line, end line, column, end column).
            assert found == expected, (path, code.co_qualname)
            compared += len(found)
    assert compared > 100_000


def test_the_offsets_fit_this_python() -> None:
    assert _native.see_walk() is None


def deep(levels: int, ready: threading.Event, go: threading.Event) -> None:
    if levels:
        return deep(levels - 1, ready, go)
    ready.set()
    go.wait()
    return None


@pytest.mark.parametrize("levels", [0, 1, 50])
def test_the_stack_of_a_thread_that_waits(levels: int) -> None:
    ready, go = threading.Event(), threading.Event()
    thread = threading.Thread(target=deep, args=(levels, ready, go))
    thread.start()
    try:
        assert ready.wait(60)
        assert thread.native_id is not None
        for _ in range(100):
            found = _native.see_walk(thread.native_id)
            frame = sys._current_frames()[thread.ident or 0]
            expected = []
            while frame is not None:
                code = frame.f_code
                expected.append((code.co_filename, frame.f_lineno, code.co_qualname))
                frame = frame.f_back  # type: ignore[assignment]
            if found == expected and expected[0][2] == "Condition.wait":
                break
        assert found == expected
        assert sum(name == "deep" for _file, _line, name in found) == levels + 1
    finally:
        go.set()
        thread.join()


def test_a_thread_that_computes_is_walked_without_harm() -> None:
    end = threading.Event()

    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    def work() -> None:
        while not end.is_set():
            fibonacci(15)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert thread.native_id is not None
        found = 0
        for _ in range(150):
            stack = _native.see_walk(thread.native_id)
            if stack:
                found += 1
                assert stack[-1][2] == "Thread._bootstrap"
                assert {name for *_, name in stack} <= {
                    "test_a_thread_that_computes_is_walked_without_harm.<locals>.fibonacci",
                    "test_a_thread_that_computes_is_walked_without_harm.<locals>.work",
                    "Event.is_set",
                    "Thread.run",
                    "Thread._bootstrap_inner",
                    "Thread._bootstrap",
                }
        assert found > 50
    finally:
        end.set()
        thread.join()
