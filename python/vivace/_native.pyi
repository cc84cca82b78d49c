"""The types of the extension module: what `crates/vivace-python` shows to Python.

Type checkers read this file in the extension's place, and `python -m mypy.stubtest` compares
the two (`make stubs`). `_loop.py` and its neighbours use all of it; programs see `Future`,
`Task`, and the rest through the methods of `vivace.EventLoop` that return it.
"""

import asyncio
import socket
import sys
import weakref
from asyncio import _CoroutineLike
from asyncio.events import _TaskFactory
from asyncio.transports import _FlowControlMixin
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextvars import Context
from ssl import SSLContext, SSLObject
from traceback import StackSummary
from types import CodeType, TracebackType
from typing import (
    Any,
    Generic,
    Literal,
    Never,
    NoReturn,
    Self,
    TypeAlias,
    TypeVar,
    TypeVarTuple,
    final,
    overload,
)

from _typeshed import FileDescriptorLike
from typing_extensions import disjoint_base

__all__ = [
    "Exchange",
    "Future",
    "FutureIter",
    "H1Protocol",
    "Handle",
    "HttpService",
    "Listener",
    "Loop",
    "Metrics",
    "Operation",
    "SSLProtocol",
    "SSLTransport",
    "StreamTransport",
    "Task",
    "TimerHandle",
    "WebSocket",
    "_all_tasks",
    "see_again",
    "see_answer",
    "see_armed",
    "see_before_fork",
    "see_cancelled",
    "see_candidates",
    "see_census",
    "see_codes",
    "see_created",
    "see_gauges",
    "see_heard",
    "see_ignoring",
    "see_job_waited",
    "see_line",
    "see_line_table",
    "see_listen",
    "see_look",
    "see_metrics",
    "see_metrics_text",
    "see_orphans",
    "see_own",
    "see_pass_over",
    "see_path",
    "see_pending",
    "see_processes",
    "see_report",
    "see_scrape",
    "see_settings",
    "see_snapshot",
    "see_sorts",
    "see_suspended",
    "see_take_jobs",
    "see_tasks",
    "see_tell",
    "see_top",
    "see_trace_begin",
    "see_trace_convert",
    "see_trace_end",
    "see_trace_forget",
    "see_trace_last",
    "see_trace_live",
    "see_unawaited",
    "see_walk",
    "see_watched",
]

if sys.version_info >= (3, 14):
    __all__ += ["ThreadSafeHandle"]

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_Ts = TypeVarTuple("_Ts")

