"""`Server`: one server in one process, from its start to its end.

    bind ─► load ─► lifespan startup ─► listen ─► serving ─► asked to end ─► drained ─► lifespan
                                                                             shutdown ─► over

Ending, in seconds after it was asked for:

    0                the sockets close, idle connections close, WebSockets are closed with 1012,
                     running requests go on
    a third          handlers that listen see ``http.disconnect``
    the whole time   what still runs is cancelled, what is still open is closed
    then             ``lifespan.shutdown``, always

where the whole time is `timeout_graceful_shutdown`, and a third of it is at most 10 seconds. A
second SIGINT goes to the end of the list at once. `_worker.py` has the variant that a parent
process looks after.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any, overload

from .._loop import EventLoop
from .._native import HttpService, Metrics
from . import _notify
from ._addresses import Descriptor
from ._ansi import styled
from ._binding import BindError, Binding, Bound, SharedSocket, bind_all, describe
from ._config import Config
from ._errors import NotStarted, StartupError
from ._lifespan import Lifespan
from ._logging import error_logger
from ._metrics import Beating, answer_on
from ._recycling import Recycling
from ._running import run_to_the_end
from ._signals import captured_signals

__all__ = ["Server", "log_running"]

# Streaming handlers are told to end after a third of the time, but not later than this.
_LATEST_DISCONNECT = 10.0

# While developing, nobody wants to wait for a browser's open connections.
_WHOLE_TIME_IF_RELOADING = 3.0

# So long may idle connections take to close before the log says that we wait for the others.
_SECONDS_OF_SILENCE = 0.1

# What was cancelled may clean up for so long, then its connection is closed under it.
_SECONDS_TO_CLEAN_UP = 3.0
_INTERVAL = 0.05


class Server:
    """Serves one application in a running program, or as the program itself.

    Example:
        >>> server = vivace.Server(app, port=8000)
        >>> await server.serve()

    Args:
        app: The application, its import string, or a `Config`.
        options: What `Config` takes, unless a Config was given.
    """

    @overload
    def __init__(self, app: Config, /) -> None: ...
    @overload
    def __init__(self, app: Any, /, **options: Any) -> None: ...

    def __init__(self, app: Any, /, **options: Any) -> None:
        if isinstance(app, Config) and options:
            raise TypeError("options go to Config: Server(Config(app, ...))")
        self.config = app if isinstance(app, Config) else Config(app, **options)
        self.started = False
        self.servers: list[asyncio.Server] = []
        self.lifespan: Lifespan | None = None
        self._metrics: Metrics | None = None
        self._beating: Beating | None = None
        self.service: HttpService | None = None
        self._binding = Binding()
        self._listeners: list[tuple[asyncio.Server, socket.socket]] = []
        self._should_exit = False
        self._force_exit = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        # Set when one of the two wishes above changes.
        self._changed = asyncio.Event()

    @property
    def sockets(self) -> list[socket.socket]:
        """The sockets that are listened on, to ask for their addresses."""
        return [sock for _, sock in self._listeners]

    @property
    def should_exit(self) -> bool:
        """Whether to end. May be set from any thread and from signal handlers."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._should_exit = value
        self._tell_of_change()

    @property
    def force_exit(self) -> bool:
        """Whether to end without waiting for requests. May be set as `should_exit` may."""
        return self._force_exit

    @force_exit.setter
    def force_exit(self, value: bool) -> None:
        self._force_exit = value
        self._tell_of_change()

    def run(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Serve on a loop of its own until a signal or `should_exit` ends it.

        Args:
            sockets: Listen on these instead of the configuration's addresses.

        Raises:
            StartupError: The server could not start; the exit status is 3.
        """
        try:
            # Before there is a loop, as an application may expect when it is imported.
            self.config.load_app()
            loop_factory = self.config.loop_factory()
            with self.capture_signals():
                run_to_the_end(self._serve(sockets), loop_factory)
        except NotStarted as error:
            raise StartupError(f"{error}") from None

    async def serve(
        self, sockets: Sequence[socket.socket] | None = None, *, handle_signals: bool = False
    ) -> None:
        """Serve until `should_exit` is set, or until cancelled.

        Args:
            sockets: Listen on these instead of the configuration's addresses.
            handle_signals: Whether INT and TERM end the server, rather than the program as they
                did before. That is possible in the main thread only.

        Raises:
            StartupError: The server could not start. The reason has been logged. Like uvicorn's
                it ends a program that does not catch it, with status 3.
            RuntimeError: The running loop is not vivace's.
        """
        try:
            if handle_signals:
                with self.capture_signals():
                    await self._serve(sockets)
            else:
                await self._serve(sockets)
        except NotStarted as error:
            raise StartupError(f"{error}") from None

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Bind, let the application start, and listen.

        Raises:
            NotStarted: One of these failed. The reason has been logged.
        """
        config = self.config
        self._bind(sockets)
        app = config.load()
        self._metrics = self._start_metrics()
        self.lifespan = Lifespan(
            app,
            config.lifespan,
            asgi_version="2.0" if config.interface == "asgi2" else "3.0",
            startup_timeout=config.timeout_startup,
            shutdown_timeout=config.shutdown_timeout,
            is_ending=self._is_ending,
        )
        await self._start_application(self.lifespan)
        try:
            # Not before: the application may have changed the logs.
            self.service = HttpService(app, config.settings(), self.lifespan.state)
            self._begin_to_count(self.service)
            self.service.on_served = self._served_enough
            if not self.should_exit:
                await self._open()
        except BaseException as error:
            await self.lifespan.shutdown()
            if isinstance(error, OSError):
                error_logger.error(error)
                raise NotStarted(f"{error}") from error
            raise
        self.started = True

    async def main_loop(self) -> None:
        """Wait until the server is to end."""
        assert self.service is not None
        recycling = Recycling(
            self.config.limit_max_rss, self.config.limit_worker_age, now=time.monotonic()
        )
        others = [
            asyncio.ensure_future(recycling.watch(self.service, self._retire)),
            asyncio.ensure_future(self._notify_regularly()),
        ]
        try:
            while not self.should_exit:
                await self._next_change()
        finally:
            for other in others:
                other.cancel()

    async def shutdown(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """End: no more connections, then the running requests, then the application."""
        assert self.service is not None and self.lifespan is not None
        error_logger.info("Shutting down")
        if self._metrics is not None:
            self._metrics.set_readiness("draining")
        try:
            await self._close()
            for sock in sockets or ():
                sock.close()
            await self._finish_requests(self.service)
        finally:
            # The lines of what was answered stand before those of the end.
            self.service.close_log()
            await self.lifespan.shutdown()
            self._end_metrics()

    def capture_signals(self) -> AbstractContextManager[None]:
        """Have INT and TERM end this server, and HUP read its certificate again."""
        hangup = self.handle_hangup if self.config.is_ssl else None
        return captured_signals(self.handle_exit, hangup)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """INT or TERM arrived; a second INT does not wait any more."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        else:
            self.should_exit = True

    def handle_hangup(self, sig: int, frame: FrameType | None) -> None:
        """HUP arrived."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.reload_certificate)

    def reload_certificate(self) -> None:
        """Read certificate and key again, for new connections. A failure is logged."""
        context = self.config.ssl_context
        if context is None:
            return
        if self.config.ssl_context_factory is not None:
            error_logger.warning("The certificate is not reloaded: ssl_context_factory made it.")
            return
        try:
            self.config.tls_files().load_certificate(context)
        except OSError as error:
            error_logger.error("The certificate could not be reloaded: %s", error)
        else:
            error_logger.info("The certificate has been reloaded.")

    # What a worker does in another way.

    def _bind(self, sockets: Sequence[socket.socket] | None) -> None:
        if sockets is not None:
            self._binding = Binding([Bound(Descriptor(sock.fileno()), [sock]) for sock in sockets])
            return
        try:
            self._binding = bind_all(self.config.addresses)
        except BindError as error:
            error_logger.error(error)
            raise NotStarted(f"{error}") from error

    def _start_metrics(self) -> Metrics | None:
        """What counts for this process and tells its numbers, if that is wanted."""
        return None if self.config.metrics is None else answer_on(self.config.metrics)

    def _begin_to_count(self, service: HttpService) -> None:
        if self._metrics is not None:
            service.set_metrics(self._metrics)
            self._metrics.set_readiness("ready")
            self._beating = Beating(self._metrics)

    def _end_metrics(self) -> None:
        if self._beating is not None:
            self._beating.end()
        if self._metrics is not None:
            self._metrics.close()

    async def _open(self) -> None:
        """Ready: listen."""
        for sock in self._binding.sockets:
            await self._listen(sock)
        log_running(self.config, self._binding)
        _notify.notify_ready()

    async def _close(self) -> None:
        """Stop accepting."""
        _notify.notify_stopping()
        await self._accept_those_waiting()
        for server, _ in self._listeners:
            server.close()
        self._binding.close()

    def _retire(self, reason: str) -> None:
        """This process has done its share."""
        error_logger.info("%s. Terminating process.", reason)
        self.should_exit = True

    # Starting.

    async def _serve(self, sockets: Sequence[socket.socket] | None) -> None:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, EventLoop):
            raise RuntimeError(
                f"vivace serves on its own loop, and this is {type(loop).__module__}."
                f"{type(loop).__qualname__}: start the program with vivace.run(main())"
            )
        self._loop, self._task = loop, asyncio.current_task()
        try:
            self._log_process("Started")
            await self.startup(sockets)
            try:
                await self.main_loop()
            finally:
                # Also if this task is cancelled: whoever started us wants us to end.
                await self.shutdown(sockets)
            self._log_process("Finished")
        finally:
            self._loop = self._task = None
            self._binding.close()
            self._binding.remove_paths()

    async def _start_application(self, lifespan: Lifespan) -> None:
        """Let the application start; who wants the server to end waits for that, within limits."""
        starting = asyncio.ensure_future(lifespan.startup())
        try:
            while not starting.done() and not self.should_exit:
                await self._done_or_changed(starting, None)
            if not await self._done_within(starting, self.config.timeout_graceful_shutdown):
                error_logger.error("Application startup was given up.")
        finally:
            if not starting.done():
                starting.cancel()
                await asyncio.wait([starting])
        if starting.cancelled():
            raise NotStarted("Application startup was given up.")
        starting.result()

    async def _listen(self, sock: socket.socket, *, shared: bool = False) -> asyncio.Server:
        """Accept connections from a socket, which other processes do as well if it is shared."""
        config, loop = self.config, asyncio.get_running_loop()
        assert self.service is not None
        tls: dict[str, Any] = {}
        if config.ssl_context is not None:
            tls = {"ssl": config.ssl_context, "ssl_handshake_timeout": config.timeout_handshake}
        # The backlog is also how many connections are taken at a time. Who shares a socket takes
        # one, and leaves the next to whoever is free then.
        if shared:
            sock = SharedSocket.of(sock, config.backlog)
        server = await loop.create_server(
            self.service, sock=sock, backlog=1 if shared else config.backlog, **tls
        )
        self._listeners.append((server, sock))
        self.servers.append(server)
        return server

    def _log_process(self, verb: str) -> None:
        error_logger.info(
            f"{verb} server process [%d]",
            os.getpid(),
            extra={"color_message": f"{verb} server process [{styled('%d', 'cyan')}]"},
        )

    # Serving.

    def _served_enough(self, served: int) -> None:
        self._retire(f"Maximum request limit of {served} exceeded")

    async def _notify_regularly(self) -> None:
        callback = self.config.callback_notify
        while callback is not None:
            await callback()
            await asyncio.sleep(self.config.timeout_notify)

    def _is_ending(self) -> bool:
        """Whether the server is to end, or the task that it runs in."""
        return self.should_exit or (self._task is not None and self._task.cancelling() > 0)

    def _tell_of_change(self) -> None:
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._changed.set)
            except RuntimeError:
                # The loop has been closed meanwhile.
                pass

    async def _next_change(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    async def _done_or_changed(self, work: asyncio.Future[None], seconds: float | None) -> None:
        change = asyncio.ensure_future(self._next_change())
        try:
            await asyncio.wait([work, change], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            change.cancel()

    async def _done_within(self, work: asyncio.Future[None], seconds: float | None) -> bool:
        """Wait; False if it takes longer, or somebody does not want to wait."""
        now = asyncio.get_running_loop().time
        until = None if seconds is None else now() + seconds
        while not work.done() and not self.force_exit:
            remaining = None if until is None else until - now()
            if remaining is not None and remaining <= 0:
                return False
            await self._done_or_changed(work, remaining)
        return work.done()

    # Ending.

    async def _accept_those_waiting(self) -> None:
        """Take the connections that are made but not accepted: closing would reset them."""
        loop = asyncio.get_running_loop()
        assert self.service is not None
        config = self.config
        tls: dict[str, Any] = {}
        if config.ssl_context is not None:
            tls = {"ssl": config.ssl_context, "ssl_handshake_timeout": config.timeout_handshake}
        making = []
        for _, sock in self._listeners:
            while True:
                try:
                    connection, _ = sock.accept()
                except OSError:
                    # None left, or no descriptor to put it in.
                    break
                connection.setblocking(False)
                making.append(
                    asyncio.ensure_future(
                        loop.connect_accepted_socket(self.service, connection, **tls)
                    )
                )
        if making:
            await asyncio.wait(making, timeout=_SECONDS_OF_SILENCE if not tls else None)

    async def _finish_requests(self, service: HttpService) -> None:
        """Let the requests end, within the time there is."""
        grace, whole = self._times_to_end()
        service.drain()
        closed = asyncio.ensure_future(service.wait_closed())
        try:
            if await self._done_within(closed, _SECONDS_OF_SILENCE):
                return
            if not self.force_exit:
                error_logger.info("Waiting for connections to close. (CTRL+C to force quit)")
            if await self._done_within(closed, grace):
                return
            service.disconnect()
            if await self._done_within(closed, None if whole is None else whole - grace):
                return
        finally:
            if not closed.done():
                await self._cancel_requests(service, closed)

    def _times_to_end(self) -> tuple[float, float | None]:
        """Seconds until handlers are told, and until they are cancelled."""
        whole = self.config.timeout_graceful_shutdown
        if self.config.reload:
            return 0.0, _WHOLE_TIME_IF_RELOADING if whole is None else min(
                whole, _WHOLE_TIME_IF_RELOADING
            )
        if whole is None:
            return _LATEST_DISCONNECT, None
        return min(_LATEST_DISCONNECT, whole / 3), whole

    async def _cancel_requests(self, service: HttpService, closed: asyncio.Future[None]) -> None:
        cancelled = service.cancel()
        if not self.force_exit:
            error_logger.error(
                "Cancel %s running task(s), timeout graceful shutdown exceeded", cancelled
            )
        # Their connections stay until they are done; those of others need not be waited for.
        deadline = time.monotonic() + _SECONDS_TO_CLEAN_UP
        while service.requests and time.monotonic() < deadline:
            await asyncio.wait([closed], timeout=_INTERVAL)
        service.abort()
        await asyncio.wait([closed], timeout=_SECONDS_OF_SILENCE)
        closed.cancel()


def log_running(config: Config, binding: Binding) -> None:
    """Tell the addresses, in words that programs look for."""
    scheme = "https" if config.is_ssl else "http"
    for bound in binding.bound:
        form, arguments = describe(bound, scheme)
        # uvicorn's words, its name included: programs wait for this line.
        message = "Uvicorn running on {} (Press CTRL+C to quit)"
        error_logger.info(
            message.format(form),
            *arguments,
            extra={"color_message": message.format(styled(form, bold=True))},
        )
