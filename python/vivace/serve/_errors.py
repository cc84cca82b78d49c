"""What goes wrong before a server serves, and the status a process ends with then."""

from __future__ import annotations

__all__ = ["STARTUP_FAILURE", "ConfigError", "StartupError"]

# uvicorn's exit status for "never started serving": supervisors know not to try again at once.
STARTUP_FAILURE = 3


class ConfigError(ValueError):
    """A value that cannot be meant; the message names the option and what was wrong with it."""


class StartupError(RuntimeError):
    """The server could not start. The reason has been logged."""
