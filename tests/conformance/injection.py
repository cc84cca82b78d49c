"""How the candidate's loop gets into CPython's test modules. Used by the worker only.

Every door through which the suite asks asyncio for a loop is led to one factory, and the factory
counts how often it was used, so that a test which never had the candidate's loop in its hands is
not counted as a success of the candidate.
"""

from __future__ import annotations

import asyncio
import mmap
import types
import unittest
from collections.abc import Callable
from typing import Any

# The real class, taken before a stand-in takes its place in the package.
_SELECTOR_EVENT_LOOP: type = asyncio.SelectorEventLoop


class Injection:
    """The factory that all doors lead to, with a count of its uses.

    Attributes:
        make_loop: Makes a loop of the candidate, uncounted.
        loop_class: The class of the candidate's loops, for tests that derive from the loop class.
        fake_clocks: How many loops with a clock moved by hand the running test has asked for.
    """

    def __init__(self, make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self.make_loop = make_loop
        loop = make_loop()
        self.loop_class = type(loop)
        loop.close()
        # Shared with forked children, which ask for loops too.
        self._loops = mmap.mmap(-1, 1)
        self.reset_counts()

    @property
    def loops(self) -> int:
        """How many loops of the candidate the running test has asked for, 255 standing for more."""
        return self._loops[0]

    def count_loop(self) -> None:
        """Notes that the running test has asked for a loop of the candidate."""
        self._loops[0] = min(self._loops[0] + 1, 255)

    def reset_counts(self) -> None:
        """Forgets what was counted."""
        self._loops[0] = 0
        self.fake_clocks = 0

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Makes a loop of the candidate."""
        self.count_loop()
        return self.make_loop()

    def install(self, test_utils: types.ModuleType) -> None:
        """Leads every door to the factory. Must run before the test modules are imported.

        Some of them keep `asyncio.EventLoop` in a class attribute. `test_asyncio.utils` is the
        exception, it derives its fake-clock loop from the real BaseEventLoop.

        Args:
            test_utils: The module `test.test_asyncio.utils`.
        """
        policy_class: Any = asyncio.unix_events._UnixDefaultEventLoopPolicy
        policy_class._loop_factory = staticmethod(self.new_loop)
        stand_in: Any = LoopClassStandIn(self)
        for name in ("SelectorEventLoop", "EventLoop", "BaseEventLoop"):
            if hasattr(asyncio, name):
                setattr(asyncio, name, stand_in)
        self._install_new_test_loop(test_utils.TestCase)

    def _install_new_test_loop(self, test_case: Any) -> None:
        suites_own = test_case.new_test_loop

        def new_test_loop(case: Any, gen: Any = None) -> Any:
            if gen is not None:
                self.fake_clocks += 1
                return suites_own(case, gen)
            loop = self.new_loop()
            case.set_event_loop(loop)
            return loop

        test_case.new_test_loop = new_test_loop


class LoopClassStandIn:
    """Stands where the suite expects a loop class: calls make, and subclasses derive from, ours.

    An object rather than a class, so that `class Loop(asyncio.BaseEventLoop)` can be answered with
    the candidate's class through `__mro_entries__`.
    """

    def __init__(self, injection: Injection) -> None:
        self._injection = injection

    def __call__(self, *args: Any, **kwargs: Any) -> asyncio.AbstractEventLoop:
        # The suite passes selectors, which only stock asyncio has a use for.
        return self._injection.new_loop()

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        self._injection.count_loop()
        return (self._injection.loop_class,)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, (self._injection.loop_class, _SELECTOR_EVENT_LOOP))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._injection.loop_class, name)


class ModuleStandIn:
    """A module with a few names replaced, for one test module's eyes only.

    `test_base_events` says `base_events.BaseEventLoop()`, where replacing the name in asyncio
    itself would break asyncio.
    """

    def __init__(self, module: types.ModuleType, **replaced: Any) -> None:
        vars(self).update(_module=module, **replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._module, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._module, name)


def use_in_module(module: types.ModuleType) -> None:
    """Finishes the injection in an imported test module that reaches into `asyncio.base_events`."""
    if module.__name__.rpartition(".")[2] == "test_base_events":
        stand_in = asyncio.BaseEventLoop
        vars(module)["base_events"] = ModuleStandIn(
            vars(module)["base_events"], BaseEventLoop=stand_in
        )


def reset_after_test() -> None:
    """Takes away what a test left behind in the thread, so that the next one starts clean."""
    asyncio._set_running_loop(None)


def is_test_case(obj: object) -> bool:
    """Whether a name of a test module is a TestCase class."""
    return isinstance(obj, type) and issubclass(obj, unittest.TestCase)
