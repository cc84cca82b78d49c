"""Handlers that use the extensions of ASGI: files by path, trailers, early hints, TLS."""

from urllib.parse import parse_qsl

from apps.paths import Paths, answer

app = Paths()


def query_of(scope):
    return dict(parse_qsl(scope["query_string"].decode()))


def start(headers=(), status=200, **more):
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(data=b"", more_body=False):
    return {"type": "http.response.body", "body": data, "more_body": more_body}


@app.handler
async def names(scope, receive, send, record):
    await answer(send, repr(scope.get("extensions")).encode())


@app.handler
async def tls(scope, receive, send, record):
    await answer(send, repr((scope["scheme"], scope.get("extensions", {}).get("tls"))).encode())


# --- http.response.pathsend


@app.handler
async def pathsend(scope, receive, send, record):
    """Send the file at `path`; say its length if `length` is in the query."""
    query = query_of(scope)
    headers = [(b"content-length", query["length"].encode())] if "length" in query else []
    try:
        await send(start(headers))
        await send({"type": "http.response.pathsend", "path": query["path"]})
    except Exception as exc:
        record.note("raised", " ".join(kind.__name__ for kind in type(exc).__mro__))
        raise
    record.note("sent")
    record.note((await receive())["type"])


@app.handler
async def pathsend_mixed(scope, receive, send, record):
    """Messages that do not go together; each must raise."""
    path = query_of(scope)["path"]
    file = {"type": "http.response.pathsend", "path": path}
    kind = query_of(scope)["kind"]
    sequences = {
        "first": [file],
        "after body": [start(), body(b"part", True), file],
        "relative": [start(), {**file, "path": "not/absolute"}],
        "without path": [start(), {"type": "http.response.pathsend"}],
        "number": [start(), {**file, "path": 5}],
    }
    *before, last = sequences[kind]
    for message in before:
        await send(message)
    try:
        await send(last)
    except OSError as exc:
        record.note("OSError", repr(exc))
        raise
    except Exception as exc:
        record.note("raised", repr(exc))
        raise
    record.note("accepted")


@app.handler
async def pathsend_then_body(scope, receive, send, record):
    """A body after the file: the answer was complete."""
    await send(start())
    await send({"type": "http.response.pathsend", "path": query_of(scope)["path"]})
    try:
        await send(body(b"more"))
    except Exception as exc:
        record.note("raised", type(exc).__name__)
    else:
        record.note("ignored")


# --- http.response.trailers


@app.handler
async def trailers(scope, receive, send, record):
    """Trailers in as many messages as the query's `parts` says."""
    parts = int(query_of(scope).get("parts", 1))
    await send(start([(b"trailer", b"x-sum")], trailers=True))
    await send(body(b"one", True))
    await send(body(b"two"))
    await record_gate(scope, record)
    for number in range(parts):
        await send(
            {
                "type": "http.response.trailers",
                "headers": [(b"x-sum", b"%d" % number)],
                "more_trailers": number < parts - 1,
            }
        )
    record.note("sent")
    record.note((await receive())["type"])


async def record_gate(scope, record):
    if "gated" in query_of(scope):
        record.note("body sent")
        await record.pass_gate()


@app.handler
async def trailers_missing(scope, receive, send, record):
    """Trailers are announced and do not come."""
    await send(start(trailers=True))
    await send(body(b"body"))


@app.handler
async def trailers_not_announced(scope, receive, send, record):
    """Trailers are not announced and come all the same."""
    await send(start())
    await send(body(b"body"))
    try:
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]})
    except Exception as exc:
        record.note("raised", type(exc).__name__)
    else:
        record.note("ignored")


@app.handler
async def trailers_bad(scope, receive, send, record):
    await send(start(trailers=True))
    await send(body(b"body"))
    try:
        await send(
            {"type": "http.response.trailers", "headers": [(b"x-sum", b"1\r\nx-injected: 1")]}
        )
    except OSError as exc:
        record.note("OSError", repr(exc))
        raise
    except Exception as exc:
        record.note("raised", type(exc).__name__)
        raise
    record.note("accepted")


# --- http.response.early_hint


@app.handler
async def early_hint(scope, receive, send, record):
    if "http.response.early_hint" in (scope.get("extensions") or {}):
        for links in ([b"</style.css>; rel=preload; as=style"], [b"</a>; rel=x", b"</b>; rel=y"]):
            await send({"type": "http.response.early_hint", "links": links})
        record.note("hinted")
    await answer(send, b"after the hints")


@app.handler
async def early_hint_late(scope, receive, send, record):
    """A hint after the start is too late."""
    await send(start([(b"content-length", b"2")]))
    try:
        await send({"type": "http.response.early_hint", "links": [b"</a>; rel=x"]})
    except Exception as exc:
        record.note("raised", type(exc).__name__)
    else:
        record.note("ignored")
    await send(body(b"ok"))


@app.handler
async def early_hint_bad(scope, receive, send, record):
    try:
        await send({"type": "http.response.early_hint", "links": [b"</a>\r\nx-injected: 1"]})
    except Exception as exc:
        record.note("raised", type(exc).__name__)
    else:
        record.note("accepted")
    await answer(send, b"ok")
