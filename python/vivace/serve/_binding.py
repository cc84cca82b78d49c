"""Makes the sockets that a server listens on, before anything else can fail or take time.

A socket is bound here and nothing more: connections are refused until a server that is ready
calls ``listen``. So an address in use is told at once, and nobody is let in too early.

Workers. Each has, for each TCP address, a socket of its own, with SO_REUSEPORT: the kernel
spreads new connections evenly over them. The parent makes these sockets and keeps them open, so
that none is closed while its queue holds connections, which would be reset: a worker's successor,
or a neighbour until there is one, takes the queue over. Unix sockets and those that were passed
to us cannot be multiplied; all workers accept from them.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ._addresses import Address, Descriptor, TcpAddress, UnixAddress

__all__ = ["BindError", "Binding", "Bound", "SharedSocket", "bind_all", "describe"]

# uvicorn's permissions of a Unix socket that was not there before.
_UNIX_PERMISSIONS = 0o666


class BindError(OSError):
    """An address cannot be listened on."""


@dataclass
class Bound:
    """The sockets of one address: several if its host has several addresses.

    ``owned_path`` is the Unix socket's file and its inode, which is ours to remove.
    """

    address: Address
    sockets: list[socket.socket]
    owned_path: tuple[str, int] | None = None

    def close(self) -> None:
        """Close the sockets of this process."""
        for sock in self.sockets:
            sock.close()

    def remove_path(self) -> None:
        """Remove the Unix socket's file, unless somebody else has put his own there since."""
        if self.owned_path is None:
            return
        path, inode = self.owned_path
        self.owned_path = None
        try:
            if os.stat(path).st_ino == inode:
                os.unlink(path)
        except FileNotFoundError:
            pass


@dataclass
class Binding:
    """All addresses of a server."""

    bound: list[Bound] = field(default_factory=list)

    @property
    def sockets(self) -> list[socket.socket]:
        """The sockets of all addresses."""
        return [sock for bound in self.bound for sock in bound.sockets]

    def close(self) -> None:
        """Close the sockets of this process; files of Unix sockets stay."""
        for bound in self.bound:
            bound.close()

    def remove_paths(self) -> None:
        """Remove the files of Unix sockets."""
        for bound in self.bound:
            bound.remove_path()


class SharedSocket(socket.socket):
    """A socket that other processes accept from as well.

    asyncio sets the length of the queue to that of the server that begins to accept; here it
    stays what it is, or clients would be turned away whenever a worker starts.
    """

    _queue: int

    @classmethod
    def of(cls, sock: socket.socket, queue: int) -> SharedSocket:
        """Take over a socket.

        Args:
            sock: Not to be used any more.
            queue: How many connections may wait.
        """
        shared = cls(fileno=sock.detach())
        shared._queue = queue
        return shared

    def listen(self, backlog: int = 0, /) -> None:
        """Listen with the queue that all have agreed upon."""
        super().listen(self._queue)


def bind_all(addresses: Iterable[Address], *, reuse_port: bool = False) -> Binding:
    """Bind each address.

    Args:
        addresses: Where to listen.
        reuse_port: Whether `another` will be asked for more sockets of the TCP addresses.

    Raises:
        BindError: One of them cannot be bound; nothing stays bound then.
    """
    binding = Binding()
    try:
        for address in addresses:
            binding.bound.append(_bind(address, reuse_port))
    except BaseException:
        binding.close()
        binding.remove_paths()
        raise
    return binding


def another(bound: Bound) -> Bound:
    """Bind a TCP address, bound with `reuse_port`, once more, for one more worker.

    Raises:
        BindError: That failed.
    """
    copies: list[socket.socket] = []
    for sock in bound.sockets:
        copies.append(_tcp_socket(sock.family, sock.getsockname(), reuse_port=True))
    return Bound(bound.address, copies)


