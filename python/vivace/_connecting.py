"""`create_connection` where the standard library's does not do, and transports for sockets.

Most connections are made by the standard library's own `create_connection`. Two cases are ours:

- several addresses at once (`happy_eyeballs_delay`): the standard library's race leaves a
  connected socket behind when it is cancelled in the turn in which somebody won, and in older
  versions leaves attempts running, or does not work with eager tasks. Whoever has put another
  race in its place (`asyncio.staggered.staggered_race`) gets that one, as under asyncio;
- `all_errors` on Python 3.11, which has no such keyword.

`sock_accept` is here as well: cancelled, it neither takes a connection nor loses one.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import socket
import sys
from asyncio import base_events, staggered
from asyncio.log import logger
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

__all__ = ["ConnectingLoop"]

_ProtocolT = TypeVar("_ProtocolT", bound=asyncio.BaseProtocol)

_STOCK_RACE = staggered.staggered_race
_HAS_ALL_ERRORS = sys.version_info >= (3, 12)


class ConnectingLoop(asyncio.SelectorEventLoop):
    """The part of the loop that makes connections."""

    __slots__ = ()

    if TYPE_CHECKING:
        _debug: bool

        async def _connect_sock(
            self, exceptions: list[list[Exception]], addr_info: Any, local_addr_infos: Any
        ) -> socket.socket: ...
        def _ensure_fd_no_transport(self, fd: Any) -> None: ...
        def _ensure_fd_no_pipe(self, fd: Any, *, read: bool, write: bool) -> None: ...

    async def create_connection(
        self,
        protocol_factory: Callable[[], _ProtocolT],
        host: Any = None,
        port: int | str | bytes | None = None,
        *,
        ssl: Any = None,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        sock: socket.socket | None = None,
        local_addr: tuple[str, int] | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        happy_eyeballs_delay: float | None = None,
        interleave: int | None = None,
        all_errors: bool = False,
    ) -> tuple[asyncio.Transport, _ProtocolT]:
        """Connects to a TCP server; as asyncio's, with every keyword up to Python 3.14.

        Args:
            protocol_factory: makes the protocol, once the socket is connected.
            happy_eyeballs_delay: seconds after which the next address is tried while the one
                before has not answered.
            interleave: how many addresses of the first family come before they alternate with
                those of the others; 1 if there is a delay, else 0.
            all_errors: raise an `ExceptionGroup` of what went wrong with each address.

        Returns:
            The transport and the protocol.

        Raises:
            ValueError: arguments that do not go together.
            OSError: no address could be connected to.
            ExceptionGroup: the same, with `all_errors`.
        """
        addressed = host is not None or port is not None
        if not addressed or (happy_eyeballs_delay is None and (_HAS_ALL_ERRORS or not all_errors)):
            newer = {"all_errors": all_errors} if _HAS_ALL_ERRORS else {}
            inherited: Any = super()
            made: tuple[asyncio.Transport, _ProtocolT] = await inherited.create_connection(
                protocol_factory,
                host,
                port,
                ssl=ssl,
                family=family,
                proto=proto,
                flags=flags,
                sock=sock,
                local_addr=local_addr,
                server_hostname=server_hostname,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
                happy_eyeballs_delay=happy_eyeballs_delay,
                interleave=interleave,
                **newer,
            )
            return made

        _check_arguments(
            host, sock, ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout
        )
        resolution = {"family": family, "proto": proto, "flags": flags}
        addresses = await self._resolved((host, port), **resolution)
        local = None if local_addr is None else await self._resolved(local_addr, **resolution)
        if interleave is None and happy_eyeballs_delay is not None:
            interleave = 1
        if interleave:
            addresses = base_events._interleave_addrinfos(  # type: ignore[attr-defined]
                addresses, interleave
            )
        failures: list[list[Exception]] = []
        attempts = [
            functools.partial(self._connect_sock, failures, address, local) for address in addresses
        ]
        if happy_eyeballs_delay is None:
            connected = await _one_after_another(attempts)
        else:
            connected = await (
                _race(self, attempts, happy_eyeballs_delay)
                if staggered.staggered_race is _STOCK_RACE
                else _race_of_others(self, attempts, happy_eyeballs_delay)
            )
        if connected is None:
            reasons = [error for each in failures for error in each]
            failures.clear()
            _raise(reasons, all_errors)
        transport, protocol = await self._create_connection_transport(
            connected,
            protocol_factory,
            ssl,
            host if ssl and server_hostname is None else server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        if self._debug:
            logger.debug(
                "%r connected to %s:%r: (%r, %r)",
                transport.get_extra_info("socket"),
                host,
                port,
                transport,
                protocol,
            )
        return transport, protocol

    async def _resolved(self, address: Any, **options: int) -> Sequence[Any]:
        loop: Any = self
        found: Sequence[Any] = await loop._ensure_resolved(
            address, type=socket.SOCK_STREAM, loop=self, **options
        )
        if not found:
            raise OSError("getaddrinfo() returned empty list")
        return found

    async def _create_connection_transport(
        self,
        sock: socket.socket,
        protocol_factory: Callable[[], _ProtocolT],
        ssl: Any,
        server_hostname: str | None,
        server_side: bool = False,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[asyncio.Transport, _ProtocolT]:
        """A transport for a connected socket, which is closed if there cannot be one."""
        loop: Any = self
        waiter = self.create_future()
        try:
            sock.setblocking(False)
            protocol = protocol_factory()
            if ssl:
                transport = loop._make_ssl_transport(
                    sock,
                    protocol,
                    None if isinstance(ssl, bool) else ssl,
                    waiter,
                    server_side=server_side,
                    server_hostname=server_hostname,
                    ssl_handshake_timeout=ssl_handshake_timeout,
                    ssl_shutdown_timeout=ssl_shutdown_timeout,
                )
            else:
                transport = loop._make_socket_transport(sock, protocol, waiter)
        except BaseException:
            if not self._has_owner(sock):
                sock.close()
            raise
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        """Accepts a connection of a non-blocking listening socket.

        Returns:
            The new socket, non-blocking, and the address of the other side.
        """
        base_events._check_ssl_socket(sock)  # type: ignore[attr-defined]
        if self._debug and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")
        accepted: asyncio.Future[tuple[socket.socket, Any]] = self.create_future()
        self._sock_accept(accepted, sock)
        try:
            return await accepted
        except BaseException:
            # Cancelled in the very turn in which there was a connection: nobody will have it.
            if accepted.done() and not accepted.cancelled() and accepted.exception() is None:
                accepted.result()[0].close()
            raise

    def _sock_accept(self, fut: asyncio.Future[Any], sock: socket.socket) -> None:
        # Cancelled in this turn, it must not take a connection from the queue.
        if not fut.done():
            inherited: Any = super()
            inherited._sock_accept(fut, sock)

    def _has_owner(self, sock: Any) -> bool:
        try:
            self._ensure_fd_no_transport(sock)
            self._ensure_fd_no_pipe(sock, read=True, write=True)
        except RuntimeError:
            return True
        except ValueError:
            pass
        return False


if TYPE_CHECKING:
    # Begins to connect to one address.
    _Attempt = Callable[[], Coroutine[Any, Any, socket.socket]]


async def _one_after_another(attempts: Sequence[_Attempt]) -> socket.socket | None:
    """The first socket that connects; an attempt begins when the one before has failed."""
    for attempt in attempts:
        try:
            return await attempt()
        except OSError:
            continue
    return None


async def _race(
    loop: asyncio.AbstractEventLoop, attempts: Sequence[_Attempt], delay: float
) -> socket.socket | None:
    """The first socket that connects; an attempt begins when one has failed, or after `delay`.

    However it ends, no attempt is left running and no other socket is left open.
    """
    running: set[asyncio.Task[socket.socket]] = set()
    winner = None
    try:
        winner = await _first_to_connect(loop, attempts, delay, running)
        _cancel(running)
        if running:
            await asyncio.wait(running)
    except BaseException as error:
        if winner is not None:
            winner.close()
        _cancel(running)
        # Nothing can be waited for in a coroutine that is being closed.
        if running and not isinstance(error, GeneratorExit):
            await asyncio.wait(running)
        raise
    return winner


async def _race_of_others(
    loop: asyncio.AbstractEventLoop, attempts: Sequence[_Attempt], delay: float
) -> socket.socket | None:
    """The socket that somebody's own race finds."""
    won: Sequence[Any] = await staggered.staggered_race(attempts, delay, loop=loop)
    connected: socket.socket | None = won[0]
    return connected


