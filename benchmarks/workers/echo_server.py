"""An echo server on one loop, written against one of asyncio's interfaces.

    python echo_server.py LOOP INTERFACE ENDPOINT LIFETIME [FOLDER]

ENDPOINT is `tcp:127.0.0.1:0`, `tls:127.0.0.1:0` (with the FOLDER of `certificate.pem` and
`key.pem`), `unix:/path` or `udp:127.0.0.1:0`. Prints `listening ENDPOINT` and serves until it is
ended, or until LIFETIME seconds are over. Started by `suites/echo.py`.
"""

import asyncio
import signal
import ssl
import sys
from asyncio import AbstractEventLoop, BaseTransport
from pathlib import Path
from typing import cast

from loops import new_event_loop

# As much as the bare server receives at once.
RECEIVE_BUFFER = 256 * 1024


class EchoProtocol(asyncio.Protocol):
    """Writes what it is given."""

    transport: asyncio.Transport

    def connection_made(self, transport: BaseTransport) -> None:
        """Keeps the transport to write to."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Writes the bytes back."""
        self.transport.write(data)


class EchoBufferedProtocol(asyncio.BufferedProtocol):
    """Writes what was received into a buffer of its own, without a copy.

    A transport may keep the memory it is given until the kernel has taken it, so the next bytes
    go behind those that may be on their way, and to the front again once nothing is.
    """

    transport: asyncio.Transport

    def connection_made(self, transport: BaseTransport) -> None:
        """Keeps the transport to write to, and makes the buffer."""
        self.transport = cast(asyncio.Transport, transport)
        self.buffer = memoryview(bytearray(RECEIVE_BUFFER))
        self.end = 0

    def get_buffer(self, sizehint: int) -> memoryview:
        """Returns the part of the buffer that nobody uses."""
        if self.end and self.transport.get_write_buffer_size():
            return self.buffer[self.end :]
        self.end = 0
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Writes the bytes back."""
        begin = self.end
        self.end = begin + nbytes
        self.transport.write(self.buffer[begin : self.end])


class EchoDatagramProtocol(asyncio.DatagramProtocol):
    """Sends each datagram back."""

    transport: asyncio.DatagramTransport

    def connection_made(self, transport: BaseTransport) -> None:
        """Keeps the transport to send on."""
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: object) -> None:
        """Sends it back to its sender."""
        self.transport.sendto(data, address)  # type: ignore[arg-type]


async def echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Writes what it reads, with back-pressure, until the client closes."""
    try:
        while data := await reader.read(RECEIVE_BUFFER):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


PROTOCOLS: dict[str, type[asyncio.BaseProtocol]] = {
    "protocol": EchoProtocol,
    "buffered": EchoBufferedProtocol,
}


async def listen(
    loop: AbstractEventLoop, interface: str, endpoint: str, security: ssl.SSLContext | None
) -> tuple[str, object]:
    """Starts the server; returns its endpoint with the real port, and what keeps it alive."""
    kind, _, address = endpoint.partition(":")
    if kind == "unix":
        if interface == "streams":
            return endpoint, await asyncio.start_unix_server(echo_stream, address)
        return endpoint, await loop.create_unix_server(PROTOCOLS[interface], address)
    host, _, port = address.rpartition(":")
    if kind == "udp":
        transport, _ = await loop.create_datagram_endpoint(
            EchoDatagramProtocol, local_addr=(host, int(port))
        )
        host, port = transport.get_extra_info("sockname")[:2]
        return f"udp:{host}:{port}", transport
    if interface == "streams":
        server = await asyncio.start_server(echo_stream, host, int(port), ssl=security)
    else:
        server = await loop.create_server(PROTOCOLS[interface], host, int(port), ssl=security)
    host, port = server.sockets[0].getsockname()[:2]
    return f"{kind}:{host}:{port}", server


def main() -> None:
    """Serves on the loop, interface and endpoint of the command line."""
    package, interface, endpoint, lifetime, *folder = sys.argv[1:]
    # The default action of SIGALRM ends the process without a timer in the loop.
    signal.alarm(int(lifetime))
    security = None
    if folder:
        security = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        security.load_cert_chain(Path(folder[0], "certificate.pem"), Path(folder[0], "key.pem"))
    loop = new_event_loop(package)
    asyncio.set_event_loop(loop)
    bound, _alive = loop.run_until_complete(listen(loop, interface, endpoint, security))
    print("listening", bound, flush=True)
    loop.run_forever()


if __name__ == "__main__":
    main()
