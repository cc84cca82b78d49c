"""Lists the tests of the running interpreter's `test.test_asyncio`, and those generated from it."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from pathlib import Path

from tests.conformance.candidate import Candidate
from tests.conformance.generated_classes import ON_STOCK_LOOP
from tests.conformance.identity import CaseClass, Section, TestId
from tests.conformance.supervisor import Worker

_LIST_LIMIT = 120.0


@dataclasses.dataclass(frozen=True)
class Suite:
    """All tests there are.

    Attributes:
        tests: Every test, in the order of the modules and of the classes in them.
        skipped_modules: Why a module cannot be imported here, by its name.
    """

    tests: tuple[TestId, ...]
    skipped_modules: dict[str, str]


class NoSuiteError(Exception):
    """This interpreter does not have CPython's tests, or they could not be listed."""


def load(candidate: Candidate) -> Suite:
    """Lists the suite, with generated classes if the candidate has Task and Future.

    Raises:
        NoSuiteError: There is nothing to run; the message says why.
    """
    try:
        spec = find_spec("test.test_asyncio")
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise NoSuiteError(
            "this Python was installed without the package `test` "
            "(Debian has it in libpython3-testsuite)"
        )
    modules = sorted(path.stem for path in Path(spec.origin).parent.glob("test_*.py"))
    job = {
        "factory": candidate.factory,
        "task": candidate.task,
        "future": candidate.future,
        "modules": modules,
    }
    tests: list[TestId] = []
    skipped: dict[str, str] = {}
    with Worker(job) as worker:
        for event in worker.events(lambda: _LIST_LIMIT):
            if event["event"] == "done":
                return Suite(tuple(tests), skipped)
            if event["event"] == "skipped_module":
                skipped[event["module"]] = event["reason"]
            else:
                section = Section(event["section"])
                if section is Section.CLASSES and event["name"].endswith(ON_STOCK_LOOP):
                    section = Section.FOREIGN
                case_class = CaseClass(section, event["module"], event["name"])
                tests.extend(TestId(case_class, name) for name in event["tests"])
        raise NoSuiteError(
            f"the suite could not be listed on {candidate.label}:\n{worker.last_words()}"
        )
