"""Handlers that are still busy when the server ends, and a lifespan that says what it does."""

import asyncio
import os
import signal
import sys
import threading
import time

from apps.paths import Paths, answer
from apps.probe import body, ok


def say(text):
    print(text, file=sys.stderr, flush=True)


class Ending(Paths):
    async def lifespan(self, scope, receive, send):
        await receive()
        say("lifespan: startup")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        say("lifespan: shutdown")
        await send({"type": "lifespan.shutdown.complete"})


app = Ending()


@app.handler
async def hello(scope, receive, send, record):
    await answer(send, b"hello")


@app.handler
async def say_it(scope, receive, send, record):
    say(f"said {scope['query_string'].decode()}")
    await answer(send, b"said")


app._handlers["say"] = app._handlers.pop("say-it")


@app.handler
async def gated(scope, receive, send, record):
    record.note("called")
    await record.pass_gate()
    await answer(send, b"went through the gate")


@app.handler
async def open_later(scope, receive, send, record):
    """Open the gate of another request in a while, when this one is over."""
    asyncio.get_running_loop().call_later(0.5, record.open_gate, "go")
    await answer(send, b"later")


@app.handler
async def brief(scope, receive, send, record):
    record.note("called")
    await asyncio.sleep(1)
    await answer(send, b"brief")


@app.handler
async def afterwards(scope, receive, send, record):
    """Work on when the client has gone."""
    record.note("called")
    while (await receive())["type"] != "http.disconnect":
        pass
    record.note("gone")
    await asyncio.sleep(1)
    say("afterwards: done")


@app.handler
async def large(scope, receive, send, record):
    await answer(send, b"l" * 200_000)


def _state_of_the_main_thread():
    with open(f"/proc/self/task/{os.getpid()}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def _terminate_this_thread():
    # Python's own handler runs here then, and the main thread sleeps on.
    while _state_of_the_main_thread() != "S":
        time.sleep(0.01)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)


@app.handler
async def term_in_thread(scope, receive, send, record):
    """Have SIGTERM arrive at another thread than the one that serves."""
    await answer(send, b"soon")
    threading.Timer(0.1, _terminate_this_thread).start()


@app.handler
async def stubborn(scope, receive, send, record):
    """Wait for ever, unless cancelled."""
    record.note("called")
    try:
        await asyncio.Event().wait()
    except BaseException as exc:
        say(f"stubborn: {type(exc).__name__}")
        raise


@app.handler
async def immortal(scope, receive, send, record):
    """Take no notice of being cancelled."""
    record.note("called")
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            say("immortal: cancelled")


@app.handler
async def sse(scope, receive, send, record):
    """Events until the disconnect."""
    await send(ok([(b"content-type", b"text/event-stream")]))
    record.note("streaming")

    async def disconnected():
        while (await receive())["type"] != "http.disconnect":
            pass

    listening = asyncio.ensure_future(disconnected())
    try:
        while not listening.done():
            await send(body(b"data: x\n\n", True))
            await asyncio.wait([listening], timeout=0.02)
        say("event stream: disconnected")
    except BaseException as exc:
        say(f"event stream: {type(exc).__name__}")
        raise
    finally:
        listening.cancel()


@app.handler
async def socket(scope, receive, send, record):
    """A WebSocket until its end."""
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        record.note(message)
        if message["type"] == "websocket.disconnect":
            say(f"websocket: {message['code']}")
            return


@app.handler
async def upload(scope, receive, send, record):
    """Read a body that never ends."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            say("upload: disconnected")
            return
        record.note(len(message["body"]))
        more = message.get("more_body", False)
    await answer(send, b"complete")
