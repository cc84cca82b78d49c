"""asyncio's own waits, and those of the parts of vivace that take its place."""

from __future__ import annotations

import asyncio
from typing import Any

from . import _futures
from ._wait import Context, Describe, Wait


def primitive(kind: str) -> Describe:
    """What has no more to tell than its name: ``Lock "b"``."""

    def primitive(context: Context) -> Wait:
        found = context.frame.get("self")
        return Wait(kind, context.titled(kind, found), found)

    return primitive


def _barrier(context: Context) -> Wait:
    barrier = context.frame.get("self")
    here = f" {barrier.n_waiting}/{barrier.parties}"
    return Wait("Barrier", context.titled("Barrier", barrier) + here, barrier)


def _queue(kind: str) -> Describe:
    def queue(context: Context) -> Wait:
        queue = context.frame.get("self")
        text = context.titled("queue", queue)
        if kind == "Queue.join":
            return Wait(kind, f"{text}, {queue._unfinished_tasks} unfinished", queue)
        limit = queue.maxsize if queue.maxsize > 0 else "no limit"
        return Wait(kind, f"{text} {queue.qsize()}/{limit}", queue)

    return queue


def task_group(title: str) -> Describe:
    """A group that waits for the tasks that are left in it."""

    def task_group(context: Context) -> Wait:
        group = context.frame.get("self")
        children = tuple(group._tasks)
        return Wait("TaskGroup", f"{title}, {len(children)} left", group, on=children)

    return task_group


def _sleep(context: Context) -> Wait:
    handle = context.frame.get("h")
    until = handle.when() if handle is not None else None
    return Wait("sleep", f"sleep {_seconds(context.frame.get('delay'))}", until=until)


def _seconds(value: Any) -> str:
    return f"{value:g} s" if isinstance(value, (int, float)) else "?"


def _wait(context: Context) -> Wait:
    waited = tuple(context.frame.get("fs") or ())
    left = sum(not future.done() for future in waited)
    first = context.frame.get("return_when") == asyncio.FIRST_COMPLETED
    text = f"wait, {left} of {len(waited)} left" + (", the first is enough" if first else "")
    found = Wait("wait", text, on=waited, any_of=first, cancels=False)
    handle = _inner(context, "_wait", "timeout_handle")
    if handle is not None:
        found.until = handle.when()
    return found


def _inner(context: Context, function: str, name: str) -> Any:
    """A variable of a function that is called further inwards."""
    for frame in context.frames[context.index :]:
        if frame.code.co_name == function:
            return frame.get(name)
    return None


def _as_completed(context: Context) -> Wait:
    owner = context.frame.get("self")
    # Up to 3.12 the function that waits does not know of whom.
    waited = tuple(owner._todo) if owner is not None else ()
    text = f"as_completed, {len(waited)} left" if waited else "as_completed"
    return Wait("as_completed", text, on=waited, any_of=True, cancels=False)


def _wait_for(context: Context) -> Wait:
    awaited, handle = context.frame.get("fut"), context.frame.get("timeout_handle")
    inside = None
    if handle is None:
        # 3.12 and later await it in place: go on inwards for what it is.
        inside = context.inside()
    text = f"wait_for({inside.text if inside is not None else _futures.title(awaited)})"
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


def thread(context: Context) -> Wait:
    """A function that runs in a thread."""
    function = context.frame.get("func")
    name = getattr(function, "__qualname__", None) or type(function).__name__
    return Wait("executor", f"{name}() in a thread", context.future)


def _names_lookup(context: Context) -> Wait:
    return Wait("executor", f"look-up of the name {context.frame.get('host')!r}", context.future)


def _socket(context: Context) -> Wait:
    name = context.frame.code.co_name
    return descriptor(name, context.frame.get("sock"))


def descriptor(what: str, sock: Any) -> Wait:
    """What is waited for by way of a descriptor."""
    try:
        number: int | None = sock.fileno()
    except Exception:  # closed meanwhile, or no socket
        number = None
    return Wait("io", f"{what} fd {number}" if number is not None else what, sock, fd=number)


def _stream(context: Context) -> Wait:
    stream = context.frame.get("self")
    found = descriptor(context.frame.code.co_name, _socket_of(getattr(stream, "_transport", None)))
    found.object = stream
    return found


def _socket_of(transport: Any) -> Any:
    if transport is None:
        return None
    return transport.get_extra_info("socket") or transport.get_extra_info("pipe")


def _server(context: Context) -> Wait:
    server = context.frame.get("self")
    name = context.frame.code.co_name
    sockets = getattr(server, "sockets", None) or ()
    numbers = [sock.fileno() for sock in sockets]
    first = numbers[0] if numbers else None
    fds = ", ".join(map(str, numbers))
    return Wait("io", f"Server.{name} fd {fds}" if fds else f"Server.{name}", server, fd=first)


def _connecting(context: Context) -> Wait:
    return Wait("io", context.frame.code.co_name.lstrip("_"), context.future)


def process(context: Context) -> Wait:
    """The end of a process."""
    process = context.frame.get("self")
    pid = getattr(process, "pid", None)
    if pid is None and hasattr(process, "get_pid"):
        pid = process.get_pid()
    return Wait("process", f"end of process {pid}" if pid else "end of a process", process)


#: By file and name of the function.
ASYNCIO: dict[str, Describe] = {
    "locks.Lock.acquire": primitive("Lock"),
    "locks.Semaphore.acquire": primitive("Semaphore"),
    "locks.BoundedSemaphore.acquire": primitive("Semaphore"),
    "locks.Event.wait": primitive("Event"),
    "locks.Condition.wait": primitive("Condition"),
    "locks.Barrier.wait": _barrier,
    "queues.Queue.get": _queue("Queue.get"),
    "queues.Queue.put": _queue("Queue.put"),
    "queues.Queue.join": _queue("Queue.join"),
    "taskgroups.TaskGroup.__aexit__": task_group("TaskGroup"),
    "taskgroups.TaskGroup._aexit": task_group("TaskGroup"),
    "tasks.sleep": _sleep,
    "tasks.wait": _wait,
    "tasks.wait_for": _wait_for,
    "tasks.as_completed.<locals>._wait_for_one": _as_completed,
    "tasks._AsCompletedIterator._wait_for_one": _as_completed,
    "threads.to_thread": thread,
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
    "subprocess.Process.wait": process,
    "subprocess.Process.communicate": process,
    "base_subprocess.BaseSubprocessTransport._wait": process,
}
ASYNCIO |= {
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
OWN: dict[str, Describe] = {
    "_connecting.ConnectingLoop.create_connection": _connecting,
    "_connecting.ConnectingLoop.sock_accept": _socket,
    "_names.NamesLoop.getaddrinfo": _names_lookup,
    "_server.Server.serve_forever": _server,
    "_server.Server.wait_closed": _server,
}
