"""Sockets in the states that tests need."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator


def listener(backlog: int = 100, family: int = socket.AF_INET) -> socket.socket:
    """Return a non-blocking TCP socket that listens on a free port of the loopback."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    sock.listen(backlog)
    return sock


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return two TCP sockets connected to each other, the first blocking, the second not."""
    with listener() as sock:
        near = socket.create_connection(sock.getsockname())
        sock.setblocking(True)
        far, _ = sock.accept()
    far.setblocking(False)
    return near, far


@contextlib.contextmanager
def refused_address() -> Iterator[tuple[str, int]]:
    """Give an address where a connection is refused for as long as the block lasts.

    The port is bound, so that nobody else gets it, and does not listen.
    """
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


@contextlib.contextmanager
def kept_port() -> Iterator[int]:
    """Give a port of the loopback to a program that cannot be handed a socket.

    Nobody else gets it for as long as the block lasts: it is bound, and does not listen, so that
    one who sets SO_REUSEADDR can bind it as well.
    """
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@contextlib.contextmanager
def silent_address() -> Iterator[tuple[str, int]]:
    """Give an address where a connection attempt stays in progress.

    The queue of the listener is filled: the kernel answers no further SYN.
    """
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.socket())
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(sock.getsockname())
        yield sock.getsockname()


def has_ipv6() -> bool:
    """Tell whether the machine has a loopback with IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True
