"""A service of the engine by itself: a listening socket, raw bytes, no `vivace.Server`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import vivace
from support.patience import SECONDS
from vivace import _native
from vivace.serve._settings import Settings

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

SETTINGS: dict[str, Any] = {
    "root_path": "",
    "default_headers": [(b"server", b"vivace")],
    "date_header": True,
    "proxy_headers": False,
    "forwarded_allow_ips": [],
    "reset_contextvars": False,
    "cancel_on_disconnect": False,
    "http2": False,
    "access_log": False,
    "access_log_format": "text",
    "access_log_colors": False,
    "access_logger": None,
    "error_logger": logging.getLogger("uvicorn.error"),
    "timeout_keep_alive": 5.0,
    "timeout_request_header": 10.0,
    "timeout_write": 30.0,
    "timeout_request": None,
    "limit_body_rate": 0,
    "limit_body_size": None,
    "limit_headers": 100,
    "limit_header_size": 65536,
    "limit_concurrency": None,
    "limit_queue": 0,
    "limit_connections_per_address": None,
    "limit_max_requests": None,
    "ws": True,
    "ws_max_size": 1 << 20,
    "ws_max_queue": 32,
    "ws_ping_interval": None,
    "ws_ping_timeout": None,
    "ws_per_message_deflate": False,
}


def exchange_bytes(app: App, request: bytes, **settings: Any) -> bytes:
    """What a client that sends `request` and then reads to the end is answered with."""

    async def main() -> bytes:
        service = _native.HttpService(app, Settings(**{**SETTINGS, **settings}), None)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(service, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), SECONDS)
        writer.close()
        server.close()
        service.abort()
        await asyncio.wait_for(service.wait_closed(), SECONDS)
        assert service.connections == service.requests == 0
        return answer

    return vivace.run(main())