async def _first_to_connect(
    loop: asyncio.AbstractEventLoop,
    attempts: Sequence[_Attempt],
    delay: float,
    running: set[asyncio.Task[socket.socket]],
) -> socket.socket | None:
    """Leaves in `running` the attempts that have not failed, except the one that won."""
    waiting = collections.deque(attempts)
    while waiting or running:
        if waiting:
            running.add(loop.create_task(waiting.popleft()()))
        finished, _ = await asyncio.wait(
            running, timeout=delay if waiting else None, return_when=asyncio.FIRST_COMPLETED
        )
        running -= finished
        for task in finished:
            if _has_connected(task):
                running |= finished - {task}
                return task.result()
    return None


def _has_connected(task: asyncio.Task[socket.socket]) -> bool:
    """Whether an attempt that is over has a socket.

    Raises:
        Exception: It failed for another reason than the network.
    """
    if task.cancelled():
        return False
    failure = task.exception()
    try:
        if failure is None or isinstance(failure, OSError):
            return failure is None
        raise failure
    finally:
        # Else the failure would hold this frame, which holds the failure.
        del failure, task


def _cancel(tasks: set[asyncio.Task[socket.socket]]) -> None:
    for task in tasks:
        task.add_done_callback(_close_result)
        task.cancel()


def _close_result(task: asyncio.Task[socket.socket]) -> None:
    """An attempt that is not wanted any more has connected all the same."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _raise(failures: list[Exception], all_errors: bool) -> NoReturn:
    """Says why no address could be connected to."""
    try:
        if all_errors:
            raise ExceptionGroup("create_connection failed", failures)
        if not failures:
            raise TimeoutError("create_connection failed")
        texts = [str(failure) for failure in failures]
        if len(set(texts)) == 1:
            raise failures[0]
        raise OSError(f"Multiple exceptions: {', '.join(texts)}")
    finally:
        # An exception must not hold the frame that holds it.
        failures.clear()


def _check_arguments(
    host: Any,
    sock: Any,
    ssl: Any,
    server_hostname: str | None,
    ssl_handshake_timeout: float | None,
    ssl_shutdown_timeout: float | None,
) -> None:
    """What goes together, with asyncio's errors.

    Raises:
        ValueError: something does not.
    """
    for name, value in (
        ("server_hostname", server_hostname),
        ("ssl_handshake_timeout", ssl_handshake_timeout),
        ("ssl_shutdown_timeout", ssl_shutdown_timeout),
    ):
        if value is not None and not ssl:
            raise ValueError(f"{name} is only meaningful with ssl")
    if ssl and server_hostname is None and not host:
        raise ValueError("You must set server_hostname when using ssl without a host")
    if sock is not None:
        base_events._check_ssl_socket(sock)  # type: ignore[attr-defined]
        raise ValueError("host/port and sock can not be specified at the same time")
