"""What a task waits for: ``describe(task)``.

It comes from the chain of awaits, from the task's coroutine inwards. The outermost frame of asyncio
(or anyio) in it says what the program asked for, and that frame's variables say of whom: a task in
``queue.join()`` waits for the queue, although what it sleeps on is an event inside it.
"""

from __future__ import annotations

import asyncio
from asyncio import futures, tasks
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from . import _authors, _frames
from ._frames import Frame

#: Waits that need no other task: something outside the loop ends them.
OUTSIDE = frozenset({"io", "sleep", "executor", "process"})

#: The task does not wait.
AWAKE = frozenset({"running", "ready", "done"})


@dataclass(slots=True)
class Wait:
    """What a task waits for, and where.

    `kind` is one of: Lock, Semaphore, Event, Condition, Queue.get, Queue.put, Queue.join, Barrier,
    TaskGroup, gather, wait, as_completed, wait_for, shield, task, future, sleep, io, executor,
    process, the same with ``anyio`` in front (``anyio Lock``), and if it does not wait at all:
    running, ready, done.
    """

    kind: str
    #: One line: ``Lock "b"``, ``queue "jobs" 0/100``.
    text: str
    #: The lock, queue, future ... that it waits for.
    object: Any = None
    #: Where the program itself is suspended.
    file: str = ""
    line: int = 0
    function: str = ""
    #: The descriptor that it waits for, if there is one.
    fd: int | None = None
    #: The loop's time at which it goes on in any case: of a sleep, or of the nearest timeout.
    until: float | None = None
    #: The futures and tasks that it waits for, as far as they are known.
    on: tuple[Any, ...] = ()
    #: Any one of `on` is enough.
    any_of: bool = False
    #: It goes away if the task is cancelled, and what it waits for is cancelled with it.
    cancels: bool = True
    #: The frames that were read, the task's own coroutine first.
    frames: list[Frame] = field(default_factory=list, repr=False)

    @property
    def outside(self) -> bool:
        """Whether something outside the loop ends the wait."""
        return self.kind in OUTSIDE or self.fd is not None

    @property
    def awake(self) -> bool:
        """Whether the task does not wait at all."""
        return self.kind in AWAKE


class _Context:
    """What a describer may ask for: its frame, the ones around, and the loop's time."""

    __slots__ = ("frames", "future", "index", "named", "task")

    def __init__(
        self, task: Any, frames: list[Frame], index: int, future: Any, named: bool
    ) -> None:
        self.named = named
        self.task = task
        self.frames = frames
        self.index = index
        self.future = future

    @property
    def frame(self) -> Frame:
        return self.frames[self.index]

    def at(self, index: int) -> _Context:
        """The same, of another frame."""
        return _Context(self.task, self.frames, index, self.future, self.named)

    def titled(self, word: str, thing: Any) -> str:
        """``Lock "b"``: a word, and what the program calls the thing."""
        name = self.name(thing)
        return f'{word} "{name}"' if name else word

    def name(self, thing: Any) -> str:
        """What the code that asked for it calls a thing."""
        if not self.named:
            return ""
        return _frames.name_in(thing, self.frames[: self.index])


_Describe = Callable[[_Context], Wait]


def describe(task: Any, *, named: bool = True) -> Wait:
    """Say what a task waits for. Never raises: what cannot be read is called a future.

    Args:
        task: Of any loop whose thread this is.
        named: Also find out what the program calls the thing, which is half of the work.
    """
    try:
        return _describe(task, named)
    except Exception as error:  # a task of another make, or one that changes in another thread
        return Wait("future", f"not known ({type(error).__name__})")


def _describe(task: Any, named: bool) -> Wait:
    if task.done():
        return Wait("done", "done")
    coroutine = task.get_coro()
    frames, _ = _frames.chain(coroutine)
    future = getattr(task, "_fut_waiter", None)
    wait = _what(task, coroutine, frames, future, named)
    wait.frames = frames
    place = _frames.user_frame(frames)
    if place is not None:
        wait.file, wait.line = place.code.co_filename, place.line
        wait.function = place.code.co_qualname
    else:
        code = getattr(coroutine, "cr_code", None)
        if code is not None:
            wait.file, wait.line = code.co_filename, code.co_firstlineno
            wait.function = code.co_qualname
    if wait.kind not in AWAKE and wait.until is None:
        wait.until = deadline(task, frames)
    return wait


