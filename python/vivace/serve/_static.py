"""`--static ROUTE=DIR`: files of a folder, before the application is asked.

An ASGI application around the application. The content leaves by `http.response.pathsend`, which
the engine does with `sendfile`. Ranges, conditions and the variants that are compressed already
(`app.js.br` beside `app.js`) are served; a path never leaves the folder, not by `..` and not by
a symbolic link.
"""

from __future__ import annotations

import mimetypes
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ._asgi_types import Application, Receive, Scope, Send
from ._conditions import Validators, is_not_modified, precondition_fails, requested_range

__all__ = ["StaticFiles"]

# Encodings with the ending of their files, the smallest first.
_VARIANTS = (("br", ".br"), ("zstd", ".zst"), ("gzip", ".gz"))

# Of a range, so much is read and sent at a time.
_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class _File:
    """An open file of the folder."""

    fd: int
    size: int
    validators: Validators


class StaticFiles:
    """Serves folders under routes, and leaves everything else to `app`.

    Args:
        app: The application.
        routes: Pairs of a route, which begins with "/", and a folder.

    Raises:
        NotADirectoryError: A folder is not there.
    """

    def __init__(self, app: Application, routes: Sequence[tuple[str, str]]) -> None:
        self._app = app
        self._routes: list[tuple[str, str]] = []
        for route, folder in routes:
            if not os.path.isdir(folder):
                raise NotADirectoryError(f"static: {folder!r} is not a folder")
            self._routes.append((route.rstrip("/") + "/", os.path.realpath(folder)))
        # The longest route first: it is the most special one.
        self._routes.sort(key=lambda pair: len(pair[0]), reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            for route, folder in self._routes:
                if path.startswith(route):
                    await _respond(scope, send, folder, path[len(route) :])
                    return
        await self._app(scope, receive, send)


async def _respond(scope: Scope, send: Send, folder: str, path: str) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        await _plain(send, 405, [(b"allow", b"GET, HEAD")])
        return
    headers = _joined_headers(scope["headers"])
    with _opened(folder, path, headers.get("accept-encoding", "")) as (file, encoding):
        if file is None:
            await _plain(send, 404)
            return
        await _send_file(scope, send, path, headers, file, encoding)


def _joined_headers(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """The header fields as a dictionary; fields of one name are joined (RFC 9110, 5.2)."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


@contextmanager
def _opened(folder: str, path: str, accepted: str) -> Iterator[tuple[_File | None, str | None]]:
    """The file, or the variant of it that the client takes, with the encoding."""
    file, encoding = None, None
    plain = _open(folder, path)
    if plain is not None:
        file = plain
        for name, ending in _VARIANTS:
            if _accepts(accepted, name) and (variant := _open(folder, path + ending)) is not None:
                # One that is older than the file belongs to another version of it.
                if variant.validators.modified >= plain.validators.modified:
                    file, encoding = variant, name
                    break
                os.close(variant.fd)
    try:
        yield file, encoding
    finally:
        if plain is not None:
            os.close(plain.fd)
        if file is not None and file is not plain:
            os.close(file.fd)


def _open(folder: str, path: str) -> _File | None:
    """Opens a regular file inside `folder`; None if there is no such file."""
    if "\0" in path or path.startswith("/"):
        return None
    try:
        # Not blocking: a FIFO would wait for its other end.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        fd = os.open(os.path.join(folder, path), flags)
    except (OSError, ValueError):
        return None
    keep = False
    try:
        status = os.fstat(fd)
        # Where it really is, after all links: asked of what is open, so nothing can change it.
        real = os.readlink(f"/proc/self/fd/{fd}")
        if stat.S_ISREG(status.st_mode) and real.startswith(folder.rstrip("/") + "/"):
            keep = True
            etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
            return _File(fd, status.st_size, Validators(etag, int(status.st_mtime)))
        return None
    finally:
        if not keep:
            os.close(fd)


def _accepts(accepted: str, encoding: str) -> bool:
    """Whether `Accept-Encoding` names the encoding, with a weight above 0."""
    for item in accepted.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        if name == encoding:
            return not any(
                parameter.startswith("q=") and parameter[2:].strip("0.") == ""
                for parameter in parameters
            )
    return False


async def _send_file(
    scope: Scope,
    send: Send,
    path: str,
    headers: dict[str, str],
    file: _File,
    encoding: str | None,
) -> None:
    validators = file.validators
    fields = [
        (b"etag", validators.etag.encode()),
        (b"last-modified", validators.last_modified.encode()),
        (b"accept-ranges", b"bytes"),
        (b"vary", b"accept-encoding"),
    ]
    if precondition_fails(headers, validators):
        await _plain(send, 412)
        return
    if is_not_modified(headers, validators):
        await send({"type": "http.response.start", "status": 304, "headers": fields})
        await send({"type": "http.response.body"})
        return
    kind, guessed = mimetypes.guess_type(path)
    if guessed is not None and encoding is None:
        # A file that is an archive by itself: app.tar.gz is no encoding of a tar.
        kind = {"gzip": "application/gzip", "br": "application/octet-stream"}.get(guessed, kind)
    content_type = kind or "application/octet-stream"
    if content_type.startswith("text/"):
        content_type += "; charset=utf-8"
    fields.append((b"content-type", content_type.encode()))
    if encoding is not None:
        fields.append((b"content-encoding", encoding.encode()))
    part = requested_range(headers, validators, file.size) if scope["method"] == "GET" else None
    if part is False:
        await _plain(send, 416, [(b"content-range", b"bytes */%d" % file.size)])
        return
    if isinstance(part, tuple):
        await _send_part(send, file, fields, *part)
        return
    fields.append((b"content-length", b"%d" % file.size))
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body"})
        return
    # By its descriptor: what was checked is what is sent.
    await send({"type": "http.response.pathsend", "path": f"/proc/self/fd/{file.fd}"})


async def _send_part(
    send: Send, file: _File, fields: list[tuple[bytes, bytes]], start: int, end: int
) -> None:
    fields.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, file.size)))
    fields.append((b"content-length", b"%d" % (end - start)))
    await send({"type": "http.response.start", "status": 206, "headers": fields})
    while start < end:
        piece = os.pread(file.fd, min(_PIECE, end - start), start)
        if not piece:
            # It has become shorter: the response cannot be ended well, and the client sees it.
            raise OSError("a static file was truncated while it was sent")
        start += len(piece)
        more = start < end
        await send({"type": "http.response.body", "body": piece, "more_body": more})


async def _plain(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """A response without a file."""
    text = {404: b"Not Found", 405: b"Method Not Allowed"}.get(status, b"")
    fields = [(b"content-type", b"text/plain; charset=utf-8"), *headers]
    fields.append((b"content-length", b"%d" % len(text)))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": text})
