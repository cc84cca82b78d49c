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
        made: list[tuple[Any, type]] = []

        def make_for_set_up() -> asyncio.AbstractEventLoop:
            loop: Any = make_loop()
            made.append((loop, type(loop)))
            loop.__class__ = _lay_mocks_aside(type(loop))
            return loop  # type: ignore[no-any-return]

        injection.make_loop = make_for_set_up
        try:
            return suites_own(case)
        finally:
            injection.make_loop = make_loop
            for loop, loop_class in made:
                loop.__class__ = _refuse_mocks(loop_class)

    setattr(case_class, method, adapted)


def _lay_mocks_aside(loop_class: Any) -> type:
    """A class for a loop during a set-up: mocks it is given are seen, but never reach the loop."""
    aside: dict[str, Any] = {}

    def __getattribute__(self: Any, name: str) -> Any:
        return aside[name] if name in aside else loop_class.__getattribute__(self, name)

    def __setattr__(self: Any, name: str, value: Any) -> None:
        if isinstance(value, mock.NonCallableMock):
            aside[name] = value
        else:
            loop_class.__setattr__(self, name, value)

    return _dress(loop_class, __getattribute__=__getattribute__, __setattr__=__setattr__)


def _refuse_mocks(loop_class: Any) -> type:
    """A class for a loop after its set-up: no mock replaces what it waits through."""

    def __setattr__(self: Any, name: str, value: Any) -> None:
        if not (name in _WAITING and isinstance(value, mock.NonCallableMock)):
            loop_class.__setattr__(self, name, value)

    return _dress(loop_class, __setattr__=__setattr__)


def _dress(loop_class: Any, **methods: Any) -> type:
    named = {"__module__": loop_class.__module__, "__qualname__": loop_class.__qualname__}
    return type(loop_class.__name__, (loop_class,), {**named, **methods})


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
