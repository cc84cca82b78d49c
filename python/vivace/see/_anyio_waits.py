"""anyio's waits, on its asyncio backend. Imported when a task that waits so is first met."""

from __future__ import annotations

from ._asyncio_waits import descriptor, primitive, process, task_group, thread
from ._wait import Context, Describe, Wait


def _limiter(context: Context) -> Wait:
    limiter = context.frame.get("self")
    used = f" {limiter.borrowed_tokens}/{limiter.total_tokens}"
    text = context.titled("anyio CapacityLimiter", limiter) + used
    return Wait("anyio CapacityLimiter", text, limiter)


def _stream(context: Context) -> Wait:
    stream = context.frame.get("self")
    what = context.frame.code.co_name
    state = stream._state
    text = context.titled(f"anyio stream {what}", stream)
    size = f" {len(state.buffer)}/{state.max_buffer_size:g}"
    return Wait(f"anyio stream.{what}", text + size, state)


def _io(context: Context) -> Wait:
    return Wait("io", context.frame.code.co_qualname, context.frame.get("self"))


def _descriptor(context: Context) -> Wait:
    thing = context.frame.get("obj")
    number = thing if isinstance(thing, int) else None
    if number is not None:
        return Wait("io", f"{context.frame.code.co_name} fd {number}", fd=number)
    return descriptor(context.frame.code.co_name, thing)


#: By file and name of the function.
ANYIO: dict[str, Describe] = {
    "_asyncio.Lock.acquire": primitive("anyio Lock"),
    "_asyncio.Semaphore.acquire": primitive("anyio Semaphore"),
    "_asyncio.Event.wait": primitive("anyio Event"),
    "_asyncio.CapacityLimiter.acquire_on_behalf_of": _limiter,
    "_asyncio.TaskGroup.__aexit__": task_group("anyio TaskGroup"),
    "_asyncio.SocketStream.receive": _io,
    "_asyncio.SocketStream.send": _io,
    "_asyncio.UNIXSocketStream.receive": _io,
    "_asyncio.UNIXSocketStream.send": _io,
    "_asyncio.TCPSocketListener.accept": _io,
    "_asyncio.UNIXSocketListener.accept": _io,
    "_asyncio.Process.wait": process,
    "_asyncio.AsyncIOBackend.wait_readable": _descriptor,
    "_asyncio.AsyncIOBackend.wait_writable": _descriptor,
    "_asyncio.AsyncIOBackend.run_sync_in_worker_thread": thread,
    "memory.MemoryObjectReceiveStream.receive": _stream,
    "memory.MemoryObjectSendStream.send": _stream,
}
