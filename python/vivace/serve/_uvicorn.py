"""`H1Protocol`: the engine's connections under uvicorn's own server.

    uvicorn --loop vivace:new_event_loop --http vivace.serve:H1Protocol app:app

uvicorn keeps its command line, its lifespan, its signals and its workers; connections, requests
and WebSockets are vivace's. Who calls it: `uvicorn.Server`, once for each connection, with the
arguments that its own protocols take.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import weakref
from collections.abc import Iterator, Set
from typing import Any

from vivace import _native

from ._adapters import as_coroutine_function
from ._asgi_types import Application, Receive, Scope, Send
from ._settings import Settings

__all__ = ["H1Protocol"]


def H1Protocol(  # noqa: N802  # uvicorn expects a class here, by this name
    config: Any,
    server_state: Any,
    app_state: dict[str, Any],
    _loop: asyncio.AbstractEventLoop | None = None,
) -> asyncio.Protocol:
    """Makes the protocol of one connection of uvicorn's.

    Args:
        config: The `uvicorn.Config`, loaded.
        server_state: The `uvicorn.server.ServerState`, whose connections and requests are counted
            as uvicorn's own protocols count them.
        app_state: The state of the lifespan.
        _loop: Not used: the running loop is, which must be vivace's.

    Returns:
        The protocol.
    """
    # One service for each server: uvicorn makes one `server_state` for each.
    service: _native.HttpService | None = getattr(server_state, "vivace_service", None)
    if service is None:
        service = _make_service(config, server_state, app_state)
        server_state.vivace_service = service
        state_class: Any = type(server_state)
        server_state.__class__ = _counting(state_class)
    return service()


def _make_service(config: Any, server_state: Any, app_state: dict[str, Any]) -> _native.HttpService:
    def on_connection(connection: asyncio.Protocol, is_open: bool) -> None:
        state = state_of_server()
        if state is not None:
            (state.connections.add if is_open else state.connections.discard)(connection)

    # The service must not keep alive what keeps it.
    state_of_server = weakref.ref(server_state)
    app = as_coroutine_function(config.loaded_app)
    if config.asgi_version != "3.0":
        app = _with_version(app, config.asgi_version)
    service = _native.HttpService(app, _settings(config), app_state)
    service.on_connection = on_connection
    return service


@functools.cache
def _counting(state_class: Any) -> type:
    """uvicorn's class of states, with the numbers that the service knows."""
    return type(
        state_class.__name__,
        (state_class,),
        {
            "total_requests": property(lambda state: state.vivace_service.served),
            "tasks": property(lambda state: _Handlers(state.vivace_service)),
        },
    )


class _Handlers(Set["_AllHandlers"]):
    """What uvicorn counts, waits for and cancels when it ends: as if each were a task."""

    def __init__(self, service: _native.HttpService) -> None:
        self._service = service

    def __len__(self) -> int:
        return self._service.requests + self._service.websockets

    def __iter__(self) -> Iterator[_AllHandlers]:
        return iter([_AllHandlers(self._service)] if self else [])

    def __contains__(self, item: object) -> bool:
        return False


class _AllHandlers:
    def __init__(self, service: _native.HttpService) -> None:
        self._service = service

    def cancel(self, msg: object = None) -> bool:
        return self._service.cancel() > 0


def _with_version(app: Application, version: str) -> Application:
    async def asgi3(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "asgi": {**scope["asgi"], "version": version}}, receive, send)

    return asgi3


def _settings(config: Any) -> Settings:
    """What uvicorn was told, for the engine; what it has no words for is off."""
    return Settings(
        root_path=config.root_path,
        default_headers=list(config.encoded_headers),
        date_header=config.date_header,
        # uvicorn has wrapped the application for that.
        proxy_headers=False,
        forwarded_allow_ips=[],
        reset_contextvars=getattr(config, "reset_contextvars", False),
        cancel_on_disconnect=False,
        http2=False,
        access_log=config.access_log and logging.getLogger("uvicorn.access").hasHandlers(),
        access_log_format="text",
        access_log_colors=False,
        access_logger=logging.getLogger("uvicorn.access"),
        error_logger=logging.getLogger("uvicorn.error"),
        timeout_keep_alive=config.timeout_keep_alive,
        timeout_request_header=60.0,
        timeout_write=60.0,
        timeout_request=None,
        limit_body_rate=0,
        limit_body_size=None,
        limit_headers=100,
        limit_header_size=config.h11_max_incomplete_event_size or 64 * 1024,
        limit_concurrency=config.limit_concurrency,
        limit_queue=0,
        limit_connections_per_address=None,
        # uvicorn looks at how many were served.
        limit_max_requests=None,
        ws=config.ws_protocol_class is not None,
        ws_max_size=config.ws_max_size,
        ws_max_queue=config.ws_max_queue,
        ws_ping_interval=config.ws_ping_interval or None,
        ws_ping_timeout=config.ws_ping_timeout,
        ws_per_message_deflate=config.ws_per_message_deflate,
    )
