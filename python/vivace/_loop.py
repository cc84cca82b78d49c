"""`vivace.EventLoop`: asyncio's interface over the native engine.

Who calls it: everybody who runs a loop. What runs for each callback, timer, descriptor and byte
is native (`vivace._native.Loop`, first in the method resolution order). The cold half (making
connections and servers, executors, name resolution, exception handlers, `sock_*`) is the
standard library's own, of the very version that runs: the same arguments, checks, errors and
messages, without a second copy to keep in step. This file joins the two.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import sys
import threading
import warnings
import weakref
from _asyncio import _set_running_loop
from asyncio import base_events, constants, events, format_helpers, trsock, unix_events
from asyncio.log import logger
from typing import TYPE_CHECKING, Any, TypeVarTuple

from . import _child_processes, _native, _task_registry, _tls
from ._connecting import ConnectingLoop
from ._datagrams import DatagramTransport
from ._executor import ExecutorLoop
from ._names import NamesLoop
from ._pipes import PipeOwners, PipesLoop
from ._server import ServingLoop
from ._signals import SignalsLoop
from ._views import ReadyView, SelectorView, TimersView

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import FileDescriptorLike

__all__ = ["EventLoop", "new_event_loop"]

_task_registry.install()

#: Whether the diagnostics look at anything.
_DIAGNOSTICS = _native.see_settings()[0] > 0

_FORMAT_TAKES_DEBUG = "debug" in (format_helpers._format_callback_source.__kwdefaults__ or {})

_Ts = TypeVarTuple("_Ts")


def seed_of(text: str) -> int | None:
    """The seed of a schedule of chance; None if it is none."""
    seed = int(text) if text.isascii() and text.isdigit() else -1
    return seed if 0 <= seed < 1 << 64 else None


#: The seed by which loops that are made from now on choose among ready tasks; see `vivace run`.
fuzz_schedule: int | None = seed_of(os.environ.get("VIVACE_FUZZ_SCHEDULE", ""))


class EventLoop(
    _native.Loop,
    ServingLoop,
    ConnectingLoop,
    PipesLoop,
    NamesLoop,
    ExecutorLoop,
    SignalsLoop,
    asyncio.SelectorEventLoop,
):
    """An asyncio event loop with a native engine.

    It is an `asyncio.AbstractEventLoop` and has everything that the standard library's loop of
    the same Python version has. Make one with `vivace.new_event_loop()`, or let
    `vivace.run(main())` do it.
    """

    # Everything that asyncio's constructors set has a slot, so that the instance has no
    # __dict__ until a program makes one: CPython then calls `loop.call_soon` and the like
    # without looking into it (40 ns less a call).
    __slots__ = (
        "_asyncgens",
        "_asyncgens_shutdown_called",
        "_clock_resolution",
        "_coroutine_origin_tracking_enabled",
        "_coroutine_origin_tracking_saved_depth",
        "_csock",
        "_current_handle",
        "_default_executor",
        "_exception_handler",
        "_executor_shutdown_called",
        "_internal_fds",
        "_old_agen_hooks",
        "_other_selector",
        "_pipes",
        "_previous_wakeup_fd",
        "_signal_handlers",
        "_ssock",
        "_timer_cancelled_count",
        "_transports",
        "_unix_server_sockets",
        "_watcher",
        "_watches_signals",
        "slow_callback_duration",
    )

    if TYPE_CHECKING:
        # Parts of the standard library's loop that its published types leave out.
        _asyncgen_firstiter_hook: Callable[[Any], None]
        _asyncgen_finalizer_hook: Callable[[Any], None]

        def _check_closed(self) -> None: ...
        def _check_running(self) -> None: ...
        def _set_coroutine_origin_tracking(self, enabled: bool) -> None: ...
        def _make_self_pipe(self) -> None: ...
        def _close_self_pipe(self) -> None: ...

    def __init__(self) -> None:
        _native.Loop.__init__(self)
        self._other_selector: Any = None
        base_events.BaseEventLoop.__init__(self)
        self._open()
        self._previous_wakeup_fd = -1
        self._watches_signals = False
        self._signal_handlers: dict[int, asyncio.Handle] = {}
        self._transports: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._pipes = PipeOwners()
        self._unix_server_sockets: dict[socket.socket, int] = {}
        kind = type(self)
        if kind is not EventLoop:
            self._set_custom(
                kind.call_soon is not EventLoop.call_soon, kind.time is not EventLoop.time
            )
        if sys.version_info >= (3, 14):
            # The standard library's watchers belong to a loop there, and serve this one.
            self._watcher = (
                unix_events._PidfdChildWatcher()  # type: ignore[attr-defined]
                if unix_events.can_use_pidfd()  # type: ignore[attr-defined]
                else unix_events._ThreadedChildWatcher()  # type: ignore[attr-defined]
            )
        self._make_self_pipe()
        _loops.add(self)
        if fuzz_schedule is not None:
            self._fuzz_schedule(fuzz_schedule)
        if _DIAGNOSTICS:
            from .see import _begin

            _begin.begin()

    # Running.

    def run_forever(self) -> None:
        """Runs until `stop()` is called.

        Raises:
            RuntimeError: the loop is closed, or a loop runs in this thread already.
        """
        self._check_closed()
        self._check_running()
        self._set_coroutine_origin_tracking(self._debug)
        if _DIAGNOSTICS:
            _see("_lost").started(self)
        hooks = sys.get_asyncgen_hooks()
        try:
            self._thread_id = threading.get_ident()
            sys.set_asyncgen_hooks(
                firstiter=self._asyncgen_firstiter_hook,
                finalizer=self._asyncgen_finalizer_hook,
            )
            events._set_running_loop(self)
            if events._set_running_loop is not _set_running_loop:
                # Exchanged, in a test of asyncio: the native tasks ask the original.
                _set_running_loop(self)
            self._watch_signals()
            self._run()
        finally:
            self._unwatch_signals()
            self._stopping = False
            self._thread_id = None
            events._set_running_loop(None)
            _set_running_loop(None)
            self._set_coroutine_origin_tracking(False)
            sys.set_asyncgen_hooks(*hooks)
            if _DIAGNOSTICS:
                _see("_lost").stopped(self)

    def close(self) -> None:
        """Closes the loop.

        Raises:
            RuntimeError: the loop is running.
        """
        # While the interpreter ends nothing can be imported, not even what is there.
        if (
            _DIAGNOSTICS
            and not self.is_closed()
            and not self.is_running()
            and not sys.is_finalizing()
        ):
            _see("_lost").closing(self)
        super().close()

    def __del__(self) -> None:
        if not self.is_closed():
            # Half-made loops (an error in __init__) have nothing to warn of.
            if getattr(self, "_signal_handlers", None) is None:
                return
            warnings.warn(f"unclosed event loop {self!r}", ResourceWarning, source=self)
            if not self.is_running():
                self.close()

    def _become_child(self) -> None:
        """After a fork, in the child: nothing is shared with the parent any more.

        A loop that was running can only be closed here; using it raises RuntimeError.
        """
        if self.is_closed():
            return
        self._after_fork()
        self._forget_wakeup_fd()
        self._close_self_pipe()
        if not self._forked:
            self._make_self_pipe()
            if self._signal_handlers:
                self._remember_wakeup_fd()

    # What asyncio's own code reads and writes as attributes.

    @property
    def _ready(self) -> ReadyView:
        return ReadyView(self)

    @_ready.setter
    def _ready(self, value: object) -> None:
        """BaseEventLoop.__init__ puts an empty deque here."""

    @property
    def _scheduled(self) -> TimersView:
        return TimersView(self)

    @_scheduled.setter
    def _scheduled(self, value: object) -> None:
        """BaseEventLoop.__init__ puts an empty list here."""

    @property
    def _selector(self) -> Any:
        if self._other_selector is not None:
            return self._other_selector
        return SelectorView(self) if self._is_open() else None

    @_selector.setter
    def _selector(self, value: object) -> None:
        # BaseSelectorEventLoop.close() puts None here; a test may put a mock.
        self._other_selector = value

    def _add_callback(self, handle: Any) -> None:
        if not handle._cancelled:
            self.call_soon(handle._run, context=handle._context)

    def _add_callback_signalsafe(self, handle: asyncio.Handle) -> None:
        self.call_soon_threadsafe(handle._run)

    def _write_to_self(self) -> None:
        if not self.is_closed():
            self.call_soon_threadsafe(_nothing)

    # Reports from the engine.

    def _callback_failed(
        self, handle: _native.Handle | _native.TimerHandle, exception: BaseException
    ) -> None:
        """Tells the exception handler that a callback raised, as `Handle._run` does."""
        options = {"debug": self._debug} if _FORMAT_TAKES_DEBUG else {}
        source = format_helpers._format_callback_source(
            handle._callback,
            handle._args,  # type: ignore[arg-type]  # None is taken as well
            **options,
        )
        context: dict[str, Any] = {
            "message": f"Exception in callback {source}",
            "exception": exception,
            "handle": handle,
        }
        if handle._source_traceback:
            context["source_traceback"] = handle._source_traceback
        self.call_exception_handler(context)

    def _slow_callback(self, subject: object, duration: float) -> None:
        """Debug mode: names what held the loop for longer than `slow_callback_duration`."""
        if isinstance(subject, asyncio.Handle):
            name = base_events._format_handle(subject)  # type: ignore[attr-defined]
        else:
            name = repr(subject)
        logger.warning("Executing %s took %.3f seconds", name, duration)

    # Connections.

    def _make_socket_transport(
        self,
        sock: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        *,
        extra: dict[str, Any] | None = None,
        server: Any = None,
        context: Any = None,
    ) -> asyncio.Transport:
        if not issubclass(type(sock), socket.socket):
            # Something that only looks like a socket: asyncio's transport asks for no more.
            return super()._make_socket_transport(  # type: ignore[misc, no-any-return]
                sock, protocol, waiter, extra=extra, server=server
            )
        self._ensure_fd_no_transport(sock)
        self._ensure_fd_no_pipe(sock, read=True, write=True)
        return self._make_stream(sock, protocol, waiter, extra, server)

    def _make_ssl_transport(
        self,
        rawsock: socket.socket,
        protocol: asyncio.BaseProtocol,
        sslcontext: Any,
        waiter: asyncio.Future[None] | None = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
        ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
        context: Any = None,
    ) -> asyncio.Transport:
        self._ensure_fd_no_transport(rawsock)
        self._ensure_fd_no_pipe(rawsock, read=True, write=True)
        return _tls.make_transport(
            self,
            rawsock,
            protocol,
            sslcontext,
            waiter,
            server_side=server_side,
            server_hostname=server_hostname,
            extra=extra,
            server=server,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )

    def _make_datagram_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.DatagramProtocol,
        address: Any = None,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> asyncio.DatagramTransport:
        self._ensure_fd_no_transport(sock)
        self._ensure_fd_no_pipe(sock, read=True, write=True)
        return DatagramTransport(self, sock, protocol, address, waiter, extra)

    async def start_tls(
        self,
        transport: Any,
        protocol: asyncio.BaseProtocol,
        sslcontext: Any,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> asyncio.Transport:
        """Upgrades a transport to TLS.

        Returns:
            The transport that `protocol` is to use from now on.

        Raises:
            TypeError: `sslcontext` is no `ssl.SSLContext`, or the transport cannot be upgraded.
        """
        return await _tls.start(
            self,
            transport,
            protocol,
            sslcontext,
            server_side=server_side,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )

    def _start_serving(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        sock: Any,
        sslcontext: Any = None,
        server: Any = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
        context: Any = None,
    ) -> None:
        if not issubclass(type(sock), socket.socket):
            super()._start_serving(  # type: ignore[misc]
                protocol_factory,
                sock,
                sslcontext,
                server,
                backlog,
                ssl_handshake_timeout,
                ssl_shutdown_timeout,
            )
            return
        tls = None
        if sslcontext is not None:
            tls = (sslcontext, ssl_handshake_timeout, ssl_shutdown_timeout)
        self._listen(sock, protocol_factory, tls, server, backlog)

    def _stop_serving(self, sock: socket.socket) -> None:
        if issubclass(type(sock), socket.socket):
            self._unlisten(sock.fileno())
        super()._stop_serving(sock)

    def _log_accepted(self, server: Any, peer: Any, conn: socket.socket) -> None:
        logger.debug("%r got a new connection from %r: %r", server, peer, conn)

    def _accept_out_of_resources(
        self, exception: OSError, sock: socket.socket, listener: _native.Listener
    ) -> None:
        """Accepting failed for want of descriptors or memory: tried again in a second."""
        self.call_exception_handler(
            {
                "message": "socket.accept() out of system resource",
                "exception": exception,
                "socket": trsock.TransportSocket(sock),
            }
        )
        self.call_later(constants.ACCEPT_RETRY_DELAY, self._listen_again, listener)

    def _log_network_error(
        self, transport: asyncio.Transport, exception: BaseException, message: str
    ) -> None:
        logger.debug("%r: %s", transport, message, exc_info=exception)

    async def _sendfile_native(self, transp: Any, file: Any, offset: int, count: int | None) -> int:
        if not isinstance(transp, _native.StreamTransport):
            return await super()._sendfile_native(  # type: ignore[misc, no-any-return]
                transp, file, offset, count
            )
        resume_reading = transp.is_reading()
        transp.pause_reading()
        await transp._make_empty_waiter()
        transp._lend_fd()
        try:
            return await self.sock_sendfile(
                transp._sock,  # type: ignore[arg-type]  # there: _lend_fd() asks for it
                file,
                offset,
                count,
                fallback=False,
            )
        finally:
            transp._reset_empty_waiter()
            transp._take_fd_back()
            if resume_reading:
                transp.resume_reading()

    # Descriptors.

    def _ensure_fd_no_transport(self, fd: Any) -> None:
        owner: Any = self._fd_owner(fd)
        if owner is None:
            fileno = fd if isinstance(fd, int) else fd.fileno()
            owner = self._transports.get(fileno)
        if owner is not None and not owner.is_closing():
            raise RuntimeError(f"File descriptor {fd!r} is used by transport {owner!r}")

    def add_reader(
        self, fd: FileDescriptorLike, callback: Callable[[*_Ts], object], *args: *_Ts
    ) -> None:
        """Has `callback(*args)` called whenever `fd` can be read.

        Args:
            fd: a number or an object with `fileno()`.

        Raises:
            RuntimeError: a transport owns the descriptor.
            ValueError: `fd` is not a file.
        """
        self._ensure_fd_no_transport(fd)
        self._ensure_fd_no_pipe(fd, read=True, write=False)
        self._add_reader(fd, callback, *args)

    def remove_reader(self, fd: FileDescriptorLike) -> bool:
        """Undoes `add_reader`; tells whether there was one."""
        self._ensure_fd_no_transport(fd)
        self._ensure_fd_no_pipe(fd, read=True, write=False)
        return self._remove_reader(fd)

    def add_writer(
        self, fd: FileDescriptorLike, callback: Callable[[*_Ts], object], *args: *_Ts
    ) -> None:
        """Has `callback(*args)` called whenever `fd` can be written; see `add_reader`."""
        self._ensure_fd_no_transport(fd)
        self._ensure_fd_no_pipe(fd, read=False, write=True)
        self._add_writer(fd, callback, *args)

    def remove_writer(self, fd: FileDescriptorLike) -> bool:
        """Undoes `add_writer`; tells whether there was one."""
        self._ensure_fd_no_transport(fd)
        self._ensure_fd_no_pipe(fd, read=False, write=True)
        return self._remove_writer(fd)

    # Processes.

    async def _make_subprocess_transport(
        self,
        protocol: asyncio.SubprocessProtocol,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: Any = None,
        **kwargs: Any,
    ) -> asyncio.SubprocessTransport:
        if sys.version_info >= (3, 14) or _child_processes.user_watches():
            return await super()._make_subprocess_transport(  # type: ignore[misc, no-any-return]
                protocol, args, shell, stdin, stdout, stderr, bufsize, extra, **kwargs
            )
        return await _child_processes.start(
            self, protocol, args, shell, stdin, stdout, stderr, bufsize, extra, **kwargs
        )


def _nothing(*args: object) -> None:
    pass


def _see(part: str) -> Any:
    """A part of the diagnostics, which are imported only where they are on."""
    return importlib.import_module(f"vivace.see.{part}")


_loops: weakref.WeakSet[EventLoop] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    """The child gets descriptors of its own: those of the parent would wake the parent."""
    for loop in list(_loops):
        loop._become_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
if _DIAGNOSTICS:
    os.register_at_fork(before=_native.see_before_fork, after_in_child=_native.see_trace_forget)


def new_event_loop() -> EventLoop:
    """Makes an event loop, as `asyncio.new_event_loop` does."""
    return EventLoop()
