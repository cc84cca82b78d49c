"""WebSocket handlers; see apps/paths.py for how they are found and what they note.

A message is noted as it is, so that tests see each key and type.
"""

import asyncio
from urllib.parse import parse_qsl

from apps import probe
from apps.paths import SECONDS, Paths

app = Paths()
# What is asked for without an upgrade.
app.handler(probe.hello)


def accept(**more):
    return {"type": "websocket.accept", **more}


def text(data):
    return {"type": "websocket.send", "text": data}


def close(**more):
    return {"type": "websocket.close", **more}


def query_of(scope):
    return dict(parse_qsl(scope["query_string"].decode()))


@app.handler
async def scope(scope, receive, send, record):
    record.note(await receive())
    await send(accept())
    await send(text(repr({**scope, "state": scope.get("state")})))
    await receive()


@app.handler
async def echo(scope, receive, send, record):
    """Send back what comes, until the end, which is noted."""
    assert (await receive())["type"] == "websocket.connect"
    await send(accept())
    while True:
        message = await receive()
        if message["type"] != "websocket.receive":
            record.note(message)
            return
        kind = "text" if message.get("text") is not None else "bytes"
        await send({"type": "websocket.send", kind: message[kind]})


@app.handler
async def slow_reader(scope, receive, send, record):
    """Take ten messages when a test wants it, and say how many they were."""
    await receive()
    await send(accept())
    await record.pass_gate()
    messages = [await receive() for _ in range(10)]
    await send(text(str(len(messages))))


@app.handler
async def note(scope, receive, send, record):
    """Note every message up to the end and one more."""
    await receive()
    await send(accept())
    message = {"type": ""}
    while message["type"] != "websocket.disconnect":
        message = await receive()
        record.note(message)


@app.handler
async def accepting(scope, receive, send, record):
    """Accept as the query says: `subprotocol`, and `headers` as a Python literal."""
    import ast

    wanted = query_of(scope)
    await receive()
    more = {}
    if "subprotocol" in wanted:
        more["subprotocol"] = wanted["subprotocol"]
    if "headers" in wanted:
        more["headers"] = ast.literal_eval(wanted["headers"])
    record.note("offered", list(scope.get("subprotocols", [])))
    try:
        await send(accept(**more))
    except Exception as exc:
        record.note("raised", repr(exc))
        raise
    await send(text("accepted"))
    await receive()


@app.handler
async def accept_bare(scope, receive, send, record):
    """Every optional key, as frameworks send them when they have nothing to say."""
    await receive()
    await send(accept(subprotocol=None, headers=[]))
    await send({"type": "websocket.send", "text": "one", "bytes": None})
    await send({"type": "websocket.send", "text": None, "bytes": b"two"})
    await send({"type": "websocket.send", "bytes": memoryview(b"three")})
    await send(close(code=1000, reason=None))


@app.handler
async def accept_first(scope, receive, send, record):
    """Accept without waiting for websocket.connect, and receive it later."""
    await send(accept())
    record.note(await receive())
    await send(text("accepted"))
    await receive()


# --- refusing


@app.handler
async def refuse(scope, receive, send, record):
    record.note(await receive())
    await send(close(code=4001, reason="not for you"))
    record.note(await asyncio.wait_for(receive(), SECONDS))


@app.handler
async def leave_before(scope, receive, send, record):
    await receive()


@app.handler
async def leave_at_once(scope, receive, send, record):
    """Return without even looking."""


@app.handler
async def fail_before(scope, receive, send, record):
    await receive()
    raise ValueError("raised before accept")


@app.handler
async def wait_before(scope, receive, send, record):
    """Neither accept nor refuse; note what comes."""
    record.note(await receive())
    record.note(await receive())
    try:
        await send(accept())
    except OSError as exc:
        record.note("OSError", type(exc).__name__)
    except Exception as exc:
        record.note("raised", repr(exc))
    else:
        record.note("sent")


def denial(status=401, headers=(), **more):
    return {
        "type": "websocket.http.response.start",
        "status": status,
        "headers": list(headers),
        **more,
    }


def denial_body(data=b"", more_body=False):
    return {"type": "websocket.http.response.body", "body": data, "more_body": more_body}


@app.handler
async def deny(scope, receive, send, record):
    """An HTTP answer of the application's own, in one part."""
    record.note("websocket.http.response" in scope["extensions"])
    await receive()
    headers = [(b"x-why", b"because"), (b"content-length", b"2")]
    await send(denial(headers=headers))
    await send(denial_body(b"no"))
    record.note(await asyncio.wait_for(receive(), SECONDS))


@app.handler
async def deny_in_parts(scope, receive, send, record):
    await receive()
    await send(denial(403, [(b"content-type", b"text/plain")]))
    for part in (b"not", b"", b" for ", b"you"):
        await send(denial_body(part, True))
    await send(denial_body(b"!"))
    record.note("sent")


@app.handler
async def deny_and_leave(scope, receive, send, record):
    """Leave in the middle of it."""
    await receive()
    await send(denial(403, [(b"content-length", b"100")]))
    await send(denial_body(b"part", True))


@app.handler
async def deny_with_a_start(scope, receive, send, record):
    """Leave, or raise, when the denial has only started."""
    await receive()
    await send(denial(403, []))
    if b"raise" in scope["query_string"]:
        raise ValueError("raised in a denial")


