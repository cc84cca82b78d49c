"""Names a test. Used wherever tests are listed, chosen, run or reported."""

from __future__ import annotations

import enum
from typing import NamedTuple

AT_EXIT = "[exit]"
"""Stands for a test's name where a process fails after the last test, while Python shuts down."""


class Section(enum.Enum):
    """Which claim a test belongs to."""

    LOOP = "loop"
    """The suite's own classes on the candidate's loop."""
    CLASSES = "classes"
    """Generated classes: the candidate's Task and Future on the candidate's loop."""
    FOREIGN = "foreign"
    """Generated classes: the candidate's Task and Future on asyncio's own loop."""


class CaseClass(NamedTuple):
    """A TestCase class of the suite, or one generated from its mixins."""

    section: Section
    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class TestId(NamedTuple):
    """One test; as text `module.Class.test`."""

    case_class: CaseClass
    name: str

    def __str__(self) -> str:
        return f"{self.case_class}.{self.name}"
