"""The child process in which tests run: one TestCase class of CPython's suite, or a list of all.

Started by `supervisor.py` and `suite.py` as a script, with a job as JSON in its first argument and
the number of an open file descriptor for events in the second. Everything in here runs inside the
process under test, so it imports and does as little as it can.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import types
import unittest
from typing import Any

# The checkout is on the path only while the runner's own modules are imported.
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, _ROOT)

from tests.conformance import adaptations, generated_classes  # noqa: E402
from tests.conformance.candidate import resolve  # noqa: E402
from tests.conformance.injection import Injection, is_test_case, use_in_module  # noqa: E402
from tests.conformance.recording import EventWriter, Recorder  # noqa: E402

sys.path.remove(_ROOT)

Classes = tuple[Any, Any] | None
"""The Task and the Future class of the candidate."""


def main() -> None:
    """Does the job and leaves the way any program does, so that a crash at exit is seen too."""
    reset_signals()
    events_fd = int(sys.argv[2])
    os.set_inheritable(events_fd, False)
    events = EventWriter(open(events_fd, "w", encoding="utf-8"))
    job = json.loads(sys.argv[1])
    # The names are resolved before any of asyncio's own are replaced.
    doors = Injection(resolve(job["factory"]))
    classes = (resolve(job["task"]), resolve(job["future"])) if job["task"] else None
    test_utils = importlib.import_module("test.test_asyncio.utils")
    adaptations.adapt_utils(test_utils)
    adaptations.widen_logger_mocks()
    doors.install(test_utils)
    if "modules" in job:
        list_tests(job["modules"], classes, doors, events)
    else:
        module = import_test_module(job["module"], doors)
        case_class = generated(module, classes).get(job["class"]) or vars(module)[job["class"]]
        suite = unittest.TestSuite(case_class(name) for name in job["tests"])
        suite.run(Recorder(events, doors, job["limits"]))
    events.write("done")


def reset_signals() -> None:
    """Undoes what a shell or nohup did to signals: ignored ones would make tests hang."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (
        signal.SIGHUP,
        signal.SIGTERM,
        signal.SIGQUIT,
        signal.SIGCHLD,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGALRM,
    ):
        signal.signal(number, signal.SIG_DFL)


def import_test_module(name: str, doors: Injection) -> types.ModuleType:
    """Imports a module of the suite and fits it to the candidate.

    Raises:
        unittest.SkipTest: The module is not for this platform.
    """
    module = importlib.import_module(f"test.test_asyncio.{name}")
    use_in_module(module)
    adaptations.adapt_module(module, doors)
    return module


def generated(module: types.ModuleType, classes: Classes) -> dict[str, type]:
    """The TestCase classes made for the candidate's Task and Future."""
    return generated_classes.generate(module, *classes) if classes else {}


def list_tests(modules: list[str], classes: Classes, doors: Injection, events: EventWriter) -> None:
    """Reports every TestCase class of the modules, with the names of its tests."""
    loader = unittest.TestLoader()
    for module_name in modules:
        try:
            module = import_test_module(module_name, doors)
        except unittest.SkipTest as skip:
            events.write("skipped_module", module=module_name, reason=str(skip))
            continue
        made = generated(module, classes)
        own = {
            obj.__name__: obj
            for obj in vars(module).values()
            if is_test_case(obj) and obj.__module__ == module.__name__
        }
        for section, found in (("loop", own), ("classes", made)):
            for name, case_class in found.items():
                tests = loader.getTestCaseNames(case_class)
                if tests:
                    events.write(
                        "class", module=module_name, name=name, section=section, tests=list(tests)
                    )


if __name__ == "__main__":
    main()
