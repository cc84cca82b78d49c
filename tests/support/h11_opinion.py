"""What h11, a strict and independent parser, thinks of the bytes of a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import h11


@dataclass
class Request:
    """A request as h11 reads it."""

    method: str
    target: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass
class Opinion:
    """All that h11 reads from some bytes.

    Attributes:
        requests: The requests that are complete.
        rejected: The status that it would answer with, if it stops at something.
        waits: Whether it waits for more of a message that has begun.
    """

    requests: list[Request]
    rejected: int | None = None
    waits: bool = False


def of(raw: bytes) -> Opinion:
    """Read the bytes as a server does that answers each request."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    opinion = Opinion([])
    current: Request | None = None
    while True:
        try:
            event: Any = connection.next_event()
        except h11.RemoteProtocolError as exc:
            opinion.rejected = exc.error_status_hint
            return opinion
        if isinstance(event, h11.Request):
            current = Request(
                event.method.decode(),
                event.target,
                event.http_version.decode(),
                [(name, value) for name, value in event.headers],
            )
        elif isinstance(event, h11.Data) and current is not None:
            current.body += event.data
        elif isinstance(event, h11.EndOfMessage) and current is not None:
            current.trailers = list(event.headers)
            opinion.requests.append(current)
            current = None
            connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return opinion
            connection.start_next_cycle()
        else:
            opinion.waits = current is not None or bool(connection.trailing_data[0])
            return opinion