def _what(task: Any, coroutine: Any, frames: list[Frame], future: Any, named: bool) -> Wait:
    if future is None:
        if getattr(coroutine, "cr_running", False) or task is _current(task):
            return Wait("running", "running")
        return Wait("ready", "ready to run")
    if future.done():
        return Wait("ready", "ready to run")
    for index, frame in enumerate(frames):
        if _authors.author(frame.code.co_filename) == _authors.USER:
            continue
        known = _known(frame.code)
        if known is not None:
            found = known(_Context(task, frames, index, future, named))
            if not found.on and future is not None:
                found.on = (future,)
            return found
    return _future(_Context(task, frames, len(frames), future, named), future)


def _current(task: Any) -> Any:
    try:
        return asyncio.current_task(task.get_loop())
    except RuntimeError:
        return None


# A bare future: what it is shows by its type and by who will set it.


def _future(context: _Context, future: Any) -> Wait:
    if isinstance(future, tasks._GatheringFuture):  # type: ignore[attr-defined]
        children = tuple(future._children)
        left = [child for child in children if not child.done()]
        return Wait("gather", f"gather, {len(left)} of {len(children)} left", future, on=children)
    if isinstance(future, asyncio.Task):
        return Wait("task", f"task {task_name(future)}", future, on=(future,))
    for function in _callbacks(future):
        name = getattr(function, "__qualname__", "")
        if name == "shield.<locals>._outer_done_callback":
            inner = _closed_over(function, "inner")
            return Wait(
                "shield",
                f"shielded {_title(inner)}",
                inner,
                on=(inner,) if inner is not None else (),
                cancels=False,
            )
        if name == "_chain_future.<locals>._call_check_cancel":
            return Wait("executor", "a call in a thread", future, on=(future,))
    return Wait("future", context.titled("future", future), future, on=(future,))


def _callbacks(future: Any) -> Iterable[Any]:
    for entry in getattr(future, "_callbacks", None) or ():
        yield entry[0] if isinstance(entry, tuple) else entry


def _closed_over(function: Any, name: str) -> Any:
    """A variable that a function shares with the one around it."""
    names = function.__code__.co_freevars
    if name not in names or not function.__closure__:
        return None
    found = _frames.content(function.__closure__[names.index(name)])
    return None if found is _frames.MISSING else found


def task_name(task: Any) -> str:
    """The name of a task, as one line."""
    try:
        return str(task.get_name())
    except Exception:  # a task of another make
        return type(task).__name__


def _title(awaited: Any) -> str:
    if isinstance(awaited, asyncio.Task):
        return f"task {task_name(awaited)}"
    if isinstance(awaited, asyncio.Future):
        return "future"
    name = getattr(awaited, "__qualname__", None)
    return f"{name}()" if isinstance(name, str) else type(awaited).__name__


# asyncio's own waits, by file and name of the function.


def _primitive(kind: str) -> _Describe:
    """What has no more to tell than its name: ``Lock "b"``."""

    def primitive(context: _Context) -> Wait:
        found = context.frame.get("self")
        return Wait(kind, context.titled(kind, found), found)

    return primitive


def _barrier(context: _Context) -> Wait:
    barrier = context.frame.get("self")
    here = f" {barrier.n_waiting}/{barrier.parties}"
    return Wait("Barrier", context.titled("Barrier", barrier) + here, barrier)


def _queue(kind: str) -> _Describe:
    def queue(context: _Context) -> Wait:
        queue = context.frame.get("self")
        text = context.titled("queue", queue)
        if kind == "Queue.join":
            return Wait(kind, f"{text}, {queue._unfinished_tasks} unfinished", queue)
        limit = queue.maxsize if queue.maxsize > 0 else "no limit"
        return Wait(kind, f"{text} {queue.qsize()}/{limit}", queue)

    return queue


def _task_group(context: _Context) -> Wait:
    group = context.frame.get("self")
    children = tuple(group._tasks)
    return Wait("TaskGroup", f"TaskGroup, {len(children)} left", group, on=children)


