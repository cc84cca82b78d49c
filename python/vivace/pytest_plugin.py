"""For pytest: a test fails when it blocks the loop, leaks a task, or never awaits a coroutine.

    pytest -p vivace.pytest_plugin [--vivace-strict] [--vivace-races]
                                   [--vivace-fuzz-schedule=SEED]

Tests run on vivace's loop, whoever makes it: `asyncio.run`, pytest-asyncio, anyio. What the
diagnostics find while a test runs, fails it, with the report as the text. The marker
``@pytest.mark.vivace_allow("V101")`` lets findings of these codes pass. With ``VIVACE_DIAG=0``
nothing is looked at.
"""

from __future__ import annotations

import asyncio.runners
import json
import os
import random
import warnings
from collections.abc import Callable, Generator
from typing import Any

import pytest

from vivace import _default_loop, _loop, _native
from vivace.see import _authors, _races, _sites, _strict, _tasks, _waits
from vivace.see._settings import settings
from vivace.see._strict import BlockingCallError

__all__ = ["FAILING", "BlockingCallError"]

#: What fails a test.
FAILING = frozenset({"V101", "V201", "V210", "V301", "V302", "V303", "V501"})

_WATCHER = "vivace"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options."""
    group = parser.getgroup("vivace", "vivace: diagnostics of asyncio programs")
    group.addoption(
        "--vivace-strict",
        action="store_true",
        help="raise at calls that could block, on the thread of a running loop",
    )
    group.addoption(
        "--vivace-races",
        action="store_true",
        help="fail tests in which a value is read before an await and written over after it, "
        "while another task has changed it (Python 3.12 or later)",
    )
    group.addoption(
        "--vivace-fuzz-schedule",
        metavar="SEED",
        help="run tasks that are ready at the same time in an order of chance, by this seed; with "
        "'random' the seed is printed, to repeat it",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Makes vivace's loop asyncio's own, and begins to look.

    Raises:
        pytest.UsageError: what is asked for cannot be done.
    """
    config.addinivalue_line(
        "markers", "vivace_allow(*codes): findings of these codes do not fail the test"
    )
    _default_loop.make_vivace_the_default()
    if settings().on and config.getoption("--vivace-races") and not _races.install():
        raise pytest.UsageError(_races.UNAVAILABLE.replace("--races", "--vivace-races"))
    config.pluginmanager.register(_Watcher(config), _WATCHER)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Puts everything back that pytest may go on without, as in pytest's own tests."""
    watcher = config.pluginmanager.unregister(name=_WATCHER)
    if watcher is not None:
        watcher.end()
    _races.remove()


