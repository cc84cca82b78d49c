"""The header lines that each response gets."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["default_headers"]

SERVER = b"vivace"

# RFC 9110, section 5.6.2 and 5.5: a name is a token, a value has no control characters but tab.
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NO_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def default_headers(
    headers: Sequence[tuple[str, str]], *, server: bool
) -> list[tuple[bytes, bytes]]:
    """Encode the headers, with one that names the server unless there is one already.

    Args:
        headers: Names and values.
        server: Whether the server is to be named.

    Raises:
        ValueError: HTTP has no such name or value.
    """
    encoded: list[tuple[bytes, bytes]] = []
    for header in headers:
        if len(header) != 2:
            raise ValueError(f"headers: {header!r} is no pair of name and value")
        try:
            name, value = (part.encode("latin-1") for part in header)
        except UnicodeEncodeError:
            raise ValueError(f"headers: {header!r} cannot be written in Latin-1") from None
        value = value.strip(b" \t")
        if not _TOKEN.fullmatch(name) or _NO_VALUE.search(value):
            raise ValueError(f"headers: {header!r} is no header: HTTP forbids such characters")
        encoded.append((name.lower(), value))
    if server and all(name != b"server" for name, _ in encoded):
        encoded.insert(0, (b"server", SERVER))
    return encoded
