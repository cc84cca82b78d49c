"""An HTTP/1.1 client that hides nothing: bytes out, and answers read to the letter of RFC 9112.

The tests of the server use it where a client library would repair, hide or refuse what they are
about. A `Wire` is one connection.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

from support.patience import SECONDS

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9]) ([\t \x21-\x7e\x80-\xff]*)")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t \x21-\x7e\x80-\xff]*?)[ \t]*")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")

_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

Headers = list[tuple[bytes, bytes]]


class Malformed(AssertionError):
    """The server sent what is not HTTP."""


class Truncated(AssertionError):
    """The connection ended before the answer did."""

    def __init__(self, what: str, received: bytes) -> None:
        super().__init__(f"the connection ended in {what} after {received[-200:]!r}")
        self.received = received


@dataclass
class Response:
    """An answer, as it came.

    Attributes:
        minor: The digit after ``HTTP/1.``.
        status: The status code.
        reason: The reason phrase.
        headers: Names in lower case and values, in their order.
        body: The body without its framing.
        framing: What ended the body: ``length``, ``chunked``, ``close`` or ``none``.
        chunks: The data of each chunk, if it came in chunks.
        trailers: The fields after the last chunk.
        head: The bytes up to the empty line.
    """

    minor: int
    status: int
    reason: bytes
    headers: Headers
    head: bytes
    framing: str = "none"
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    trailers: Headers = field(default_factory=list)

    def __getitem__(self, name: bytes) -> bytes:
        values = self.all(name)
        if len(values) != 1:
            raise KeyError(f"{len(values)} headers are called {name!r}: {self.headers}")
        return values[0]

    def __contains__(self, name: bytes) -> bool:
        return bool(self.all(name))

    def all(self, name: bytes) -> list[bytes]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key == name]

    @property
    def closes(self) -> bool:
        """Whether the server said that it closes the connection after this answer."""
        tokens = b",".join(self.all(b"connection")).lower().replace(b" ", b"").split(b",")
        return b"close" in tokens or (self.minor == 0 and b"keep-alive" not in tokens)


class Wire:
    """One connection to a server."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray()
        self._ended = False

    @classmethod
    def connect(cls, address: tuple[str, int] | str, *, receive_buffer: int | None = None) -> Wire:
        """Connect to a TCP address or to the path of a Unix socket."""
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        if not isinstance(address, str) and ":" in address[0]:
            family = socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(SECONDS)
            if receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.connect(address)
            if family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection: the server sees the end of the stream."""
        self.sock.close()

    def reset(self) -> None:
        """End the connection with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self.sock.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.sock.sendall(data)

    def send_what_is_taken(self, data: bytes) -> bool:
        """Send all of it; return False where the server has closed already."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def send_while_taking(self, data: bytes) -> None:
        """Send all of it, and take in what comes meanwhile, to be read later.

        By one thread, since two may not use a TLS connection at the same time.
        """
        left = memoryview(data)
        self.sock.setblocking(False)
        try:
            while left:
                moved = 0
                with contextlib.suppress(*_WOULD_BLOCK):
                    moved = self.sock.send(left[:65536])
                left = left[moved:]
                with contextlib.suppress(*_WOULD_BLOCK):
                    moved += self._more()
                if not moved and not any(select.select([self.sock], [self.sock], [], SECONDS)):
                    raise TimeoutError(f"the server has not taken the last {len(left)} bytes")
        finally:
            self.sock.settimeout(SECONDS)

    def request(
        self, method: str, path: str, headers: Headers | None = None, body: bytes | None = None
    ) -> Response:
        """Send a plain request and read its answer."""
        lines = [f"{method} {path} HTTP/1.1\r\nhost: server\r\n".encode()]
        lines += [name + b": " + value + b"\r\n" for name, value in headers or []]
        if body is not None:
            lines.append(b"content-length: %d\r\n" % len(body))
        self.send(b"".join(lines) + b"\r\n" + (body or b""))
        return self.response(method)

    def get(self, path: str, headers: Headers | None = None) -> Response:
        """Send a GET and read its answer."""
        return self.request("GET", path, headers)

    def is_readable(self, seconds: float = 0.0) -> bool:
        """Tell whether there is something to read, or the end of the stream."""
        return bool(self._buffer) or bool(select.select([self.sock], [], [], seconds)[0])

    def response(self, method: str = "GET", *, interim: bool = False) -> Response:
        """Read one answer to a request with that method.

        Args:
            method: What was asked for: there is no body after HEAD.
            interim: Also return an answer with a status of 1xx.
        """
        while True:
            response = self._head()
            if response.status >= 200 or response.status == 101 or interim:
                break
        self._body(response, method)
        return response

    def read(self, count: int, what: str = "what was expected") -> bytes:
        """Read exactly so many bytes."""
        while len(self._buffer) < count:
            if not self._more():
                raise Truncated(what, bytes(self._buffer))
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def read_until(self, end: bytes, what: str = "what was expected") -> bytes:
        """Read up to and including `end`."""
        start = 0
        while (found := self._buffer.find(end, start)) < 0:
            start = max(0, len(self._buffer) - len(end) + 1)
            if not self._more():
                raise Truncated(what, bytes(self._buffer))
        return self.read(found + len(end))

    def some(self) -> bytes:
        """Read what there is, waiting for something; empty at the end of the stream."""
        if not self._buffer:
            self._more()
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def rest(self) -> bytes:
        """Read to the end of the stream."""
        while self._more():
            pass
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def ends(self) -> bool:
        """Wait for the end of the stream; fail if something else comes first.

        Returns:
            Whether it ended with a FIN, not with an RST.
        """
        try:
            data = self.rest()
        except ConnectionResetError:
            return False
        assert not data, f"more came than was expected: {data[:300]!r}"
        return True

    def is_open(self) -> bool:
        """Tell whether the server has left the connection as it is, without anything to read."""
        return not self.is_readable()

    def _more(self) -> bool:
        if self._ended:
            return False
        data = self.sock.recv(262144)
        self._buffer += data
        self._ended = not data
        return bool(data)

    def _line(self, what: str) -> bytes:
        line = self.read_until(b"\r\n", what)[:-2]
        if b"\n" in line or b"\r" in line:
            raise Malformed(f"a line break in {what}: {line!r}")
        return line

    def _fields(self, what: str) -> Headers:
        headers = []
        while line := self._line(what):
            match = _HEADER.fullmatch(line)
            if match is None:
                raise Malformed(f"{what}: {line!r}")
            headers.append((match[1].lower(), match[2]))
        return headers

    def _head(self) -> Response:
        status = self._line("the status line")
        match = _STATUS_LINE.fullmatch(status)
        if match is None:
            raise Malformed(f"the status line: {status!r}")
        headers = self._fields("the headers")
        head = b"".join([status, b"\r\n", *(b"%b: %b\r\n" % pair for pair in headers), b"\r\n"])
        return Response(int(match[1]), int(match[2]), match[3], headers, head)

    def _body(self, response: Response, method: str) -> None:
        """RFC 9112, section 6.3."""
        codings, lengths = response.all(b"transfer-encoding"), response.all(b"content-length")
        if codings and (response.status < 200 or response.status == 204 or response.minor == 0):
            raise Malformed(f"a transfer coding where none may be: {response.head!r}")
        if lengths and (response.status < 200 or response.status == 204):
            raise Malformed(f"a length where none may be: {response.head!r}")
        if (codings and lengths) or len(lengths) > 1 or len(codings) > 1:
            raise Malformed(f"an ambiguous length: {response.head!r}")
        if lengths and not re.fullmatch(rb"[0-9]+", lengths[0]):
            raise Malformed(f"the length: {lengths[0]!r}")
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            return
        if codings:
            if codings[0].lower() != b"chunked":
                raise Malformed(f"the transfer coding: {codings[0]!r}")
            response.framing = "chunked"
            self._chunks(response)
            response.body = b"".join(response.chunks)
        elif lengths:
            response.framing = "length"
            response.body = self.read(int(lengths[0]), "the body")
        else:
            response.framing = "close"
            response.body = self.rest()

    def _chunks(self, response: Response) -> None:
        for data in self.chunks():
            response.chunks.append(data)
        response.trailers = self._fields("the trailers")

    def chunks(self) -> Iterator[bytes]:
        """Give the data of each chunk up to the last one; the trailers are left."""
        while True:
            size = self._line("the size of a chunk")
            if not _CHUNK_SIZE.fullmatch(size):
                raise Malformed(f"the size of a chunk: {size!r}")
            if int(size, 16) == 0:
                return
            yield self.read(int(size, 16), "a chunk")
            if self.read(2, "the end of a chunk") != b"\r\n":
                raise Malformed("no line break after a chunk")

    def head(self) -> Response:
        """Read the head of an answer and leave its body."""
        return self._head()


def within(sign: Callable[[], object], what: str) -> None:
    """Wait until `sign()` is true, for what only asking again can tell."""
    deadline = time.monotonic() + SECONDS
    while not sign():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {SECONDS:g} s: {what}")
        time.sleep(0.01)