@disjoint_base
class Loop:
    """The engine of `vivace.EventLoop`: queues, timers, descriptors.

    It is no event loop by itself: the cold half of asyncio's interface, and the attributes that
    the standard library's code expects of a loop, come from `vivace.EventLoop`.
    """

    _closed: bool
    _stopping: bool
    _debug: bool
    _thread_id: int | None
    _task_factory: _TaskFactory | None

    @property
    def _forked(self) -> bool: ...

    # It takes none.
    def __init__(self, *args: Never, **kwargs: Never) -> None: ...

    # Scheduling.

    def call_soon(
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> Handle: ...
    if sys.version_info >= (3, 14):
        def call_soon_threadsafe(
            self,
            callback: Callable[[*_Ts], object],
            *args: *_Ts,
            context: Context | None = None,
        ) -> ThreadSafeHandle: ...
    else:
        def call_soon_threadsafe(
            self,
            callback: Callable[[*_Ts], object],
            *args: *_Ts,
            context: Context | None = None,
        ) -> Handle: ...

    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> TimerHandle: ...
    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> TimerHandle: ...
    def time(self) -> float: ...

    # Futures and tasks. A task factory may make any kind of task.

    def create_future(self) -> Future[Any]: ...
    if sys.version_info >= (3, 12):
        def create_task(
            self,
            coro: _CoroutineLike[_T],
            *,
            name: object = None,
            context: Context | None = None,
            eager_start: bool | None = None,
        ) -> asyncio.Task[_T]: ...
    else:
        def create_task(
            self, coro: _CoroutineLike[_T], *, name: object = None, context: Context | None = None
        ) -> asyncio.Task[_T]: ...

    def set_task_factory(self, factory: _TaskFactory | None) -> None: ...
    def get_task_factory(self) -> _TaskFactory | None: ...

    # Flags.

    def stop(self) -> None: ...
    def is_running(self) -> bool: ...
    def is_closed(self) -> bool: ...
    def get_debug(self) -> bool: ...

    # Running, opening, closing: for `vivace.EventLoop`, which sets up what belongs around them.

    def _run(self) -> None: ...
    def _run_once(self) -> None: ...
    def _open(self) -> None: ...
    def _close(self) -> None: ...
    def _is_open(self) -> bool: ...
    @property
    def _see_number(self) -> int: ...
    @property
    def _see_counters(self) -> dict[str, Any]: ...
    def _after_fork(self) -> None: ...
    def _set_custom(self, call_soon: bool, time: bool) -> None: ...

    # What waits, for the views of `_views.py`.

    def _ready_length(self) -> int: ...
    def _ready_handles(self) -> list[asyncio.Handle]: ...
    def _clear_ready(self) -> None: ...
    def _timer_count(self) -> int: ...
    def _timer_handles(self) -> list[asyncio.TimerHandle]: ...
    def _clear_timers(self) -> None: ...

    # For tests of programs: see `vivace run --fuzz-schedule`.

    def _fuzz_schedule(self, seed: int, /) -> None: ...

    # Descriptors.

    def add_reader(
        self,
        fd: FileDescriptorLike,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
    ) -> None: ...
    def add_writer(
        self,
        fd: FileDescriptorLike,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
    ) -> None: ...
    def remove_reader(self, fd: FileDescriptorLike, /) -> bool: ...
    def remove_writer(self, fd: FileDescriptorLike, /) -> bool: ...
    def _add_reader(
        self,
        fd: FileDescriptorLike,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
    ) -> Handle: ...
    def _add_writer(
        self,
        fd: FileDescriptorLike,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
    ) -> Handle: ...
    def _remove_reader(self, fd: FileDescriptorLike, /) -> bool: ...
    def _remove_writer(self, fd: FileDescriptorLike, /) -> bool: ...
    def _watched(self, fd: FileDescriptorLike, /) -> tuple[Handle | None, Handle | None] | None: ...
    def _watched_fds(self) -> list[int]: ...
    def _descriptor_count(self) -> int: ...
    def _fd_owner(self, fd: FileDescriptorLike, /) -> StreamTransport | Listener | None: ...

    # Connections.

    def _make_stream(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
        server: asyncio.AbstractServer | None = None,
    ) -> StreamTransport: ...
    def _listen(
        self,
        sock: socket.socket,
        factory: Callable[[], asyncio.BaseProtocol],
        tls: tuple[SSLContext, float | None, float | None] | None,
        server: asyncio.AbstractServer | None,
        backlog: int,
    ) -> None: ...
    def _listen_again(self, listener: Listener, /) -> None: ...
    def _unlisten(self, fd: int, /) -> None: ...
    def _make_tls(
        self,
        protocol: asyncio.BaseProtocol,
        sslcontext: SSLContext | None,
        waiter: asyncio.Future[None] | None,
        server_side: bool,
        server_hostname: str | None,
        call_connection_made: bool,
        ssl_handshake_timeout: float | None,
        ssl_shutdown_timeout: float | None,
        /,
    ) -> SSLProtocol: ...

@disjoint_base
class Handle(asyncio.Handle):
    """A callback that the loop will run; an `asyncio.Handle`.

    Returned by `call_soon()`, and up to Python 3.13 by `call_soon_threadsafe()`; a program cannot
    make one.
    """

    @property
    def _callback(self) -> Callable[..., object] | None: ...
    @property
    def _args(self) -> tuple[Any, ...] | None: ...  # type: ignore[override]
    @property
    def _cancelled(self) -> bool: ...  # type: ignore[override]
    @property
    def _context(self) -> Context: ...
    @property
    def _loop(self) -> Loop | None: ...
    @property
    def _source_traceback(self) -> StackSummary | None: ...
    @property
    def _repr(self) -> str | None: ...
    def get_context(self) -> Context: ...

@disjoint_base
class TimerHandle(asyncio.TimerHandle):
    """A callback with a deadline; an `asyncio.TimerHandle`.

    Returned by `call_later()` and `call_at()`; a program cannot make one.
    """

    _scheduled: bool

    @property
    def _callback(self) -> Callable[..., object] | None: ...
    @property
    def _args(self) -> tuple[Any, ...] | None: ...  # type: ignore[override]
    @property
    def _cancelled(self) -> bool: ...  # type: ignore[override]
    @property
    def _context(self) -> Context: ...
    @property
    def _loop(self) -> Loop | None: ...
    @property
    def _source_traceback(self) -> StackSummary | None: ...
    @property
    def _repr(self) -> str | None: ...
    @property
    def _when(self) -> float: ...
    def get_context(self) -> Context: ...

if sys.version_info >= (3, 14):
    @disjoint_base
    class ThreadSafeHandle(asyncio.Handle):
        """A callback that the loop will run; an `asyncio.Handle`.

        Returned by `call_soon_threadsafe()`; a program cannot make one. Cancelling it while
        another thread runs it waits for the end of the run.
        """

        @property
        def _callback(self) -> Callable[..., object] | None: ...
        @property
        def _args(self) -> tuple[Any, ...] | None: ...  # type: ignore[override]
        @property
        def _cancelled(self) -> bool: ...  # type: ignore[override]
        @property
        def _context(self) -> Context: ...
        @property
        def _loop(self) -> Loop | None: ...
        @property
        def _source_traceback(self) -> StackSummary | None: ...
        @property
        def _repr(self) -> str | None: ...
        def get_context(self) -> Context: ...

@final
class FutureIter(Generic[_T_co]):
    """What `await future` drives: it yields the future once, then returns its result."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...
    def send(self, value: object, /) -> Any: ...
    @overload
    def throw(
        self,
        type: type[BaseException],
        value: object = None,
        traceback: TracebackType | None = None,
    ) -> NoReturn: ...
    @overload
    def throw(
        self, type: BaseException, value: None = None, traceback: TracebackType | None = None
    ) -> NoReturn: ...
    def close(self) -> None: ...

@disjoint_base
class Future(asyncio.Future[_T]):
    """A result that will be there later; an `asyncio.Future`.

    It has the methods, attributes, errors and reports of asyncio's, of the Python version that
    runs. Get one from `loop.create_future()`.

    Args:
        loop: the loop that runs the done callbacks; without it the current loop, of any kind.

    Raises:
        RuntimeError: no loop is given and none is running.
    """

    _cancel_message: Any

    @property
    def _result(self) -> _T | None: ...
    @property
    def _source_traceback(self) -> StackSummary | None: ...
    def _make_cancelled_error(self) -> asyncio.CancelledError: ...

@disjoint_base
class Task(asyncio.Task[_T_co]):
    """A coroutine that is being run; an `asyncio.Task`.

    It has the methods, attributes, errors and reports of asyncio's, of the Python version that
    runs. Get one from `asyncio.create_task()` or `loop.create_task()`.

    Args:
        coro: the coroutine.
        loop: the loop that runs it; without it the current loop, of any kind.
        name: the task's name; without it one is made from a running number.
        context: what the coroutine runs in; without it a copy of the current context.
        eager_start: whether the first step is taken at once, if the loop is running. From
            Python 3.12 on.

    Raises:
        TypeError: `coro` is not a coroutine.
        RuntimeError: no loop is given and none is running, or the loop is closed.
    """

    _cancel_message: Any
    _log_destroy_pending: bool

    @property
    def _see_numbers(self) -> tuple[int, int, int, int, int, int, int]: ...
    @property
    def _coro(self) -> Coroutine[Any, Any, _T_co] | Generator[Any, None, _T_co] | None: ...
    @property
    def _fut_waiter(self) -> asyncio.Future[Any] | None: ...
    @property
    def _must_cancel(self) -> bool: ...
    @property
    def _num_cancels_requested(self) -> int: ...
    @property
    def _result(self) -> _T_co | None: ...
    @property
    def _source_traceback(self) -> StackSummary | None: ...
    def _make_cancelled_error(self) -> asyncio.CancelledError: ...
    def get_context(self) -> Context: ...

@disjoint_base
class StreamTransport(_FlowControlMixin):
    """A stream connection; an `asyncio.Transport`.

    Returned by `create_connection()` and its kin, and given to `connection_made()`; a program
    cannot make one. What `write()` is given leaves at the end of the turn of the loop, together
    with everything else that was written in it; above the high-water mark at once.
    """

    max_size: int
    _extra: dict[str, Any]

    # What asyncio's own code reads and calls: `start_tls`, `sendfile`, `StreamWriter`.

    @property
    def _loop(self) -> Loop | None: ...
    @property
    def _protocol(self) -> asyncio.BaseProtocol | None: ...
    @property
    def _server(self) -> asyncio.AbstractServer | None: ...
    @property
    def _sock(self) -> socket.socket | None: ...
    @property
    def _sock_fd(self) -> int: ...
    @property
    def _closing(self) -> bool: ...
    @property
    def _conn_lost(self) -> int: ...
    @property
    def _eof(self) -> bool: ...
    @property
    def _paused(self) -> bool: ...
    @property
    def _protocol_paused(self) -> bool: ...
    @property
    def _start_tls_compatible(self) -> Literal[True]: ...
    @property
    def _sendfile_compatible(self) -> Any: ...
    def _fatal_error(self, exc: BaseException, message: str = ...) -> None: ...
    def _force_close(self, exc: BaseException | None, /) -> None: ...
    def _call_connection_lost(self, exc: BaseException | None, /) -> None: ...
    def _make_empty_waiter(self) -> asyncio.Future[None]: ...
    def _reset_empty_waiter(self) -> None: ...

    # `sendfile` lets the loop watch the descriptor for somebody else meanwhile.

    def _lend_fd(self) -> None: ...
    def _take_fd_back(self) -> None: ...

@disjoint_base
class SSLProtocol(asyncio.BufferedProtocol):
    """TLS over a transport; an `asyncio.BufferedProtocol`.

    The protocol of the lower transport of every TLS connection. Programs have its other side,
    an `SSLTransport`.
    """

    def connection_made(self, transport: asyncio.BaseTransport, /) -> None: ...
    def connection_lost(self, exc: BaseException | None, /) -> None: ...
    def get_buffer(self, sizehint: int, /) -> memoryview: ...
    def buffer_updated(self, nbytes: int, /) -> None: ...
    def data_received(self, data: bytes | bytearray | memoryview[Any], /) -> None: ...

    # What libraries look at.

    @property
    def _app_transport(self) -> SSLTransport: ...
    @property
    def _app_protocol(self) -> asyncio.BaseProtocol | None: ...
    @property
    def _protocol(self) -> asyncio.BaseProtocol | None: ...
    @property
    def _transport(self) -> asyncio.BaseTransport | None: ...
    @property
    def _loop(self) -> Loop | None: ...
    @property
    def _extra(self) -> dict[str, Any] | None: ...
    @property
    def _waiter(self) -> asyncio.Future[None] | None: ...
    @property
    def _sslcontext(self) -> SSLContext | None: ...
    @property
    def _sslobj(self) -> SSLObject | None: ...
    @property
    def _server_side(self) -> bool: ...
    @property
    def _server_hostname(self) -> str | None: ...

@disjoint_base
class SSLTransport(_FlowControlMixin):
    """The app side of a TLS connection; an `asyncio.Transport`.

    Given to `connection_made()` when the handshake is done, and returned by
    `create_connection(ssl=…)`, `start_tls()` and their kin; a program cannot make one.
    """

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None: ...
    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None: ...
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None: ...
    def set_read_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def get_read_buffer_limits(self) -> tuple[int, int]: ...
    def get_read_buffer_size(self) -> int: ...
    @property
    def _ssl_protocol(self) -> SSLProtocol | None: ...
    @property
    def _loop(self) -> Loop | None: ...
    @property
    def _protocol(self) -> asyncio.BaseProtocol | None: ...
    @property
    def _closed(self) -> bool: ...
    @property
    def _protocol_paused(self) -> bool: ...
    @property
    def _start_tls_compatible(self) -> Literal[True]: ...
    @property
    def _sendfile_compatible(self) -> Any: ...
    def _force_close(self, exc: BaseException | None, /) -> None: ...

@final
class Listener:
    """A listening socket that is being served; its `Server` owns the socket."""

@disjoint_base
class HttpService:
    """What the connections of one HTTP server share; called, it makes a connection's protocol.

    Args:
        app: The application, an ASGI 3 callable.
        settings: A `vivace.serve._settings.Settings`; its attributes are read once.
        state: The `state` of the application's lifespan, of which each request gets a copy;
            `None` if the application has no lifespan.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        settings: Any,
        state: dict[str, Any] | None = None,
    ) -> None: ...
    def __call__(self, *args: Any, **kwargs: Any) -> H1Protocol:
        """The protocol of a new connection; arguments are an error."""
    @property
    def connections(self) -> int:
        """How many connections are open."""
    @property
    def requests(self) -> int:
        """How many requests are in flight."""
    @property
    def websockets(self) -> int:
        """How many WebSockets have a handler that runs."""
    @property
    def served(self) -> int:
        """How many requests have ended."""
    on_served: Callable[[int], object] | None
    """Called with the number when `limit_max_requests` requests were served."""
    on_connection: Callable[[H1Protocol, bool], object] | None
    """Called with each connection when it opens (True) and when it is gone (False)."""
    def set_metrics(self, metrics: Metrics | None, /) -> None:
        """Counts into these from now on, or no more."""
    def drain(self) -> None:
        """Idle connections close; the others do after their response."""
    def disconnect(self) -> None:
        """Handlers that run see `http.disconnect`; WebSockets are closed with 1012."""
    def cancel(self) -> int:
        """Cancels the tasks that still run.

        Returns:
            How many.
        """
    def abort(self) -> None:
        """Closes what is still open, at once."""
    def close_log(self) -> None:
        """Writes the last lines of the access log, and ends it."""
    def wait_closed(self) -> Future[None]:
        """Done when no connection and no request is left."""

