"""TLS connections: the native TLS protocol over a new socket, or over a transport that is there.

`EventLoop._make_ssl_transport` and `EventLoop.start_tls` call it. Arguments, checks and errors
are the standard library's.
"""

from __future__ import annotations

import asyncio
from asyncio import sslproto, streams
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

    from ._loop import EventLoop

__all__ = ["make_transport", "start"]

# Its `ssl` is None in an interpreter built without OpenSSL.
_sslproto: Any = sslproto


def make_transport(
    loop: EventLoop,
    sock: socket.socket,
    protocol: asyncio.BaseProtocol,
    sslcontext: Any,
    waiter: asyncio.Future[None] | None,
    *,
    server_side: bool,
    server_hostname: str | None,
    extra: dict[str, Any] | None,
    server: Any,
    ssl_handshake_timeout: float | None,
    ssl_shutdown_timeout: float | None,
) -> asyncio.Transport:
    """TLS over a connected socket; `waiter` is done with the handshake."""
    if _sslproto.ssl is None:
        raise RuntimeError("stdlib ssl module not available")
    tls = loop._make_tls(
        protocol,
        sslcontext,
        waiter,
        server_side,
        server_hostname,
        True,
        ssl_handshake_timeout,
        ssl_shutdown_timeout,
    )
    loop._make_stream(sock, tls, None, extra, server)
    return tls._app_transport


async def start(
    loop: EventLoop,
    transport: Any,
    protocol: asyncio.BaseProtocol,
    sslcontext: Any,
    *,
    server_side: bool,
    server_hostname: str | None,
    ssl_handshake_timeout: float | None,
    ssl_shutdown_timeout: float | None,
) -> asyncio.Transport:
    """Upgrades a transport: from here on what it carries is TLS."""
    if _sslproto.ssl is None:
        raise RuntimeError("Python ssl module is not available")
    if not isinstance(sslcontext, _sslproto.ssl.SSLContext):
        raise TypeError(
            f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}"
        )
    if not getattr(transport, "_start_tls_compatible", False):
        raise TypeError(f"transport {transport!r} is not supported by start_tls()")
    waiter = loop.create_future()
    tls = loop._make_tls(
        protocol,
        sslcontext,
        waiter,
        server_side,
        server_hostname,
        False,
        ssl_handshake_timeout,
        ssl_shutdown_timeout,
    )
    # Nothing may arrive before connection_made() has begun the handshake.
    transport.pause_reading()
    transport.set_protocol(tls)
    if server_side:
        _move_early_bytes(protocol, tls)
    begin = loop.call_soon(tls.connection_made, transport)
    resume = loop.call_soon(transport.resume_reading)
    try:
        await waiter
    except BaseException:
        transport.close()
        begin.cancel()
        resume.cancel()
        raise
    app_transport: asyncio.Transport = tls._app_transport
    return app_transport


def _move_early_bytes(protocol: asyncio.BaseProtocol, tls: Any) -> None:
    """A client may begin its handshake before the server is ready for it.

    Those bytes wait in the reader of the plain connection. On the client's side there are none
    that belong to TLS: what the server sent before was not protected and must not pass as if.
    """
    if isinstance(protocol, streams.StreamReaderProtocol):
        reader: Any = getattr(protocol, "_stream_reader", None)
        if reader is not None and reader._buffer:
            tls.data_received(bytes(reader._buffer))
            reader._buffer.clear()