class _Watcher:
    """Looks while tests run."""

    def __init__(self, config: pytest.Config) -> None:
        self.on = settings().on
        self.strict = bool(config.getoption("--vivace-strict"))
        self.seed = _seed(config.getoption("--vivace-fuzz-schedule"))
        if self.seed is not None:
            _loop.fuzz_schedule = self.seed
            os.environ["VIVACE_FUZZ_SCHEDULE"] = str(self.seed)
        self.leaks: list[str] = []
        self.unawaited: list[str] = []
        self.told: set[int] = set()
        self._undo: list[Callable[[], None]] = []
        if self.on:
            self._watch_the_end_of_loops()
            self._watch_coroutines()
            _native.see_heard()

    def end(self) -> None:
        """Stops looking."""
        while self._undo:
            self._undo.pop()()
        if self.seed is not None:
            _loop.fuzz_schedule = None
            os.environ.pop("VIVACE_FUZZ_SCHEDULE", None)

    def _watch_the_end_of_loops(self) -> None:
        """`asyncio.run` cancels what is left, without a word."""
        runners: Any = asyncio.runners
        original = runners._cancel_all_tasks

        def cancel_all_tasks(loop: Any) -> None:
            self._note_leaks(_tasks.of_loop(loop))
            original(loop)

        runners._cancel_all_tasks = cancel_all_tasks
        self._undo.append(lambda: setattr(runners, "_cancel_all_tasks", original))

    def _watch_coroutines(self) -> None:
        module: Any = warnings
        original = module._warn_unawaited_coroutine

        def note(coroutine: Any, by_collector: bool) -> None:
            code = coroutine.cr_code
            self.unawaited.append(
                f"V201 NEVER AWAITED {coroutine.__qualname__}(), defined at "
                f"{code.co_filename}:{code.co_firstlineno}"
            )

        # No Python function: the warning is attributed to the frame below.
        hook = _native.see_unawaited(original, note)
        module._warn_unawaited_coroutine = hook

        def undo() -> None:
            if module._warn_unawaited_coroutine is hook:
                module._warn_unawaited_coroutine = original

        self._undo.append(undo)

    def _note_leaks(self, tasks: Any) -> None:
        for task in tasks:
            if task.done() or id(task) in self.told or _is_ending(task) or _is_foreign(task):
                continue
            self.told.add(id(task))
            wait = _waits.describe(task)
            self.leaks.append(
                f"V210 TASK LEAK {_waits.task_name(task)} {_sites.coro_name(task)}() is left "
                f"pending: {wait.text} at {wait.file}:{wait.line}"
            )

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Refuses codes that there are none of, which would allow nothing.

        Raises:
            pytest.UsageError: there is no such code.
        """
        known = {code for code, _, _ in _native.see_codes()}
        for item in items:
            for code in _allowed(item) - known:
                raise pytest.UsageError(f"{item.nodeid}: vivace_allow({code!r}): no such code")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Looks while the test itself runs."""
        if not self.on:
            return (yield)
        before = {id(task) for task in _tasks.of_all_loops()}
        self.told.clear()
        self._begin()
        if self.strict:
            _strict.install()
        try:
            result = yield
        finally:
            _strict.uninstall()
        self._note_leaks(task for task in _tasks.of_all_loops() if id(task) not in before)
        self._check(item)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Looks while fixtures end: the loops of pytest-asyncio do so here."""
        if not self.on:
            return (yield)
        self._begin()
        result = yield
        self._check(item)
        return result

    def _begin(self) -> None:
        self.leaks.clear()
        self.unawaited.clear()
        _native.see_heard()

    def _check(self, item: pytest.Item) -> None:
        failing = FAILING - _allowed(item)
        found = [json.loads(line) for line in _native.see_heard()]
        texts = [_text(finding) for finding in found if finding["code"] in failing]
        reported = {finding["code"] for finding in found}
        if "V210" in failing:
            texts += self.leaks
        if "V201" in failing and "V201" not in reported:
            texts += self.unawaited
        if texts:
            if self.seed is not None:
                texts.append(f"(order of tasks: --vivace-fuzz-schedule={self.seed})")
            pytest.fail("\n".join(texts), pytrace=False)

    def pytest_report_header(self) -> list[str]:
        """The seed, so that the order can be repeated; and whether nothing is looked at."""
        lines = [] if self.on else ["vivace: nothing is looked at (VIVACE_DIAG=0)"]
        if self.seed is not None:
            lines.append(f"vivace: repeat the order of tasks by --vivace-fuzz-schedule={self.seed}")
        return lines


def _allowed(item: pytest.Item) -> set[str]:
    return {str(code) for mark in item.iter_markers("vivace_allow") for code in mark.args}


def _seed(given: str | None) -> int | None:
    if given is None:
        return None
    if given == "random":
        return random.SystemRandom().randrange(1 << 32)
    seed = _loop.seed_of(given)
    if seed is None:
        raise pytest.UsageError(
            f"--vivace-fuzz-schedule={given}: the seed is a whole number below 2**64, or 'random'"
        )
    return seed


def _text(finding: dict[str, Any]) -> str:
    lines = [f"{finding['code']} {finding['name']} {finding['title']}".rstrip()]
    lines += [f"  {label:6} {text}" for label, text in finding["report"]]
    return "\n".join(lines)


def _is_ending(task: Any) -> bool:
    """Whether it was cancelled, and only has not run since."""
    return bool(task.cancelling())


def _is_foreign(task: Any) -> bool:
    """Whether its coroutine is that of an installed package, which may keep tasks for longer."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and _authors.author(code.co_filename) == _authors.INSTALLED