@disjoint_base
class Metrics:
    """What a server counts, and the thread that tells it; no Python runs there."""

    def __init__(self) -> None: ...
    def listen(self, fd: int, stall: float) -> None:
        """Answers `/metrics`, `/livez` and `/readyz` on a listening TCP socket.

        Args:
            fd: The socket; it stays the caller's.
            stall: For how many seconds the loop may not turn before `/livez` fails.
        """
    def listen_for_workers(self, fd: int, stall: float) -> str:
        """Answers as `listen` does, for all workers that report.

        Returns:
            The address that workers give to `report_to`.
        """
    def report_to(self, address: str, /) -> None: ...
    def set_readiness(self, readiness: Literal["starting", "ready", "draining"], /) -> None: ...
    def beat(self) -> None:
        """The loop turns: to be called regularly, on the loop."""
    def text(self) -> str:
        """The numbers in the text format of Prometheus."""
    def close(self) -> None: ...

@disjoint_base
class H1Protocol(asyncio.Protocol):
    """One HTTP/1.1 connection.

    Args:
        service: What it shares with the other connections of its server.
    """

    def __init__(self, service: HttpService) -> None: ...
    def connection_made(self, transport: asyncio.BaseTransport, /) -> None: ...
    def connection_lost(self, exc: BaseException | None, /) -> None: ...
    def data_received(self, data: bytes, /) -> None: ...
    def eof_received(self) -> bool: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def shutdown(self) -> None:
        """Ends the connection when its response is complete."""

