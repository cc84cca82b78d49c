"""The ASGI lifespan of one server: startup, state, shutdown, each bounded in time.

    starting ──complete──► running ──shutdown()──► stopping ──complete, failed, ended──► over
       │ failed, or raised with "on"                                                      ▲
       ├─────────────────────────► startup() raises NotStarted ─────────────────────────┤
       │ raised with "auto": no lifespan, `state` is None                                 │
       └──────────────────────────────────────────────────────────────────────────────────┘

An application that returns early has no more to say, which is no failure. One that raises while
it runs is reported, and is not asked to shut down: there is nobody left to ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from ._asgi_types import Application, Message, Scope
from ._errors import NotStarted
from ._logging import error_logger

__all__ = ["Lifespan", "LifespanMode"]

LifespanMode = Literal["auto", "on", "off"]

_WRONG_ORDER = "Got invalid state transition on lifespan protocol."

# A task that was cancelled may clean up for so long.
_SECONDS_TO_CLEAN_UP = 5.0


class Lifespan:
    """Runs the lifespan of an application.

    Args:
        app: The application.
        mode: ``on``, ``off``, or ``auto`` for "if it has one".
        asgi_version: What the scope says.
        startup_timeout: Seconds for startup, None for any.
        shutdown_timeout: Seconds for shutdown, None for any.
        is_ending: Tells whether the server is about to end.
    """

    def __init__(
        self,
        app: Application,
        mode: LifespanMode,
        *,
        asgi_version: str = "3.0",
        startup_timeout: float | None = None,
        shutdown_timeout: float | None = None,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self.state: dict[str, Any] | None = None if mode == "off" else {}
        self.failed = False
        self._app = app
        self._is_ending = is_ending
        self._mode = mode
        self._asgi_version = asgi_version
        self._startup_timeout = startup_timeout
        self._shutdown_timeout = shutdown_timeout
        self._task: asyncio.Task[None] | None = None
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._started = asyncio.Event()
        self._stopped = asyncio.Event()
        self._failure_of: Literal["", "startup", "shutdown"] = ""
        self._error: BaseException | None = None
        self._given_up = False

    async def startup(self) -> None:
        """Let the application start.

        Raises:
            NotStarted: It failed, or took too long. The reason has been logged.
        """
        if self._mode == "off":
            return
        error_logger.info("Waiting for application startup.")
        await self._messages.put({"type": "lifespan.startup"})
        self._task = asyncio.get_running_loop().create_task(self._run(), name="lifespan")
        try:
            async with asyncio.timeout(self._startup_timeout):
                await self._started.wait()
        except TimeoutError:
            await self._give_up()
            error_logger.error(
                "Application startup took longer than %g seconds.", self._startup_timeout
            )
            self._failure_of = "startup"
        except asyncio.CancelledError:
            await self._give_up()
            raise
        if self._failure_of or (self._error is not None and self._mode == "on"):
            error_logger.error("Application startup failed. Exiting.")
            self.failed = True
            await self._finish()
            raise NotStarted("Application startup failed.")
        if self._error is not None:
            self.state = None
        error_logger.info("Application startup complete.")

    async def shutdown(self) -> None:
        """Let the application stop, and report if that fails."""
        if self._task is None or self._error is not None or self._failure_of:
            return
        error_logger.info("Waiting for application shutdown.")
        await self._messages.put({"type": "lifespan.shutdown"})
        try:
            async with asyncio.timeout(self._shutdown_timeout):
                await self._stopped.wait()
        except TimeoutError:
            await self._give_up()
            error_logger.error(
                "Application shutdown took longer than %g seconds.", self._shutdown_timeout
            )
            self._failure_of = "shutdown"
        except asyncio.CancelledError:
            await self._give_up()
            raise
        if self._failure_of or self._error is not None:
            error_logger.error("Application shutdown failed. Exiting.")
            self.failed = True
            return
        # What the application does after "complete" is part of it, and is waited for.
        await self._finish()
        error_logger.info("Application shutdown complete.")

    async def _run(self) -> None:
        scope: Scope = {
            "type": "lifespan",
            "asgi": {"version": self._asgi_version, "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except BaseException as error:
            if self._given_up:
                return
            self._error = error
            # A failure that was announced has been logged; a framework raises it besides.
            if not self._failure_of:
                self._report(error)
        finally:
            self._started.set()
            self._stopped.set()

    def _report(self, error: BaseException) -> None:
        if self._mode == "auto" and not self._started.is_set():
            error_logger.info("ASGI 'lifespan' protocol appears unsupported.")
        else:
            error_logger.error("Exception in 'lifespan' protocol\n", exc_info=error)

    async def _receive(self) -> Message:
        while True:
            try:
                return await self._messages.get()
            except asyncio.CancelledError:
                # A program that ends cancels all its tasks at once, this one and the server's.
                # The application is to hear of its end in the usual way, which now follows.
                task = asyncio.current_task()
                if self._given_up or task is None or task is not self._task:
                    raise
                if not self._is_ending():
                    raise
                task.uncancel()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        match kind:
            case "lifespan.startup.complete" | "lifespan.startup.failed":
                if self._started.is_set():
                    raise RuntimeError(_WRONG_ORDER)
                if kind == "lifespan.startup.failed":
                    self._fail("startup", message)
                self._started.set()
            case "lifespan.shutdown.complete" | "lifespan.shutdown.failed":
                if not self._started.is_set() or self._stopped.is_set():
                    raise RuntimeError(_WRONG_ORDER)
                if kind == "lifespan.shutdown.failed":
                    self._fail("shutdown", message)
                self._stopped.set()
            case _:
                raise RuntimeError(f"Unexpected ASGI message {kind!r} in the lifespan.")

    def _fail(self, phase: Literal["startup", "shutdown"], message: Message) -> None:
        self._failure_of = phase
        if text := message.get("message"):
            error_logger.error(text)

    async def _give_up(self) -> None:
        assert self._task is not None
        self._given_up = True
        self._task.cancel()
        await asyncio.wait([self._task], timeout=_SECONDS_TO_CLEAN_UP)

    async def _finish(self) -> None:
        assert self._task is not None
        await asyncio.wait([self._task], timeout=_SECONDS_TO_CLEAN_UP)