def _sleep(context: _Context) -> Wait:
    handle = context.frame.get("h")
    until = handle.when() if handle is not None else None
    return Wait("sleep", f"sleep {_seconds(context.frame.get('delay'))}", until=until)


def _seconds(value: Any) -> str:
    return f"{value:g} s" if isinstance(value, (int, float)) else "?"


def _wait(context: _Context) -> Wait:
    waited = tuple(context.frame.get("fs") or ())
    left = sum(not future.done() for future in waited)
    first = context.frame.get("return_when") == asyncio.FIRST_COMPLETED
    text = f"wait, {left} of {len(waited)} left" + (", the first is enough" if first else "")
    found = Wait("wait", text, on=waited, any_of=first, cancels=False)
    handle = _inner(context, "_wait", "timeout_handle")
    if handle is not None:
        found.until = handle.when()
    return found


def _inner(context: _Context, function: str, name: str) -> Any:
    """A variable of a function that is called further inwards."""
    for frame in context.frames[context.index :]:
        if frame.code.co_name == function:
            return frame.get(name)
    return None


def _as_completed(context: _Context) -> Wait:
    owner = context.frame.get("self")
    waited = tuple(owner._todo if owner is not None else context.frame.get("todo") or ())
    text = f"as_completed, {len(waited)} left"
    return Wait("as_completed", text, on=waited, any_of=True, cancels=False)


def _wait_for(context: _Context) -> Wait:
    awaited, handle = context.frame.get("fut"), context.frame.get("timeout_handle")
    inside = None
    if handle is None:
        # 3.12 and later await it in place: go on inwards for what it is.
        for index in range(context.index + 1, len(context.frames)):
            known = _known(context.frames[index].code)
            if known is not None:
                inside = known(context.at(index))
                break
        else:
            inside = _future(context.at(len(context.frames)), context.future)
    text = f"wait_for({inside.text if inside is not None else _title(awaited)})"
    on: tuple[Any, ...] = (awaited,) if isinstance(awaited, asyncio.Future) else ()
    if inside is not None:
        return Wait(
            inside.kind,
            text,
            inside.object,
            fd=inside.fd,
            on=inside.on,
            any_of=inside.any_of,
            until=inside.until,
            cancels=inside.cancels,
        )
    until = handle.when() if handle is not None else None
    return Wait("wait_for", text, awaited, on=on, until=until)


def _thread(context: _Context) -> Wait:
    function = context.frame.get("func")
    name = getattr(function, "__qualname__", None) or type(function).__name__
    return Wait("executor", f"{name}() in a thread", context.future)


def _names_lookup(context: _Context) -> Wait:
    return Wait("executor", f"look-up of the name {context.frame.get('host')!r}", context.future)


def _socket(context: _Context) -> Wait:
    name = context.frame.code.co_name
    return _descriptor(name, context.frame.get("sock"))


def _descriptor(what: str, sock: Any) -> Wait:
    try:
        number: int | None = sock.fileno()
    except Exception:  # closed meanwhile, or no socket
        number = None
    return Wait("io", f"{what} fd {number}" if number is not None else what, sock, fd=number)


def _stream(context: _Context) -> Wait:
    stream = context.frame.get("self")
    found = _descriptor(context.frame.code.co_name, _socket_of(getattr(stream, "_transport", None)))
    found.object = stream
    return found


def _socket_of(transport: Any) -> Any:
    if transport is None:
        return None
    return transport.get_extra_info("socket") or transport.get_extra_info("pipe")


def _server(context: _Context) -> Wait:
    server = context.frame.get("self")
    name = context.frame.code.co_name
    sockets = getattr(server, "sockets", None) or ()
    numbers = [sock.fileno() for sock in sockets]
    first = numbers[0] if numbers else None
    fds = ", ".join(map(str, numbers))
    return Wait("io", f"Server.{name} fd {fds}" if fds else f"Server.{name}", server, fd=first)


def _connecting(context: _Context) -> Wait:
    return Wait("io", context.frame.code.co_name.lstrip("_"), context.future)


def _process(context: _Context) -> Wait:
    process = context.frame.get("self")
    pid = getattr(process, "pid", None)
    if pid is None and hasattr(process, "get_pid"):
        pid = process.get_pid()
    return Wait("process", f"end of process {pid}" if pid else "end of a process", process)


