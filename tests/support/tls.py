"""TLS connections over the loopback, with a recorder at each end."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from .certificates import Certificates
from .protocols import Recorder


class Server:
    """A TLS server of the loop that runs, for `async with`.

    Attributes:
        made: The protocols of its connections, as they are made.
        address: Where it listens.
    """

    def __init__(
        self, context: ssl.SSLContext, factory: Callable[[], Any], options: dict[str, Any]
    ) -> None:
        self.made: asyncio.Queue[Any] = asyncio.Queue()
        self._context = context
        self._factory = factory
        self._options = options

    def _make(self) -> Any:
        protocol = self._factory()
        self.made.put_nowait(protocol)
        return protocol

    async def __aenter__(self) -> Server:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._make, "127.0.0.1", 0, ssl=self._context, **self._options
        )
        self.address: tuple[str, int] = self._server.sockets[0].getsockname()
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._server.__aexit__(*exc_info)


@dataclass
class Pair:
    """Both ends of a connection.

    Attributes:
        transport: The client's transport.
        client: Its protocol.
        served: The server's protocol; it has its transport.
        server: The server itself.
    """

    transport: Any
    client: Any
    served: Any
    server: Server


class Tls:
    """What makes them, with the suite's certificates unless a test brings a context."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates

    def serve(
        self,
        context: ssl.SSLContext | None = None,
        factory: Callable[[], Any] = Recorder,
        **options: Any,
    ) -> Server:
        """Start a server for the length of an `async with`."""
        return Server(context or self._certificates.server_context(), factory, options)

    async def connect(
        self,
        server: Server,
        context: Any = None,
        factory: Callable[[], Any] = Recorder,
        **options: Any,
    ) -> tuple[Any, Any]:
        """Connect to it; gives the transport and the protocol."""
        options.setdefault("server_hostname", "localhost")
        return await asyncio.get_running_loop().create_connection(
            factory,
            *server.address,
            ssl=context or self._certificates.client_context(),
            **options,
        )

    @contextlib.asynccontextmanager
    async def pair(
        self,
        factory: Callable[[], Any] = Recorder,
        client_factory: Callable[[], Any] | None = None,
        *,
        server_context: ssl.SSLContext | None = None,
        client_context: ssl.SSLContext | None = None,
    ) -> AsyncIterator[Pair]:
        """A connection, both handshakes done; at the end the client closes it."""
        async with self.serve(server_context, factory) as server:
            transport, client = await self.connect(
                server, client_context, client_factory or factory
            )
            served = await server.made.get()
            await served.made
            yield Pair(transport, client, served, server)
            await end(client, served)


async def end(*protocols: Any) -> None:
    """Close the first side and wait for all of them."""
    protocols[0].transport.close()
    for protocol in protocols:
        await protocol.lost
