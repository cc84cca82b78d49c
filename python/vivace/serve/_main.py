"""`vivace.serve(app, …)`: decides how many processes there are to be, and runs them.

The command does the same: `vivace._cli.serve` reads its flags and calls `run`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from ._config import Config
from ._errors import STARTUP_FAILURE, NotStarted
from ._lifespan import Lifespan
from ._logging import error_logger
from ._server import Server

__all__ = ["check", "run", "serve"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _takes_what_config_takes(
    _config: Callable[_P, Config],
) -> Callable[[Callable[..., _T]], Callable[_P, _T]]:
    return lambda function: function


@_takes_what_config_takes(Config)
def serve(*args: Any, **kwargs: Any) -> None:
    """Serve an application until a signal ends it, as the command does.

    Takes what `Config` takes.

    Raises:
        ValueError: An option has a value that cannot be meant.
        SystemExit: The server could not start; the status is 3.

    Example:
        >>> vivace.serve("app:app", workers=4)
    """
    run(Config(*args, **kwargs))


def run(config: Config) -> None:
    """Serve as the configuration says.

    Raises:
        SystemExit: The server could not start; the status is 3.
    """
    if (config.reload or config.processes > 1) and not isinstance(config.app, str):
        error_logger.warning(
            "You must pass the application as an import string to enable 'reload' or 'workers'."
        )
        sys.exit(STARTUP_FAILURE)
    try:
        if config.should_reload:
            # Imported here: most servers need neither.
            from ._reload import Reloader

            status = Reloader(config).run()
        elif config.processes > 1:
            from ._supervisor import Supervisor

            status = Supervisor(config).run()
        else:
            Server(config).run()
            return
    except KeyboardInterrupt:
        return
    if status:
        sys.exit(status)


def check(config: Config) -> int:
    """Load the application, let it start and stop, and serve nothing.

    Returns:
        The exit status: 0, or 3 if something failed, which has been logged.
    """
    from .. import _run

    async def start_and_stop() -> bool:
        lifespan = Lifespan(
            config.load(),
            config.lifespan,
            asgi_version="2.0" if config.interface == "asgi2" else "3.0",
            startup_timeout=config.timeout_startup,
            shutdown_timeout=config.shutdown_timeout,
        )
        await lifespan.startup()
        await lifespan.shutdown()
        return not lifespan.failed

    try:
        config.load_app()
        if not _run.run(start_and_stop(), loop_factory=config.loop_factory()):
            return STARTUP_FAILURE
    except NotStarted:
        return STARTUP_FAILURE
    except KeyboardInterrupt:
        return STARTUP_FAILURE
    error_logger.info("The application is ready to be served.")
    return 0
