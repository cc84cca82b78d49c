"""Applications that differ in what they do with the lifespan; each is told by its name."""

import asyncio
import functools
import sys

from apps import probe


def say(text):
    print(f"lifespan: {text}", file=sys.stderr, flush=True)


def with_http(lifespan):
    """The application with that lifespan, whose requests are those of apps/probe.py."""

    @functools.wraps(lifespan)
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await lifespan(scope, receive, send)
        else:
            await probe.app(scope, receive, send)

    return app


@with_http
async def good(scope, receive, send):
    """As the specification has it, with a state."""
    told = {key: value for key, value in scope.items() if key != "state"}
    say(f"scope {sorted(told.items())!r}")
    scope["state"]["started"] = True
    scope["state"]["shared"] = ["lifespan"]
    say((await receive())["type"])
    await send({"type": "lifespan.startup.complete"})
    say((await receive())["type"])
    await send({"type": "lifespan.shutdown.complete"})
    say("left")


@with_http
async def slow(scope, receive, send):
    """Takes its time to start."""
    await receive()
    say("starting")
    await asyncio.sleep(1)
    say("started")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def unsupported(scope, receive, send):
    """Knows nothing of it, as many applications do."""
    assert scope["type"] == "http"
    await probe.app(scope, receive, send)


@with_http
async def raises(scope, receive, send):
    await receive()
    raise RuntimeError("cannot start")


@with_http
async def fails(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database here"})


@with_http
async def fails_silently(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed"})


@with_http
async def returns(scope, receive, send):
    """Returns at once, without a message."""


@with_http
async def returns_after_startup(scope, receive, send):
    """Does not wait for the end."""
    await receive()
    await send({"type": "lifespan.startup.complete"})


@with_http
async def raises_after_startup(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    raise RuntimeError("broke between start and end")


@with_http
async def shutdown_fails(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    say("shutdown")
    await send({"type": "lifespan.shutdown.failed", "message": "could not flush"})


@with_http
async def shutdown_raises(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    say("shutdown")
    raise RuntimeError("broke at the end")


@with_http
async def shutdown_hangs(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    say("shutdown")
    try:
        await asyncio.sleep(3600)
    finally:
        say("cancelled")


@with_http
async def nonsense(scope, receive, send):
    await receive()
    try:
        await send({"type": "lifespan.nonsense"})
    except Exception as exc:
        say(f"refused {exc!r}")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


@with_http
async def background(scope, receive, send):
    """A task of the application, made at the start and ended at the end."""
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    await receive()
    task = asyncio.create_task(tick())
    await send({"type": "lifespan.startup.complete"})
    await receive()
    task.cancel()
    say("ticked" if ticks > 1 else "never ran")
    await send({"type": "lifespan.shutdown.complete"})
