"""What goes wrong before a server serves, and the status that a process ends with then."""

from __future__ import annotations

__all__ = ["STARTUP_FAILURE", "NotStarted", "StartupError"]

# uvicorn's exit status for "never started serving": supervisors know not to try again at once.
STARTUP_FAILURE = 3


class NotStarted(Exception):  # noqa: N818  # used inside of the server only
    """The server could not start; the reason has been logged. Becomes a `StartupError`.

    Inside of the server it passes through tasks, which a SystemExit would leave by ending the loop.
    """


class StartupError(SystemExit):
    """The server could not start. The reason has been logged.

    As uvicorn does, a program that does not catch it ends, with status 3.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(STARTUP_FAILURE)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason
