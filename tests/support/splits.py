"""Sends the same bytes to a server in every possible two parts, and byte by byte.

What a parser does must not depend on how the bytes arrive. All connections of one input are open
at the same time and share two round trips, so that an input costs milliseconds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from support.http_wire import Wire
from support.serving import Server

# Connections open at a time.
_BATCH = 128


def each_split(
    server: Server,
    raw: bytes,
    judge: Callable[[Wire], None],
    *,
    rejected: bool = False,
    but: range = range(0),
    prepare: Callable[[Wire], object] | None = None,
) -> None:
    """Send `raw` in two parts, split at every byte, and hand each connection to `judge`.

    Args:
        server: Where to.
        raw: What is sent; nothing is sent after it, and the connection stays open.
        judge: Reads the answer, and fails if it is not the right one.
        rejected: The server may answer and close before it has all of it; what it would not read
            is then not sent.
        but: Places that are left out.
        prepare: Does with each connection what comes before.
    """
    places = [place for place in range(len(raw)) if place not in but]
    for first in range(0, len(places), _BATCH):
        with contextlib.ExitStack() as stack:
            wires = [
                (place, stack.enter_context(server.connect()))
                for place in places[first : first + _BATCH]
            ]
            for place, wire in wires:
                if prepare is not None:
                    prepare(wire)
                if place:
                    wire.send(raw[:place])
            _round_trip(server)
            for place, wire in wires:
                if not (rejected and wire.is_readable()):
                    wire.send_what_is_taken(raw[place:])
            for place, wire in wires:
                with _explained(raw, place):
                    judge(wire)


def byte_by_byte(
    server: Server,
    raw: bytes,
    judge: Callable[[Wire], None],
    *,
    rejected: bool = False,
    prepare: Callable[[Wire], object] | None = None,
) -> None:
    """Send `raw` one byte at a time, each of them read by the server before the next is sent."""
    with server.connect() as wire, server.connect() as other:
        if prepare is not None:
            prepare(wire)
        for place in range(len(raw)):
            if rejected and wire.is_readable():
                break
            wire.send_what_is_taken(raw[place : place + 1])
            other.get("/hello")
        with _explained(raw, None):
            judge(wire)


def _round_trip(server: Server) -> None:
    """When this is answered the server has read what was sent before on other connections."""
    assert server.get("/hello").status == 200


@contextlib.contextmanager
def _explained(raw: bytes, place: int | None) -> Iterator[None]:
    try:
        yield
    except BaseException as exc:
        if place is None:
            exc.add_note("sent byte by byte")
        else:
            exc.add_note(f"sent as {raw[:place]!r} and {raw[place:]!r}")
        raise
