"""An ASGI application made of one handler for each path, which remembers what they noted.

    app = Paths()

    @app.handler
    async def echo(scope, receive, send, record): ...

`/echo` calls it. The handlers note what they saw with `record.note(...)`; with `?id=NAME` in the
query a test asks for the notes afterwards (`/seen?id=NAME`), or lets a handler go on that waits
at a gate (`/open?id=NAME&gate=go`), from another connection. Nothing is left to timing.
"""

import asyncio
from urllib.parse import parse_qsl

# Somewhat less than the tests wait for an answer, so that they get one.
SECONDS = 50


class Record:
    """What one call of a handler noted."""

    def __init__(self):
        self.notes = []
        self.ended = None
        self._gates = {}
        self._changed = asyncio.Event()

    def note(self, *values):
        """Note a value, or several as a tuple."""
        values = tuple(map(_plain, values))
        self.notes.append(values[0] if len(values) == 1 else values)
        self._wake()

    def end(self, how):
        self.ended = how
        self._wake()

    async def pass_gate(self, name="go"):
        """Wait until a test opens the gate."""
        await asyncio.wait_for(self._gate(name).wait(), SECONDS)

    def open_gate(self, name):
        self._gate(name).set()

    async def until(self, count):
        """Wait for so many notes, or for the end of the handler."""
        while self.ended is None and (count is None or len(self.notes) < count):
            changed = self._changed
            await asyncio.wait_for(changed.wait(), SECONDS)

    def _gate(self, name):
        return self._gates.setdefault(name, asyncio.Event())

    def _wake(self):
        self._changed.set()
        self._changed = asyncio.Event()


def _plain(value):
    """A value that can be written as a literal: a server may use enumerations."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Paths:
    """The application."""

    def __init__(self):
        self._handlers = {}
        self._records = {}
        self.lifespan_notes = []

    def handler(self, function):
        """Take a function for the path of its name."""
        self._handlers[function.__name__.replace("_", "-")] = function
        return function

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self.lifespan(scope, receive, send)
            return
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        name = scope["path"].removeprefix(scope.get("root_path", "")).strip("/").split("/")[0]
        if name == "seen":
            await self._tell(query, send)
            return
        record = self._record(query["id"]) if "id" in query else Record()
        if name == "open":
            record.open_gate(query["gate"])
            await answer(send, b"open")
            return
        handler = self._handlers.get(name)
        if handler is None:
            await answer(send, b"no such handler", status=404)
            return
        try:
            await handler(scope, receive, send, record)
        except asyncio.CancelledError:
            record.end("cancelled")
            raise
        except BaseException as exc:
            record.end(" ".join(kind.__name__ for kind in type(exc).__mro__))
            raise
        record.end("returned")

    async def lifespan(self, scope, receive, send):
        """Start and stop without doing anything."""
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    def _record(self, name):
        return self._records.setdefault(name, Record())

    async def _tell(self, query, send):
        record = self._record(query["id"])
        count = query.get("count")
        try:
            await record.until(None if count is None else int(count))
        except TimeoutError:
            told = f"still: {record.notes!r}, ended: {record.ended!r}"
            await answer(send, told.encode(), status=504)
            return
        await answer(send, repr((record.notes, record.ended)).encode())


async def answer(send, body, *, status=200, headers=()):
    """Send a whole answer with its length."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive):
    """Read all of a body; None if the client went away in the middle."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body
