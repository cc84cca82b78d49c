"""HTTP/2 by hand: a client that shows every frame, over a socket of its own.

The frames are those of PyPI's `h2`; nothing is sent that a test has not said, not even window
updates, and what the package would refuse to send can be sent as bytes.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from support.patience import SECONDS

Fields = Iterable[tuple[str, str]]
E = TypeVar("E", bound=h2.events.Event)


@dataclass
class Answer:
    """What has come on one stream."""

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    hints: list[list[tuple[bytes, bytes]]] = field(default_factory=list)
    trailers: list[tuple[bytes, bytes]] | None = None
    body: bytes = b""
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        """The status of the response."""
        return int(dict(self.headers)[b":status"])

    def values(self, name: str) -> list[bytes]:
        """The values of the fields with this name."""
        return [value for key, value in self.headers if key == name.encode()]


class Http2Wire:
    """A connection that speaks HTTP/2.

    Attributes:
        goaways: The error codes of the GOAWAY frames that have come.
        closed: The server has closed the connection.
        scheme: What requests give as their scheme.
    """

    def __init__(
        self, sock: socket.socket, *, settings: dict[int, int] | None = None, begin: bool = True
    ) -> None:
        self.sock = sock
        sock.settimeout(SECONDS)
        config = h2.config.H2Configuration(
            client_side=True,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=True,
        )
        self.h2 = h2.connection.H2Connection(config)
        if settings:
            self.h2.update_settings(settings)
            self.h2.clear_outbound_data_buffer()
            self.h2.local_settings = h2.settings.Settings(client=True, initial_values=settings)
        self.answers: dict[int, Answer] = {}
        self.events: list[h2.events.Event] = []
        self.goaways: list[int] = []
        self.closed = False
        self.scheme = "http"
        self._partial = b""
        if begin:
            self.h2.initiate_connection()
            self.flush()

    @classmethod
    def connect(cls, server: Any, **options: Any) -> Http2Wire:
        """Connect to a server with prior knowledge."""
        sock = socket.create_connection(("127.0.0.1", server.port), SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(sock, **options)

    def __enter__(self) -> Http2Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.sock.close()

    def flush(self) -> None:
        """Send what `self.h2` has prepared."""
        self.sock.sendall(self.h2.data_to_send())

    def ask(self, path: str, *more: tuple[str, str], method: str = "GET", end: bool = True) -> int:
        """Send the head of a request; return its stream."""
        return self.ask_with(
            [
                (":method", method),
                (":scheme", self.scheme),
                (":authority", "a.example"),
                (":path", path),
                *more,
            ],
            end=end,
        )

    def ask_with(self, fields: Fields, *, end: bool = True) -> int:
        """Send these fields as the head of a request, wrong ones too; return its stream."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, list(fields), end_stream=end)
        self.answers[stream] = Answer()
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send content as far as the windows allow; the rest when they open."""
        while True:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            part, data = data[:room], data[room:]
            self.h2.send_data(stream, part, end_stream=end and not data)
            self.flush()
            if not data:
                return
            self.until(lambda: self.h2.local_flow_control_window(stream) > 0)

    def reset(self, stream: int, code: int = 8) -> None:
        """Reset a stream."""
        self.h2.reset_stream(stream, code)
        self.flush()

    def open_window(self, size: int, stream: int | None = None) -> None:
        """Let the server send more on the connection, or on a stream."""
        self.h2.increment_flow_control_window(size, stream)
        self.flush()

    def until(self, done: Callable[[], bool]) -> None:
        """Read until something is so."""
        deadline = time.monotonic() + SECONDS
        while not done():
            assert not self.closed, f"the server has closed: {self.goaways} {self.answers}"
            assert time.monotonic() < deadline, f"it did not happen: {self.answers}"
            self.read()

    def read(self) -> None:
        """Read once, and note what has come."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return
        self._partial += data
        while len(self._partial) >= 9:
            end = 9 + int.from_bytes(self._partial[:3], "big")
            if len(self._partial) < end:
                break
            frame, self._partial = self._partial[:end], self._partial[end:]
            # One by one: the package takes nothing after a GOAWAY.
            try:
                events = self.h2.receive_data(frame)
            except h2.exceptions.StreamClosedError:
                events = []
            for event in events:
                self.events.append(event)
                self._note(event)
        try:
            self.flush()
        except OSError:
            self.closed = True

    def until_closed(self) -> None:
        """Read until the server closes."""
        deadline = time.monotonic() + SECONDS
        while not self.closed:
            assert time.monotonic() < deadline, "the server does not close"
            self.read()

    def answer(self, stream: int, *, windows: bool = True) -> Answer:
        """Read until a stream is over; open the windows for all that comes unless told not to."""
        answer = self.answers[stream]
        seen = len(answer.body)
        while not answer.ended and answer.reset is None:
            assert not self.closed, f"the server has closed: {self.goaways} {answer}"
            self.read()
            if windows and not answer.ended and len(answer.body) > seen:
                self.open_window(len(answer.body) - seen)
                self.open_window(len(answer.body) - seen, stream)
                seen = len(answer.body)
        return answer

    def get(self, path: str, *more: tuple[str, str], method: str = "GET") -> Answer:
        """Ask for something and read the answer."""
        return self.answer(self.ask(path, *more, method=method))

    def seen(self, kind: type[E]) -> list[E]:
        """The events of a kind that have come."""
        return [event for event in self.events if isinstance(event, kind)]

    def _note(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append(int(event.error_code))
            # The package takes a GOAWAY for the end; streams that are open go on.
            self.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
            return
        answer = self.answers.get(getattr(event, "stream_id", None) or 0)
        if answer is None:
            return
        match event:
            case h2.events.InformationalResponseReceived():
                answer.hints.append(list(event.headers or []))
            case h2.events.ResponseReceived():
                answer.headers = list(event.headers or [])
            case h2.events.DataReceived():
                answer.body += event.data or b""
            case h2.events.TrailersReceived():
                answer.trailers = list(event.headers or [])
            case h2.events.StreamEnded():
                answer.ended = True
            case h2.events.StreamReset():
                answer.reset = int(event.error_code or 0)
