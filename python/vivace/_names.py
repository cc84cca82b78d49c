"""Looking up names: at once for what is a number already, in a thread for the rest.

`getaddrinfo` of an address and a port number, and `getnameinfo` that is to answer in numbers, ask
nobody: they need no thread, and no turn of the loop. Answers and errors are the resolver's own
either way, for it is the resolver that is called.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from socket import _GetAddrInfoResult

__all__ = ["NamesLoop"]

# What an address literal consists of.
_ADDRESS_CHARACTERS = frozenset("0123456789abcdefABCDEF.:")

_NUMERIC_ANSWER = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


class NamesLoop(asyncio.SelectorEventLoop):
    """The part of the loop that looks up names."""

    __slots__ = ()

    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> _GetAddrInfoResult:
        """As `socket.getaddrinfo`, in a thread unless host and port are numbers or None."""
        if _is_address(host) and _is_port(port):
            numeric = flags | socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            try:
                return socket.getaddrinfo(host, port, family, type, proto, numeric)
            except socket.gaierror:
                pass  # Not an address after all: the resolver answers or raises.
        return await super().getaddrinfo(
            host, port, family=family, type=type, proto=proto, flags=flags
        )

    async def getnameinfo(
        self, sockaddr: tuple[str, int] | tuple[str, int, int, int], flags: int = 0
    ) -> tuple[str, str]:
        """As `socket.getnameinfo`, in a thread unless the answer is to be in numbers."""
        if isinstance(flags, int) and flags & _NUMERIC_ANSWER == _NUMERIC_ANSWER:
            return socket.getnameinfo(sockaddr, flags)
        return await super().getnameinfo(sockaddr, flags)


def _is_port(port: Any) -> bool:
    """Whether a port needs no table of services."""
    if isinstance(port, bytes):
        return port.isdigit()
    if isinstance(port, str):
        return port.isdecimal()
    return port is None or isinstance(port, int)


def _is_address(host: Any) -> bool:
    """Whether a host needs no resolver."""
    if host is None:
        return True
    if isinstance(host, bytes):
        try:
            host = host.decode("ascii")
        except UnicodeDecodeError:
            return False
    if not isinstance(host, str) or not host:
        return False
    # A zone (fe80::1%eth0) is looked up among the interfaces, not in the network.
    address = host.partition("%")[0]
    return ("." in address or ":" in address) and _ADDRESS_CHARACTERS.issuperset(address)
