"""The kinds of echo suites: what the bytes go over, and how many at once."""

from dataclasses import dataclass

# The name of the bare server among the servers of a record.
LIMIT = "bare server"


@dataclass(frozen=True)
class Traffic:
    """One kind of echo suite.

    Attributes:
        name: The suite's name on the command line.
        title: Its name in the tables.
        endpoint: What servers listen on; `{}` is replaced by a path that is free.
        interfaces: Those of `workers/echo_server.py`.
        sizes: Bytes per message.
        connections: Numbers of connections.
        limit: Whether there is a bare server to compare with.
        tls: Whether the bytes are encrypted.
    """

    name: str
    title: str
    endpoint: str
    interfaces: tuple[str, ...]
    sizes: tuple[int, ...] = (100, 1024, 16 * 1024, 100_000)
    connections: tuple[int, ...] = (1, 10, 100)
    limit: bool = True
    tls: bool = False

    @property
    def cells(self) -> list[str]:
        """Every combination of connections and bytes, as the tables name it."""
        return [f"{count} x {size}" for count in self.connections for size in self.sizes]


TCP = Traffic("echo", "TCP echo", "tcp:127.0.0.1:0", ("protocol", "buffered", "streams"))
UNIX = Traffic("unix", "Unix socket echo", "unix:{}", ("protocol", "streams"))
# No more than the receive buffer of one socket holds, so that no datagram is lost.
UDP = Traffic(
    "udp", "UDP echo", "udp:127.0.0.1:0", ("datagram",), (100, 1024), connections=(1, 10, 50)
)
TLS = Traffic(
    "tls",
    "TLS echo",
    "tls:127.0.0.1:0",
    ("protocol", "streams"),
    (100, 16 * 1024, 100_000),
    limit=False,
    tls=True,
)
