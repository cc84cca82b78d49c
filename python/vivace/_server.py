"""`create_server` and `create_unix_server`, and the `Server` that they return.

The work is the standard library's, of the version that runs; this file adds what newer versions
added, so that a program finds the same on every Python:

- `keep_alive` and `cleanup_socket` (3.13);
- `Server.close_clients`, `Server.abort_clients` (3.13), and that `serve_forever`, cancelled, closes
  the connections as well (3.14);
- `Server.wait_closed` waits for the server's end and for its connections (3.12.1).

And it keeps a promise that no version keeps: who cancels the making of a server, or whose server
cannot listen, has no socket left over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import weakref
from asyncio import base_events
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from ssl import SSLContext

    from _typeshed import StrPath

__all__ = ["Server", "ServingLoop"]

# Since 3.13 the standard library's loop removes the file of a Unix socket itself.
_REMOVES_UNIX_SOCKETS = sys.version_info >= (3, 13)


class Server(base_events.Server):
    """An `asyncio.Server` that behaves as that of the newest Python, on every version."""

    if TYPE_CHECKING:
        # Parts of the standard library's class that its published types leave out.
        _loop: asyncio.AbstractEventLoop
        _sockets: Sequence[socket.socket] | None
        _waiters: list[asyncio.Future[None]] | None
        _serving: bool
        _serving_forever_fut: asyncio.Future[None] | None

        def _start_serving(self) -> None: ...
        def _wakeup(self) -> None: ...

    def __init__(self, made: Any) -> None:
        """Takes over what the standard library has made."""
        super().__init__(
            made._loop,
            made._sockets,
            made._protocol_factory,
            made._ssl_context,
            made._backlog,
            made._ssl_handshake_timeout,
            made._ssl_shutdown_timeout,
        )
        # Weak, so that a transport that nobody holds is found out as one. Written without a type:
        # the published types know it from 3.13 on only.
        self._clients: Any = weakref.WeakSet()
        # Transports of asyncio's own that do not say who they are, before 3.13.
        self._unnamed_clients = 0

    def _attach(self, transport: Any = None) -> None:
        """A transport was made for a connection that this server has accepted."""
        if transport is None:
            self._unnamed_clients += 1
        else:
            self._clients.add(transport)

    def _detach(self, transport: Any = None) -> None:
        """That connection is lost."""
        if transport is None:
            self._unnamed_clients -= 1
        else:
            self._clients.discard(transport)
        if self._sockets is None:
            self._wake_if_over()

    def _wake_if_over(self) -> None:
        if not self._clients and self._unnamed_clients == 0 and self._waiters is not None:
            self._wakeup()

    def close(self) -> None:
        """Stops serving and closes the listening sockets; connections stay open."""
        sockets, self._sockets = self._sockets, None
        if sockets is None:
            return
        for sock in sockets:
            self._loop._stop_serving(sock)  # type: ignore[attr-defined]
        self._serving = False
        serving = self._serving_forever_fut
        if serving is not None and not serving.done():
            serving.cancel()
            self._serving_forever_fut = None
        self._wake_if_over()

    def close_clients(self) -> None:
        """Closes the connections, each as `transport.close()` does."""
        for transport in list(self._clients):
            transport.close()

    def abort_clients(self) -> None:
        """Closes the connections at once, without sending what is buffered."""
        for transport in list(self._clients):
            transport.abort()

    async def serve_forever(self) -> None:
        """Serves until it is cancelled or the server is closed.

        Cancelling it closes the server and its connections.

        Raises:
            RuntimeError: the server is closed, or another task is in here.
        """
        if self._serving_forever_fut is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        if self._sockets is None:
            raise RuntimeError(f"server {self!r} is closed")
        self._start_serving()
        self._serving_forever_fut = self._loop.create_future()
        try:
            await self._serving_forever_fut
        except asyncio.CancelledError:
            self.close()
            self.close_clients()
            await self.wait_closed()
            raise
        finally:
            self._serving_forever_fut = None

    async def wait_closed(self) -> None:
        """Waits until the server is closed and its last connection is lost."""
        if self._waiters is None:
            return
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter


class ServingLoop(asyncio.SelectorEventLoop):
    """The part of the loop that makes servers."""

    __slots__ = ()

    if TYPE_CHECKING:
        _unix_server_sockets: dict[socket.socket, int]

    async def create_server(  # the published overloads say less
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | bytes | Iterable[str | bytes] | None = None,
        port: int | str | bytes | None = None,
        *,
        family: int = socket.AF_UNSPEC,
        flags: int = socket.AI_PASSIVE,
        sock: socket.socket | None = None,
        backlog: int = 100,
        ssl: SSLContext | bool | None = None,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        keep_alive: bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
    ) -> asyncio.Server:
        """Makes a TCP server; as asyncio's, with every keyword up to Python 3.14.

        Args:
            protocol_factory: makes the protocol of each connection.
            host: a name, several, or None and "" for all interfaces.
            port: a number or the name of a service; 0 takes a free one.
            keep_alive: sets `SO_KEEPALIVE` on the sockets that are made for `host` and `port`.
            start_serving: accept at once; otherwise `Server.start_serving()` begins.

        Raises:
            ValueError: arguments that do not go together.
            OSError: an address cannot be bound.
        """
        inherited: Any = super()
        made = await inherited.create_server(
            protocol_factory,
            host,
            port,
            family=family,
            flags=flags,
            sock=sock,
            backlog=backlog,
            ssl=ssl,
            reuse_address=reuse_address,
            reuse_port=reuse_port,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
            start_serving=False,
        )
        server = Server(made)
        try:
            if keep_alive and sock is None:
                for listening in made._sockets:
                    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, True)
            if start_serving:
                await server.start_serving()
        except BaseException:
            server.close()
            raise
        return server

    async def create_unix_server(  # type: ignore[override, unused-ignore]  # before 3.13
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        path: StrPath | None = None,
        *,
        sock: socket.socket | None = None,
        backlog: int = 100,
        ssl: SSLContext | bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
        cleanup_socket: bool = _REMOVES_UNIX_SOCKETS,
    ) -> asyncio.Server:
        """Makes a server on a Unix socket; as asyncio's, with every keyword up to Python 3.14.

        Args:
            protocol_factory: makes the protocol of each connection.
            path: where the socket is made; one that is stale is replaced.
            start_serving: accept at once; otherwise `Server.start_serving()` begins.
            cleanup_socket: remove the file when the server is closed. The default is that of
                the Python that runs: yes from 3.13 on, no before.

        Raises:
            ValueError: arguments that do not go together.
            OSError: the path cannot be bound.
        """
        inherited: Any = super()
        newer = {"cleanup_socket": cleanup_socket} if _REMOVES_UNIX_SOCKETS else {}
        made = await inherited.create_unix_server(
            protocol_factory,
            path,
            sock=sock,
            backlog=backlog,
            ssl=ssl,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
            start_serving=False,
            **newer,
        )
        if cleanup_socket and not _REMOVES_UNIX_SOCKETS:
            for listening in made._sockets:
                self._remember_to_remove(listening)
        server = Server(made)
        try:
            if start_serving:
                await server.start_serving()
        except BaseException:
            server.close()
            raise
        return server

    def _stop_serving(self, sock: socket.socket) -> None:
        ours = not _REMOVES_UNIX_SOCKETS and sock in self._unix_server_sockets
        path = sock.getsockname() if ours else None
        inherited: Any = super()
        inherited._stop_serving(sock)
        if path is not None:
            _remove_unix_socket(path, self._unix_server_sockets.pop(sock))

    def _remember_to_remove(self, sock: socket.socket) -> None:
        """Has the file of a Unix socket removed with the socket, if it is there then."""
        path = sock.getsockname()
        # Abstract addresses begin with a zero, and have no file.
        if path and path[0] not in (0, "\0"):
            with contextlib.suppress(FileNotFoundError):
                self._unix_server_sockets[sock] = os.stat(path).st_ino


def _remove_unix_socket(path: str | bytes, inode: int) -> None:
    """Removes the file of a Unix socket, unless another one has taken its place."""
    try:
        if os.stat(path).st_ino == inode:
            os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.error("Unable to clean up listening UNIX socket %r: %r", path, error)
