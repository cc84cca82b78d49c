"""Sending a file as the body of a response: the extension `http.response.pathsend`.

Who calls it: the native engine, for files that are too large to be sent in one piece (it sends
the others itself). The kernel copies (`sendfile`) where the connection is not encrypted.
"""

from __future__ import annotations

import asyncio
import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vivace import _native

__all__ = ["send_file"]

# What is read of a file at a time, in bytes.
PART = 64 * 1024


async def send_file(
    exchange: _native.Exchange,
    transport: asyncio.Transport | None,
    path: str | os.PathLike[str],
) -> None:
    """Sends what follows the head of a response.

    Args:
        exchange: Whose response it is.
        transport: The connection; None if the file goes into frames of HTTP/2.
        path: The file.

    Raises:
        OSError: The client has gone, or the file cannot be read.
    """
    whole = False
    # Opening and `sendfile` itself touch the disk here; a thread would cost more than both.
    with open(path, "rb", buffering=0) as file:  # noqa: ASYNC230
        size = os.fstat(file.fileno()).st_size
        try:
            if not exchange._begin_file(size):
                whole = True
            elif transport is None:
                whole = await _send_parts(exchange, file, size)
            else:
                loop = asyncio.get_running_loop()
                whole = await loop.sendfile(transport, file, 0, size, fallback=True) == size
        finally:
            exchange._end_file(whole)


async def _send_parts(exchange: _native.Exchange, file: io.FileIO, size: int) -> bool:
    """Sends `size` bytes of a file in parts; whether there were so many."""
    while size > 0:
        part = file.read(min(size, PART))
        if not part:
            return False
        size -= len(part)
        await exchange._file_part(part)
    return True
