"""The few set-ups of CPython's suite that fit stock asyncio only. Used by the worker only.

They are changed for every loop alike, stock asyncio included, and only where the test that follows
is about public behaviour:

* set-ups that build a BaseEventLoop and give it a mock for a selector: the mocks are taken off
  again, so that the loop under test is a whole one;
* `_run_loop` of the gather tests and `close_loop` of all tests read private attributes of the loop:
  a loop without them is asked through public methods instead;
* a mock in place of `asyncio.<module>.logger` also receives what is logged through
  `logging.getLogger("asyncio")`, because from which module a record comes is nobody's contract.
"""

from __future__ import annotations

import asyncio
import types
from asyncio.log import logger
from collections.abc import Callable
from typing import Any
from unittest import mock

from tests.conformance.injection import Injection

# The methods of stock's loop classes through which it waits; with a mock in place of one of them
# the real loop would wait for ever.
_WAITING = ("_process_events", "_write_to_self")

_LEVELS = ("debug", "info", "warning", "error", "exception", "critical", "log")

# The chains of callbacks in the gather tests are at most this many turns of the loop long.
_TURNS_OF_A_GATHER = 6


def adapt_utils(test_utils: types.ModuleType) -> None:
    """Lets `utils.TestCase.close_loop` close a loop that has no `_default_executor`."""
    suites_own: Callable[[Any], None] = test_utils.TestCase.close_loop

    def close_loop(loop: Any) -> None:
        if hasattr(loop, "_default_executor"):
            suites_own(loop)
            return
        if not loop.is_closed():
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    test_utils.TestCase.close_loop = staticmethod(close_loop)


def adapt_module(module: types.ModuleType, injection: Injection) -> None:
    """Changes the set-ups of one imported test module."""
    name = module.__name__.rpartition(".")[2]
    names = vars(module)
    if name == "test_base_events":
        _take_mocks_off(injection, names["BaseEventLoopTests"], "setUp")
    elif name == "test_pep492":
        _take_mocks_off(injection, names["BaseTest"], "setUp")
    elif name == "test_runners":
        _take_mocks_off(injection, names["BaseTest"], "new_loop")
    elif name == "test_tasks":
        _run_loop_without_ready(names["GatherTestsBase"], names["test_utils"])


def _take_mocks_off(injection: Injection, case_class: Any, method: str) -> None:
    suites_own = getattr(case_class, method)
    make_loop = injection.make_loop

    def adapted(case: Any) -> Any:
        made: list[tuple[Any, dict[str, Any]]] = []

        def make_and_remember() -> asyncio.AbstractEventLoop:
            loop = make_loop()
            made.append((loop, dict(getattr(loop, "__dict__", ()))))
            return loop

        injection.make_loop = make_and_remember
        try:
            return suites_own(case)
        finally:
            injection.make_loop = make_loop
            for loop, before in made:
                _restore(loop, before)
                _refuse_mocks(loop)

    setattr(case_class, method, adapted)


def _restore(loop: Any, before: dict[str, Any]) -> None:
    for name, value in list(getattr(loop, "__dict__", {}).items()):
        if isinstance(value, mock.NonCallableMock):
            if name in before:
                setattr(loop, name, before[name])
            else:
                delattr(loop, name)


def _refuse_mocks(loop: Any) -> None:
    """Keeps tests from putting mocks in place of what wakes a loop and tells it of events."""
    loop_class: Any = type(loop)

    def __setattr__(self: Any, name: str, value: Any) -> None:
        if name in _WAITING and isinstance(value, mock.NonCallableMock):
            return
        loop_class.__setattr__(self, name, value)

    attributes = {
        "__module__": loop_class.__module__,
        "__qualname__": loop_class.__qualname__,
        "__setattr__": __setattr__,
    }
    loop.__class__ = type(loop_class.__name__, (loop_class,), attributes)


def _run_loop_without_ready(case_class: Any, test_utils: Any) -> None:
    suites_own = case_class._run_loop

    def _run_loop(case: Any, loop: Any) -> None:
        if hasattr(loop, "_ready"):
            suites_own(case, loop)
            return
        for _ in range(_TURNS_OF_A_GATHER):
            test_utils.run_briefly(loop)

    case_class._run_loop = _run_loop


def widen_logger_mocks() -> None:
    """Makes a mock of some asyncio module's logger see what the asyncio logger itself is told."""
    patch_class: Any = mock._patch
    enter, leave = patch_class.__enter__, patch_class.__exit__

    def __enter__(patch: Any) -> Any:
        new = enter(patch)
        target = getattr(patch.target, "__name__", "")
        if patch.attribute == "logger" and target.startswith("asyncio."):
            for level in _LEVELS:
                vars(logger)[level] = getattr(new, level)
        return new

    def __exit__(patch: Any, *exc_info: Any) -> Any:
        if patch.attribute == "logger":
            for level in _LEVELS:
                vars(logger).pop(level, None)
        return leave(patch, *exc_info)

    patch_class.__enter__ = __enter__
    patch_class.__exit__ = __exit__
