"""What one test did on one implementation. Made by the supervisor, kept in the stock cache."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The end of a test.

    Attributes:
        status: `passed`, `skipped`, `failed`, `error`, `hang` or `crash`.
        detail: The traceback, the reason of a skip, or the last words of a killed process.
        seconds: How long it ran.
        loops: How many of the candidate's loops it asked for.
        fake_clocks: How many loops with a clock moved by hand it asked for.
        flaky: It passed only when it was run again, alone.
    """

    status: str
    detail: str = ""
    seconds: float = 0.0
    loops: int = 0
    fake_clocks: int = 0
    flaky: bool = False

    @property
    def passed(self) -> bool:
        """Whether the test did what it says."""
        return self.status == "passed"

    @property
    def bad(self) -> bool:
        """Whether the test ran and went wrong."""
        return self.status not in ("passed", "skipped")

    def last_line(self) -> str:
        """The line that says most: the exception, or where a killed process was."""
        lines = [line.rstrip() for line in self.detail.splitlines() if line.strip()]
        if not lines:
            return self.status
        if self.status in ("hang", "crash"):
            return next(
                (line.strip() for line in lines if line.lstrip().startswith("File ")),
                lines[-1].strip(),
            )
        errors = [line for line in lines if line[0] not in " +|"]
        return (errors or lines)[-1].strip()
