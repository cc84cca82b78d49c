"""The HTTP handlers that most tests of tests/serve ask; see apps/paths.py for how."""

import asyncio
import contextlib
import os
import sys

from apps.paths import SECONDS, Paths, answer, read_body

app = Paths()


def ok(headers=(), **more):
    return {"type": "http.response.start", "status": 200, "headers": list(headers), **more}


def body(data=b"", more_body=False, **more):
    return {"type": "http.response.body", "body": data, "more_body": more_body, **more}


@app.handler
async def hello(scope, receive, send, record):
    record.note("called")
    await answer(send, b"hello")


@app.handler
async def scope(scope, receive, send, record):
    """Tell the scope, as Python writes it."""
    await answer(send, repr({**scope, "state": scope.get("state")}).encode())


@app.handler
async def changed_scope(scope, receive, send, record):
    """Change all that can be changed in the scope."""
    await answer(send, b"changed")
    scope["headers"].append((b"x-changed", b"1"))
    scope["asgi"]["version"] = "changed"
    scope.setdefault("extensions", {})["changed"] = {}
    scope["changed"] = True


@app.handler
async def echo(scope, receive, send, record):
    """Tell what was asked for, and the body; note when the client went away in the middle."""
    record.note("called")
    data = await read_body(receive)
    if data is None:
        record.note("disconnected")
        return
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"],
        "query": scope["query_string"],
        "version": scope["http_version"],
        "headers": [tuple(pair) for pair in scope["headers"]],
        "body": data,
    }
    await answer(send, repr(seen).encode())


@app.handler
async def back(scope, receive, send, record):
    """Send the body back as it comes."""
    await send(ok())
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message.get("more_body", False)
        await send(body(message.get("body", b""), more))


@app.handler
async def count(scope, receive, send, record):
    """Read all of a body and tell how long it was; wait at a gate first if asked to."""
    if scope["query_string"].find(b"gated") >= 0:
        record.note("called")
        await record.pass_gate()
    size = pieces = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            record.note("disconnected", size)
            return
        size += len(message.get("body", b""))
        pieces += 1
        more = message.get("more_body", False)
    await answer(send, b"%d in %d" % (size, pieces))


# --- how an answer is framed


@app.handler
async def chunks(scope, receive, send, record):
    await send(ok())
    for data in (b"one", b"", b"three", b"x" * 70_000):
        await send(body(data, True))
    await send(body(b"end"))