@app.handler
async def deny_then_accept(scope, receive, send, record):
    """After the start of a denial nothing but its body may come."""
    await receive()
    await send(denial(403, [(b"content-length", b"2")]))
    for message in (accept(), text("x"), close()):
        try:
            await send(message)
        except Exception as exc:
            record.note("raised", type(exc).__name__)
        else:
            record.note("accepted")
    await send(denial_body(b"no"))


@app.handler
async def accept_then_deny(scope, receive, send, record):
    await receive()
    await send(accept())
    try:
        await send(denial())
    except Exception as exc:
        record.note("raised", type(exc).__name__)
    else:
        record.note("accepted")
    await send(text("still here"))
    await receive()


# --- closing


@app.handler
async def closing(scope, receive, send, record):
    """Close as the query says; note what receive and send do afterwards."""
    wanted = query_of(scope)
    await receive()
    await send(accept())
    more = {}
    if "code" in wanted:
        more["code"] = int(wanted["code"])
    if "reason" in wanted:
        more["reason"] = wanted["reason"]
    try:
        await send(close(**more))
    except Exception as exc:
        record.note("raised", repr(exc))
        raise
    record.note(await asyncio.wait_for(receive(), SECONDS))
    for message in (text("late"), close()):
        try:
            await send(message)
        except Exception as exc:
            record.note("raised", type(exc).__name__)
        else:
            record.note("sent")


@app.handler
async def leave(scope, receive, send, record):
    """Return without closing."""
    await receive()
    await send(accept())
    await send(text("bye"))


@app.handler
async def fail(scope, receive, send, record):
    await receive()
    await send(accept())
    await send(text("bye"))
    raise ValueError("raised after accept")


@app.handler
async def cancel_itself(scope, receive, send, record):
    await receive()
    await send(accept())
    raise asyncio.CancelledError("of the application's own")


@app.handler
async def exit_after(scope, receive, send, record):
    await receive()
    await send(accept())
    raise SystemExit(5)


@app.handler
async def send_after(scope, receive, send, record):
    """Send after the client has gone."""
    await receive()
    await send(accept())
    record.note("accepted")
    record.note(await receive())
    for message in (text("x"), {"type": "websocket.send", "bytes": b"y"}, close()):
        try:
            await send(message)
        except OSError as exc:
            record.note("OSError", type(exc).__name__)
        except Exception as exc:
            record.note("raised", repr(exc))
        else:
            record.note("sent")


@app.handler
async def send_until_gone(scope, receive, send, record):
    """Never receive; note how sending ends."""
    await receive()
    await send(accept())
    record.note("accepted")
    while True:
        try:
            await send(text("x" * 1000))
        except OSError:
            record.note("OSError")
            raise
        await asyncio.sleep(0.001)


@app.handler
async def receive_after(scope, receive, send, record):
    """Receive again after the disconnect: an error or the same again, but no hanging."""
    await receive()
    await send(accept())
    while (await receive())["type"] != "websocket.disconnect":
        pass
    try:
        record.note((await asyncio.wait_for(receive(), SECONDS))["type"])
    except TimeoutError:
        record.note("hangs")
    except Exception as exc:
        record.note("raised", type(exc).__name__)


@app.handler
async def gated(scope, receive, send, record):
    """Accept, and receive only when a test wants it."""
    await receive()
    await send(accept())
    record.note("accepted")
    await record.pass_gate()
    count = size = 0
    while True:
        message = await receive()
        if message["type"] != "websocket.receive":
            break
        count += 1
        size += len(message.get("bytes") or message.get("text") or b"")
        if message.get("text") == "end":
            await send(text(f"{count} {size}"))
    record.note(count, size, message)


@app.handler
async def flood(scope, receive, send, record):
    """Send 64 MiB in messages of 64 KiB; note how far it came."""
    await receive()
    await send(accept())
    for number in range(1024):
        await send({"type": "websocket.send", "bytes": b"f" * 65536})
        if number % 102 == 0:
            record.note(number * 65536)
    record.note("sent")
    await receive()


@app.handler
async def sizes(scope, receive, send, record):
    """Send a text of as many characters as the query says."""
    await receive()
    await send(accept())
    await send(text("x" * int(query_of(scope)["size"])))
    await receive()


BAD = {
    "type": {"type": "websocket.nonsense"},
    "no type": {},
    "http": {"type": "http.response.start", "status": 200, "headers": []},
    "accept again": accept(),
    "nothing to send": {"type": "websocket.send"},
    "none to send": {"type": "websocket.send", "text": None, "bytes": None},
    "text of bytes": {"type": "websocket.send", "text": b"x"},
    "bytes of text": {"type": "websocket.send", "bytes": "x"},
    "number": {"type": "websocket.send", "text": 5},
    "code of text": close(code="1000"),
    "code 1005": close(code=1005),
    "code 1006": close(code=1006),
    "code 999": close(code=999),
    "code 5000": close(code=5000),
    "reason of bytes": close(code=1000, reason=b"x"),
}


@app.handler
async def bad(scope, receive, send, record):
    await receive()
    await send(accept())
    try:
        await send(BAD[query_of(scope)["kind"]])
    except OSError as exc:
        record.note("OSError", repr(exc))
    except Exception as exc:
        record.note("raised", repr(exc))
    else:
        record.note("accepted")
    await send(text("all the same"))
    await receive()


@app.handler
async def both(scope, receive, send, record):
    """Both keys with a value: exactly one may have one."""
    await receive()
    await send(accept())
    try:
        await send({"type": "websocket.send", "text": "x", "bytes": b"y"})
    except Exception as exc:
        record.note("raised", type(exc).__name__)
    else:
        record.note("accepted")
    await receive()