_ASYNCIO: dict[str, _Describe] = {
    "locks.Lock.acquire": _primitive("Lock"),
    "locks.Semaphore.acquire": _primitive("Semaphore"),
    "locks.BoundedSemaphore.acquire": _primitive("Semaphore"),
    "locks.Event.wait": _primitive("Event"),
    "locks.Condition.wait": _primitive("Condition"),
    "locks.Barrier.wait": _barrier,
    "queues.Queue.get": _queue("Queue.get"),
    "queues.Queue.put": _queue("Queue.put"),
    "queues.Queue.join": _queue("Queue.join"),
    "taskgroups.TaskGroup.__aexit__": _task_group,
    "taskgroups.TaskGroup._aexit": _task_group,
    "tasks.sleep": _sleep,
    "tasks.wait": _wait,
    "tasks.wait_for": _wait_for,
    "tasks.as_completed.<locals>._wait_for_one": _as_completed,
    "tasks._AsCompletedIterator._wait_for_one": _as_completed,
    "threads.to_thread": _thread,
    "base_events.BaseEventLoop.getaddrinfo": _names_lookup,
    "streams.StreamReader.readline": _stream,
    "streams.StreamReader.readuntil": _stream,
    "streams.StreamReader.readexactly": _stream,
    "streams.StreamReader.read": _stream,
    "streams.StreamWriter.drain": _stream,
    "streams.StreamWriter.wait_closed": _stream,
    "streams.open_connection": _connecting,
    "streams.open_unix_connection": _connecting,
    "base_events.BaseEventLoop.create_connection": _connecting,
    "base_events.Server.serve_forever": _server,
    "base_events.Server.wait_closed": _server,
    "unix_events._UnixSelectorEventLoop.create_unix_connection": _connecting,
    "subprocess.Process.wait": _process,
    "subprocess.Process.communicate": _process,
    "base_subprocess.BaseSubprocessTransport._wait": _process,
}
_ASYNCIO |= {
    f"selector_events.BaseSelectorEventLoop.{name}": _socket
    for name in (
        "sock_accept",
        "sock_connect",
        "sock_recv",
        "sock_recv_into",
        "sock_recvfrom",
        "sock_recvfrom_into",
        "sock_sendall",
        "sock_sendto",
    )
}

# The parts of vivace that take the place of asyncio's.
_OWN: dict[str, _Describe] = {
    "_connecting.ConnectingLoop.create_connection": _connecting,
    "_connecting.ConnectingLoop.sock_accept": _socket,
    "_names.NamesLoop.getaddrinfo": _names_lookup,
    "_server.Server.serve_forever": _server,
    "_server.Server.wait_closed": _server,
}


# anyio's, on its asyncio backend.


def _anyio_limiter(context: _Context) -> Wait:
    limiter = context.frame.get("self")
    used = f" {limiter.borrowed_tokens}/{limiter.total_tokens}"
    text = context.titled("anyio CapacityLimiter", limiter) + used
    return Wait("anyio CapacityLimiter", text, limiter)


def _anyio_group(context: _Context) -> Wait:
    group = context.frame.get("self")
    children = tuple(group._tasks)
    return Wait("TaskGroup", f"anyio TaskGroup, {len(children)} left", group, on=children)


def _anyio_stream(context: _Context) -> Wait:
    stream = context.frame.get("self")
    what = context.frame.code.co_name
    state = stream._state
    text = context.titled(f"anyio stream {what}", stream)
    size = f" {len(state.buffer)}/{state.max_buffer_size:g}"
    return Wait(f"anyio stream.{what}", text + size, state)


def _anyio_io(context: _Context) -> Wait:
    return Wait("io", context.frame.code.co_qualname, context.frame.get("self"))


def _anyio_descriptor(context: _Context) -> Wait:
    thing = context.frame.get("obj")
    number = thing if isinstance(thing, int) else None
    if number is not None:
        return Wait("io", f"{context.frame.code.co_name} fd {number}", fd=number)
    return _descriptor(context.frame.code.co_name, thing)


