"""The engine of the server by itself: what `receive()` and `send()` return, and their ends.

Without the command line and without `vivace.Server`: a service, a listening socket, raw bytes.
"""

from __future__ import annotations

import asyncio
import collections.abc

import pytest
from support.http_service import SETTINGS, Message, Receive, Send, exchange_bytes

import vivace
from vivace import _native
from vivace.serve._settings import Settings


async def plain(send: Send, body: bytes = b"ok") -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


GET = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 4\r\n\r\n"


def test_head_and_body_leave_together() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await plain(send)

    answer = exchange_bytes(app, GET)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n")
    assert answer.endswith(b"\r\n\r\nok")


def test_what_receive_returns_is_a_coroutine() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        operation = receive()
        assert isinstance(operation, collections.abc.Coroutine)
        message = await asyncio.create_task(operation)
        assert message == {"type": "http.request", "body": b"", "more_body": False}
        await plain(send)

    assert exchange_bytes(app, GET).endswith(b"ok")


def test_cancelling_a_receive_loses_nothing() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        first = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        never_started = receive()
        never_started.close()  # type: ignore[attr-defined]
        body = b""
        more = True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        await plain(send, body)

    async def main() -> bytes:
        service = _native.HttpService(app, Settings(**SETTINGS), None)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(service, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST)
        while not service.requests:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        writer.write(b"body")
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        server.close()
        return answer

    assert vivace.run(main()).endswith(b"body")


def test_receive_after_the_response_says_disconnect_every_time() -> None:
    seen: list[str] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await plain(send)
        seen.extend([(await receive())["type"] for _ in range(3)])
        # Ignored, as the specification has it.
        await send({"type": "http.response.body", "body": b"late"})

    assert exchange_bytes(app, GET).endswith(b"\r\n\r\nok")
    assert seen == ["http.disconnect"] * 3


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({}, ValueError),
        ({"type": "nonsense"}, RuntimeError),
        ({"type": "http.response.body"}, RuntimeError),
        ({"type": "http.response.start"}, ValueError),
        ({"type": "http.response.start", "status": "200"}, TypeError),
        ({"type": "http.response.start", "status": 99}, ValueError),
        ({"type": "http.response.start", "status": 200, "headers": [(b"a b", b"c")]}, ValueError),
        ({"type": "http.response.start", "status": 200, "headers": [(b"a", b"\r\n")]}, ValueError),
        ({"type": "http.response.start", "status": 200, "headers": [("a", "b")]}, TypeError),
        ({"type": "http.response.start", "status": 200, "headers": [(b"a",)]}, ValueError),
    ],
)
def test_a_wrong_message_raises_and_leaves_no_trace(message: Message, error: type) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        with pytest.raises(error):
            await send(message)
        await plain(send)

    assert exchange_bytes(app, GET).endswith(b"\r\n\r\nok")


def test_a_service_needs_the_loop_of_vivace() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await plain(send)

    async def main() -> None:
        service = _native.HttpService(app, Settings(**SETTINGS), None)
        with pytest.raises(RuntimeError, match="needs vivace's event loop"):
            await service.wait_closed()

    asyncio.run(main())


def test_many_requests_on_one_connection() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await plain(send, scope["raw_path"])

    one = b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\n"
    requests = b"".join(one % number for number in range(2000)) + GET
    answer = exchange_bytes(app, requests)
    bodies = [part.split(b"HTTP/1.1")[0] for part in answer.split(b"\r\n\r\n")[1:]]
    assert bodies == [b"/%d" % number for number in range(2000)] + [b"/"]