def describe(bound: Bound, scheme: str) -> tuple[str, list[str | int]]:
    """The format and the arguments that name the address in the log, as uvicorn does."""
    match bound.address:
        case UnixAddress(path):
            return "unix socket %s", [path]
        case Descriptor():
            return "socket %s", [_name(bound.sockets[0])]
        case TcpAddress(host):
            host = host or "0.0.0.0"
            port: int = bound.sockets[0].getsockname()[1]
            return ("%s://[%s]:%d" if ":" in host else "%s://%s:%d"), [scheme, host, port]


def _name(sock: socket.socket) -> str:
    return f"{sock.getsockname()}"


def _bind(address: Address, reuse_port: bool) -> Bound:
    match address:
        case UnixAddress(path):
            return _bind_unix(path)
        case Descriptor(number):
            return Bound(address, [_adopt(number)])
        case TcpAddress():
            return Bound(address, _bind_tcp(address, reuse_port))


def _bind_tcp(address: TcpAddress, reuse_port: bool) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        for family, target in _resolve(address):
            # The addresses of one host get one port, also if it is the kernel's choice.
            if address.port == 0 and sockets:
                target = (target[0], sockets[0].getsockname()[1], *target[2:])
            try:
                if reuse_port:
                    # Another server would share the address with ours, unless asked like this.
                    probe = _tcp_socket(family, target, reuse_port=False)
                    target = probe.getsockname()
                    probe.close()
                sockets.append(_tcp_socket(family, target, reuse_port=reuse_port))
            except OSError as error:
                # A name may stand for a family that the machine does not speak.
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and (
                    not _is_number(address.host)
                ):
                    failure = error
                    continue
                raise
        if not sockets:
            raise failure
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _resolve(address: TcpAddress) -> Sequence[tuple[socket.AddressFamily, tuple[str, int]]]:
    try:
        found = socket.getaddrinfo(
            address.host or None,
            address.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
    except (OSError, UnicodeError) as error:
        raise BindError(f"no address for the host {address.host!r}: {error}") from None
    # The same address twice would be in its own way.
    unique = dict.fromkeys((family, target) for family, _, _, _, target in found)
    return list(unique)  # type: ignore[arg-type]  # TCP has no address that is bytes


def _is_number(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, UnicodeError):
            continue
        return True
    return False


def _tcp_socket(
    family: socket.AddressFamily | int, target: tuple[str, int], *, reuse_port: bool
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # One address, one family: 0.0.0.0 and [::] can be bound beside each other.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(target)
    except OSError as error:
        sock.close()
        reason = (error.strerror or f"{error}").lower()
        message = f"error while attempting to bind on address {target!r}: {reason}"
        raise BindError(error.errno, message) from None
    return sock


def _bind_unix(path: str) -> Bound:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    permissions = _UNIX_PERMISSIONS
    try:
        sock.setblocking(False)
        before = _left_behind(path)
        if before is not None:
            permissions = before
            os.unlink(path)
        sock.bind(path)
        os.chmod(path, permissions)
        inode = os.stat(path).st_ino
    except OSError as error:
        sock.close()
        reason = (error.strerror or f"{error}").lower()
        raise BindError(
            error.errno, f"error while attempting to bind on unix socket {path!r}: {reason}"
        ) from None
    return Bound(UnixAddress(path), [sock], owned_path=(path, inode))


def _left_behind(path: str) -> int | None:
    """The permissions of a socket that nobody listens on any more, or None if there is none.

    Raises:
        OSError: There is something else, or a server that answers.
    """
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISSOCK(there.st_mode):
        raise FileExistsError(errno.EEXIST, "there is a file that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(path)
        except ConnectionRefusedError:
            return stat.S_IMODE(there.st_mode)
        except BlockingIOError:
            # Its queue is full, so it has one.
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _adopt(number: int) -> socket.socket:
    """A socket object for a descriptor that was left open for us, which stays open."""
    try:
        sock = socket.socket(fileno=os.dup(number))
    except OSError as error:
        reason = (error.strerror or f"{error}").lower()
        raise BindError(error.errno, f"descriptor {number} cannot be served: {reason}") from None
    if sock.type != socket.SOCK_STREAM:
        sock.close()
        raise BindError(errno.EINVAL, f"descriptor {number} is no stream socket")
    sock.setblocking(False)
    return sock