_ANYIO: dict[str, _Describe] = {
    "_asyncio.Lock.acquire": _primitive("anyio Lock"),
    "_asyncio.Semaphore.acquire": _primitive("anyio Semaphore"),
    "_asyncio.Event.wait": _primitive("anyio Event"),
    "_asyncio.CapacityLimiter.acquire_on_behalf_of": _anyio_limiter,
    "_asyncio.TaskGroup.__aexit__": _anyio_group,
    "_asyncio.SocketStream.receive": _anyio_io,
    "_asyncio.SocketStream.send": _anyio_io,
    "_asyncio.UNIXSocketStream.receive": _anyio_io,
    "_asyncio.UNIXSocketStream.send": _anyio_io,
    "_asyncio.TCPSocketListener.accept": _anyio_io,
    "_asyncio.UNIXSocketListener.accept": _anyio_io,
    "_asyncio.Process.wait": _process,
    "_asyncio.AsyncIOBackend.wait_readable": _anyio_descriptor,
    "_asyncio.AsyncIOBackend.wait_writable": _anyio_descriptor,
    "_asyncio.AsyncIOBackend.run_sync_in_worker_thread": _thread,
    "memory.MemoryObjectReceiveStream.receive": _anyio_stream,
    "memory.MemoryObjectSendStream.send": _anyio_stream,
}

# By the identity of the code object, which is kept: hashing one by value is dear.
_known_codes: dict[int, tuple[CodeType, _Describe | None]] = {}


def _known(code: CodeType) -> _Describe | None:
    """Who can describe a frame of this code."""
    found = _known_codes.get(id(code))
    if found is None:
        if len(_known_codes) > 10_000:
            _known_codes.clear()
        found = _known_codes[id(code)] = (code, _find(code))
    return found[1]


def _find(code: CodeType) -> _Describe | None:
    folder, _, file = code.co_filename.rpartition("/")
    name = f"{file.removesuffix('.py')}.{code.co_qualname}"
    if folder + "/" == _authors.ASYNCIO_FOLDER:
        return _ASYNCIO.get(name)
    if "/anyio/" in folder + "/":
        return _ANYIO.get(name)
    if _authors.author(code.co_filename) == _authors.OWN:
        return _OWN.get(name)
    return None


# Timeouts.


def deadline(task: Any, frames: list[Frame]) -> float | None:
    """When an active timeout ends what the task waits for: the nearest, by the loop's clock."""
    ends = [end for frame in frames for thing in frame.stack if (end := _end_of(thing)) is not None]
    scopes = _anyio_scopes(task)
    if scopes is not None:
        ends.append(scopes)
    return min(ends, default=None)


def _end_of(thing: Any) -> float | None:
    """The deadline of a timeout that lies on a value stack."""
    owner = getattr(thing, "__self__", thing)
    kind = type(owner)
    if kind is asyncio.Timeout:
        when = owner.when()
    elif kind.__name__ == "Timeout" and kind.__module__.partition(".")[0] == "async_timeout":
        when = owner.deadline
    else:
        return None
    return float(when) if when is not None else None


def _anyio_scopes(task: Any) -> float | None:
    states = _anyio_states()
    state = states.get(task) if states is not None else None
    scope = getattr(state, "cancel_scope", None)
    nearest = float("inf")
    while scope is not None:
        nearest = min(nearest, scope._deadline)
        if scope._shield:
            break
        scope = scope._parent_scope
    return nearest if nearest != float("inf") else None


def _anyio_states() -> Any:
    import sys

    module = sys.modules.get("anyio._backends._asyncio")
    return getattr(module, "_task_states", None)


def tasks_behind(future: Any, depth: int = 0) -> Iterable[Any]:
    """The tasks that a future stands for: itself, or those of a gather or a shield."""
    if isinstance(future, asyncio.Task):
        yield future
    elif depth < _GATHERED_DEEP:
        if isinstance(future, tasks._GatheringFuture):  # type: ignore[attr-defined]
            for child in future._children:
                yield from tasks_behind(child, depth + 1)
        elif futures.isfuture(future):
            for function in _callbacks(future):
                if getattr(function, "__qualname__", "").startswith("shield.<locals>._outer"):
                    yield from tasks_behind(_closed_over(function, "inner"), depth + 1)


# Gathers of gathers are followed so far.
_GATHERED_DEEP = 20