@app.handler
async def lengths(scope, receive, send, record):
    """Say `length` and send `body` bytes in so many `pieces`, as the query wants it."""
    wanted = dict(pair.split("=") for pair in scope["query_string"].decode().split("&"))
    headers = [(b"content-length", wanted["length"].encode())] if "length" in wanted else []
    status = int(wanted.get("status", 200))
    size, pieces = int(wanted.get("body", 0)), int(wanted.get("pieces", 1))
    try:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for number in range(pieces):
            await send(body(b"b" * (size // pieces), number < pieces - 1))
        record.note("sent")
    except Exception as exc:
        record.note(f"{type(exc).__name__}")
        raise


@app.handler
async def headers(scope, receive, send, record):
    """Answer with the headers that a Python literal in the query's `h` stands for."""
    import ast
    from urllib.parse import parse_qs

    wanted = ast.literal_eval(parse_qs(scope["query_string"].decode())["h"][0])
    await send({"type": "http.response.start", "status": 200, "headers": wanted})
    await send(body(b"body"))


@app.handler
async def no_headers(scope, receive, send, record):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})


@app.handler
async def iterables(scope, receive, send, record):
    """Headers need not be lists of tuples, bodies need not be bytes."""
    pairs = ([name, b"value"] for name in (b"x-one", b"x-two"))
    await send({"type": "http.response.start", "status": 200, "headers": pairs})
    await send(body(bytearray(b"one,"), True))
    await send(body(memoryview(b"two,"), True))
    await send(body(memoryview(b"-three-")[1:6]))


@app.handler
async def status(scope, receive, send, record):
    code = int(scope["path"].rpartition("/")[2])
    await send({"type": "http.response.start", "status": code, "headers": []})
    await send(body())


@app.handler
async def http_status(scope, receive, send, record):
    """A status as the enumeration of the standard library gives it."""
    import http

    start = {"type": "http.response.start", "status": http.HTTPStatus.CREATED, "headers": []}
    await send(start)
    await send(body())


# --- errors


@app.handler
async def fail(scope, receive, send, record):
    raise ValueError("raised before the start")


@app.handler
async def exit_before(scope, receive, send, record):
    sys.exit(5)


@app.handler
async def exit_later(scope, receive, send, record):
    await asyncio.sleep(0)
    sys.exit(5)


@app.handler
async def eager_factory(scope, receive, send, record):
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    await answer(send, b"set")


@app.handler
async def cancel_itself(scope, receive, send, record):
    """Wait for a task that somebody has cancelled."""
    task = asyncio.create_task(asyncio.sleep(SECONDS))
    task.cancel()
    await task


@app.handler
async def fail_started(scope, receive, send, record):
    await send(ok())
    raise ValueError("raised between start and body")


@app.handler
async def fail_late(scope, receive, send, record):
    query = scope["query_string"]
    await send(ok([(b"content-length", b"100")] if b"length" in query else []))
    await send(body(b"part", True))
    raise ValueError("raised in the middle")


@app.handler
async def fail_afterwards(scope, receive, send, record):
    """As Starlette does it: a whole answer with status 500, then the exception again."""
    await answer(send, b"an error of the framework", status=500)
    raise ValueError("raised after the answer")


@app.handler
async def leave(scope, receive, send, record):
    """Return without an answer."""


@app.handler
async def leave_started(scope, receive, send, record):
    await send(ok())


@app.handler
async def leave_late(scope, receive, send, record):
    query = scope["query_string"]
    await send(ok([(b"content-length", b"100")] if b"length" in query else []))
    await send(body(b"part", True))


@app.handler
async def leave_drawn_out(scope, receive, send, record):
    """Say that more follows although the length is reached, and return."""
    await send(ok([(b"content-length", b"4")]))
    await send(body(b"part", True))


@app.handler
async def leave_when_told(scope, receive, send, record):
    """Return once the client has gone: before an answer, or in the middle of one."""
    record.note("called")
    if scope["query_string"].startswith(b"started"):
        await send(ok())
    if scope["query_string"].startswith(b"late"):
        await send(ok())
        await send(body(b"part", True))
    while (await receive())["type"] != "http.disconnect":
        pass


# --- receive


@app.handler
async def after_completion(scope, receive, send, record):
    """What receive gives once the answer is complete."""
    await answer(send, b"done")
    for _ in range(3):
        record.note(await asyncio.wait_for(receive(), 10))


@app.handler
async def after_completion_unread(scope, receive, send, record):
    """The same with a body that nobody has read; the answer went out long ago."""
    await answer(send, b"done")
    await record.pass_gate()
    for _ in range(2):
        record.note(await asyncio.wait_for(receive(), 10))


@app.handler
async def waiting_receive(scope, receive, send, record):
    """receive blocks once the body is consumed, until the answer is complete."""
    record.note(await read_body(receive))
    waiting = asyncio.ensure_future(receive())
    await record.pass_gate()
    record.note("done early" if waiting.done() else "waits")
    await answer(send, b"answered")
    record.note(await asyncio.wait_for(waiting, 10))


@app.handler
async def until_disconnect(scope, receive, send, record):
    """Note every message up to http.disconnect, and two more; then try to send."""
    record.note("called")
    if scope["query_string"] == b"say":
        print("until-disconnect: called", file=sys.stderr, flush=True)
    left = 3
    while left:
        message = await receive()
        if message["type"] == "http.disconnect":
            left -= 1
        record.note(message)
    for message in (ok(), body(b"x", True), body(b"y")):
        try:
            await send(message)
        except OSError as exc:
            record.note("OSError", type(exc).__mro__[0].__name__)
        except BaseException as exc:
            record.note("raised", repr(exc))
        else:
            record.note("sent")


@app.handler
async def stream_until_disconnect(scope, receive, send, record):
    """Stream for ever; note how that ends."""
    await send(ok())
    try:
        while True:
            await send(body(b"x" * 1000, True))
            if len(record.notes) < 1:
                record.note("streaming")
            await asyncio.sleep(0.001)
    except OSError:
        record.note("OSError")
        raise


@app.handler
async def stream_in_a_group(scope, receive, send, record):
    """Stream for ever in a task of a group, which makes a group of what `send` raises."""

    async def stream():
        while True:
            await send(body(b"x" * 1000, True))
            if len(record.notes) < 1:
                record.note("streaming")
            await asyncio.sleep(0.001)

    await send(ok())
    async with asyncio.TaskGroup() as group:
        group.create_task(stream())
        if b"fail" in scope["query_string"]:
            group.create_task(fail_when_told(receive))


async def fail_when_told(receive):
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ValueError("raised after the disconnect")


@app.handler
async def blind(scope, receive, send, record):
    """Block the loop while somebody has a pipe open, then send; note which `send` raises."""
    await send(ok())
    with open(scope["query_string"].decode().partition("pipe=")[2]) as pipe:
        pipe.read()
    for number in range(50):
        try:
            await send(body(b"x" * 20_000, True))
        except OSError:
            record.note(number)
            raise


@app.handler
async def sse(scope, receive, send, record):
    """Events for as long as the client is there, as Starlette does it for spec versions < 2.4."""
    await send(ok([(b"content-type", b"text/event-stream")]))
    record.note("streaming")

    async def listen():
        while (await receive())["type"] != "http.disconnect":
            pass

    listening = asyncio.ensure_future(listen())
    try:
        while not listening.done():
            await send(body(b"data: x\n\n", True))
            await asyncio.wait([listening], timeout=0.02)
        record.note("disconnected")
    except OSError:
        record.note("OSError")
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


@app.handler
async def gated(scope, receive, send, record):
    """Answer when a test wants it, without looking at receive."""
    record.note("called")
    await record.pass_gate()
    await answer(send, b"went through the gate")


@app.handler
async def gated_read(scope, receive, send, record):
    """Read the body when a test wants it."""
    record.note("called")
    await record.pass_gate()
    data = await read_body(receive)
    if data is not None:
        await answer(send, data)


@app.handler
async def pieces(scope, receive, send, record):
    """Note each message of a body."""
    while True:
        message = await receive()
        record.note(message)
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    await answer(send, b"read")


@app.handler
async def refuse(scope, receive, send, record):
    """An answer that does not wait for the body."""
    await answer(send, b"too much", status=413)


@app.handler
async def refuse_in_the_middle(scope, receive, send, record):
    """Read a little of the body, then refuse the rest."""
    record.note(len((await receive())["body"]))
    await answer(send, b"too much", status=413)


@app.handler
async def flood(scope, receive, send, record):
    """Send more than any buffer holds; note each tenth of it."""
    size = 64 * 1024
    total = 1024 * size
    await send(ok([(b"content-length", b"%d" % total)]))
    for number in range(1024):
        await send(body(b"f" * size, number < 1023))
        if number % 102 == 0:
            record.note(number * size)
    record.note("sent")


# --- invalid messages


START = ok()
INVALID = {
    "type-missing": [{}],
    "type-unknown": [{"type": "http.response.nonsense"}],
    "type-of-websocket": [{"type": "websocket.accept"}],
    "type-of-request": [{"type": "http.request", "body": b""}],
    "not-a-dict": [None],
    "status-missing": [{"type": "http.response.start", "headers": []}],
    "status-text": [{"type": "http.response.start", "status": "200", "headers": []}],
    "status-none": [{"type": "http.response.start", "status": None, "headers": []}],
    "status-too-small": [{"type": "http.response.start", "status": 99, "headers": []}],
    "status-too-large": [{"type": "http.response.start", "status": 1000, "headers": []}],
    "status-negative": [{"type": "http.response.start", "status": -200, "headers": []}],
    "headers-text": [ok([("x-name", "value")])],
    "header-name-text": [ok([("x-name", b"value")])],
    "header-value-number": [ok([(b"x-name", 1)])],
    "headers-number": [{"type": "http.response.start", "status": 200, "headers": 5}],
    "header-of-three": [ok([(b"x-name", b"value", b"more")])],
    "header-of-one": [ok([(b"x-name",)])],
    "header-name-empty": [ok([(b"", b"value")])],
    "header-name-space": [ok([(b"x name", b"value")])],
    "header-name-colon": [ok([(b"x:name", b"value")])],
    "header-name-break": [ok([(b"x-name\r\nx-injected", b"value")])],
    "header-value-crlf": [ok([(b"x-name", b"value\r\nx-injected: yes")])],
    "header-value-lf": [ok([(b"x-name", b"value\nx-injected: yes")])],
    "header-value-cr": [ok([(b"x-name", b"value\rx-injected: yes")])],
    "header-value-nul": [ok([(b"x-name", b"val\0ue")])],
    "length-text": [ok([(b"content-length", b"many")])],
    "length-signed": [ok([(b"content-length", b"+4")])],
    "lengths-differ": [ok([(b"content-length", b"4"), (b"content-length", b"5")])],
    "body-first": [body(b"x")],
    "body-text": [START, body("text")],
    "body-number": [START, body(1)],
    "start-twice": [START, START],
    "trailers-first": [{"type": "http.response.trailers", "headers": []}],
}


@app.handler
async def invalid(scope, receive, send, record):
    """Send what the path names; note whether the last of it raised, then answer properly."""
    messages = INVALID[scope["path"].rpartition("/")[2]]
    for message in messages[:-1]:
        await send(message)
    try:
        await send(messages[-1])
    except OSError as exc:
        record.note("OSError", repr(exc))
        raise
    except Exception as exc:
        record.note("raised", repr(exc))
        raise
    record.note("accepted")
    await send(body(b"", False))


@app.handler
async def invalid_caught(scope, receive, send, record):
    """An app that catches what a bad message raised can still answer."""
    for messages in ([{"type": "http.response.nonsense"}], [body(b"x")]):
        try:
            await send(messages[0])
        except Exception as exc:
            record.note("raised", repr(exc))
    await answer(send, b"all the same")


@app.handler
async def extra_keys(scope, receive, send, record):
    await send(ok([(b"content-length", b"4")], extra=1, trailers=False))
    await send(body(b"bo", True, more=object()))
    await send(body(b"dy", unknown=None))


@app.handler
async def after_the_end(scope, receive, send, record):
    """More messages after the last: they change nothing."""
    await answer(send, b"all")
    for message in (body(b"more"), ok(), body(b"again")):
        try:
            await send(message)
        except Exception as exc:
            record.note("raised", type(exc).__name__)
        else:
            record.note("ignored")


# --- the server's own


@app.handler
async def state(scope, receive, send, record):
    """Change the state of this request; tell what it was before."""
    seen = scope.get("state")
    await answer(send, repr(seen).encode())
    if seen is not None:
        seen["changed"] = True
        seen.setdefault("shared", []).append("request")


@app.handler
async def pid(scope, receive, send, record):
    await answer(send, b"%d" % os.getpid())


@app.handler
async def loop(scope, receive, send, record):
    await answer(send, type(asyncio.get_running_loop()).__module__.encode())


@app.handler
async def contexts(scope, receive, send, record):
    """Each request is a task of its own."""
    name = asyncio.current_task().get_name()
    await answer(send, name.encode())
