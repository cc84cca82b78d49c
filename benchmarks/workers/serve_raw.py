"""ASGI applications without a framework, for the suite `serve`.

None of them knows lifespan: every server takes the exception as "not supported".
"""

import os
from typing import Any

from starlette.responses import FileResponse, StreamingResponse

Scope = dict[str, Any]

HELLO = b"Hello, world!"
CHUNKS = (b"a" * 100, b"b" * 100, b"c" * 100, b"d" * 100)
# Written by the suite.
FILE = os.environ.get("BENCHMARK_FILE", "")


async def hello(scope: Scope, receive: Any, send: Any) -> None:
    """Answers with a few bytes."""
    _refuse_other_than("http", scope)
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain"), (b"content-length", b"13")],
        }
    )
    await send({"type": "http.response.body", "body": HELLO})


async def echo(scope: Scope, receive: Any, send: Any) -> None:
    """Answers with the body of the request."""
    _refuse_other_than("http", scope)
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(parts)
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/octet-stream"),
                (b"content-length", b"%d" % len(body)),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def websocket(scope: Scope, receive: Any, send: Any) -> None:
    """Sends every message back."""
    _refuse_other_than("websocket", scope)
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"]})


async def stream(scope: Scope, receive: Any, send: Any) -> None:
    """Answers with four chunks by Starlette's StreamingResponse."""
    _refuse_other_than("http", scope)
    await StreamingResponse(_chunks())(scope, receive, send)


async def file(scope: Scope, receive: Any, send: Any) -> None:
    """Answers with a file by Starlette's FileResponse."""
    _refuse_other_than("http", scope)
    await FileResponse(FILE)(scope, receive, send)


async def _chunks() -> Any:
    for chunk in CHUNKS:
        yield chunk


def _refuse_other_than(kind: str, scope: Scope) -> None:
    if scope["type"] != kind:
        raise NotImplementedError(f"this application knows {kind} only")