@disjoint_base
class Exchange:
    """One HTTP request and its response; made by the engine."""

    def _begin_file(self, size: int, /) -> bool: ...
    def _file_part(self, data: bytes, /) -> Operation: ...
    def _end_file(self, whole: bool, /) -> None: ...

@disjoint_base
class WebSocket:
    """One WebSocket; made by the engine."""

@disjoint_base
class Operation:
    """What `receive()` and `send()` return: to be awaited, once; also a coroutine."""

    def __await__(self) -> Generator[Any, None, Any]: ...
    def __iter__(self) -> Generator[Any, None, Any]: ...
    def __next__(self) -> Any: ...
    def send(self, value: Any, /) -> Any: ...
    def throw(
        self,
        type: type[BaseException] | BaseException,
        value: BaseException | None = None,
        traceback: Any = None,
    ) -> Any: ...
    def close(self) -> None: ...

def _all_tasks() -> list[Task[Any]]: ...

# Diagnostics: see `vivace.see`.
_Cancelled: TypeAlias = tuple[
    str | None, CodeType | None, tuple[CodeType, int] | None, float, float | None
]

def see_report(finding: str, event_loop: int) -> bool: ...
def see_settings() -> tuple[int, float, bool, float]: ...
def see_codes() -> list[tuple[str, str, str]]: ...
def see_heard() -> list[str]: ...
def see_suspended(
    object: Any, missing: Any
) -> (
    tuple[
        CodeType,
        int,
        int,
        dict[str, Any],
        tuple[str, ...],
        tuple[Any, ...],
        tuple[Any, ...],
    ]
    | None
): ...
def see_snapshot(rows: list[str], left_out: int) -> None: ...
def see_watched() -> float: ...
def see_gauges(
    event_loop: Any,
    descriptors: int,
    deadlocked: int,
    threads: int,
    waiting: int,
    anyio_threads: int,
    anyio_waiting: int,
) -> None: ...
def see_job_waited(event_loop: Any, nanoseconds: int) -> None: ...
def see_metrics() -> list[tuple[str, str, str, list[tuple[list[tuple[str, str]], float]]]]: ...
def see_metrics_text() -> str: ...
def see_scrape(pid: int | None) -> str: ...
def see_trace_begin(path: str, command: str, limit: int) -> None: ...
def see_trace_end() -> bool: ...
def see_trace_forget() -> None: ...
def see_trace_last(process: str, seconds: float, output: str) -> str: ...
def see_trace_live(process: int, seconds: float, output: str) -> str: ...
def see_trace_convert(input: str, output: str) -> str: ...
def see_line_table(
    table: bytes, first_line: int
) -> list[tuple[int, int, int | None, int | None, int | None, int | None]]: ...
def see_walk(thread: int | None = None) -> list[tuple[str, int, str]] | None: ...
def see_armed(armed: bool) -> None: ...
def see_cancelled(task: object) -> _Cancelled | None: ...
def see_census(event_loop: Loop) -> list[tuple[Task[Any], int]]: ...
def see_created(task: object) -> list[tuple[CodeType, int]]: ...
def see_ignoring(event_loop: Loop, seconds: float) -> list[Task[Any]]: ...
def see_line(code: CodeType, instruction: int) -> int: ...
def see_listen(
    failures: list[weakref.ReferenceType[Any]],
    destroyed: Callable[[Any], object],
    cancelled: Callable[[Any], object],
) -> None: ...
def see_orphans(event_loop: Loop, skip: int, nanoseconds: int) -> tuple[list[list[Any]], int]: ...
def see_pass_over(globals: dict[str, Any]) -> None: ...
def see_pending(event_loop: Loop) -> list[Task[Any]]: ...
def see_candidates(
    event_loop: Loop,
    seconds: float,
    skip: int,
    number: int,
    meanings: dict[int, tuple[CodeType, bool | None]] | None,
) -> tuple[list[Task[Any]], int, list[CodeType]]: ...
def see_tasks(limit: int) -> tuple[list[Task[Any]], int]: ...
def see_tell(task: object, what: int) -> bool: ...
def see_unawaited(
    original: Callable[[Any], object], report: Callable[[Any, bool], object]
) -> Callable[[Any], object]: ...
def see_look(
    target: str, what: str, sort: str, filter: str, seconds: float
) -> tuple[str, bool]: ...
def see_top(target: str | None, sort: str, filter: str, colour: bool, seconds: float) -> None: ...
def see_sorts() -> list[str]: ...
def see_processes() -> list[tuple[int, str, str, str]]: ...
def see_path() -> str | None: ...
def see_take_jobs() -> list[tuple[int, str, int]]: ...
def see_again(event_loop: Loop, seconds: float) -> None: ...
def see_answer(number: int, text: str) -> None: ...
def see_before_fork() -> None: ...
def see_own() -> str | None: ...
