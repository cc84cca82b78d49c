"""How much a web server's memory grows with each connection that is kept alive and does nothing."""

import resource
import socket
from contextlib import ExitStack

from harness.http_servers import Server, ServerError

CONNECTIONS = 2000
_WARM_UP = 50
_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_BODY = b"Hello, world!"


def bytes_per_connection(server: Server) -> float:
    """Opens connections that each make one request, and returns the growth for each.

    Raises:
        ServerError: If a request is not answered.
    """
    _allow_descriptors(CONNECTIONS + 200)
    with ExitStack() as stack:
        for _ in range(_WARM_UP):
            stack.enter_context(_idle_connection(server))
        before = server.resident_bytes()
        for _ in range(CONNECTIONS):
            stack.enter_context(_idle_connection(server))
        return (server.resident_bytes() - before) / CONNECTIONS


def _idle_connection(server: Server) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(_REQUEST)
    answer = b""
    while not answer.endswith(_BODY):
        received = connection.recv(4096)
        if not received:
            raise ServerError(f"closed a connection after {answer[:100]!r}")
        answer += received
    return connection


def _allow_descriptors(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
