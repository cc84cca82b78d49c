"""Where a server listens, as told on the command line and as shown in the log.

    HOST:PORT  [IPv6]:PORT  :PORT  unix:PATH  fd://NUMBER

The sockets are made of it in `_binding.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Address", "Descriptor", "TcpAddress", "UnixAddress", "parse_address"]

_FORMS = "HOST:PORT, [IPv6]:PORT, unix:PATH or fd://NUMBER"


@dataclass(frozen=True)
class TcpAddress:
    """A host, by name or number, and a port; port 0 is a free one. No host is all of them."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class UnixAddress:
    """The path of a Unix socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True)
class Descriptor:
    """A socket that somebody else has made, systemd for one, and left open for us."""

    number: int

    def __str__(self) -> str:
        return f"fd://{self.number}"


Address: TypeAlias = TcpAddress | UnixAddress | Descriptor


def parse_address(text: str) -> Address:
    """Read an address.

    Raises:
        ValueError: The text has none of the forms.
    """
    if text.startswith("unix:"):
        # unix:///run/x is how some write unix:/run/x.
        path = text.removeprefix("unix:").removeprefix("//")
        if not path:
            raise ValueError(f"bind: {text!r} has no path")
        return UnixAddress(path)
    if text.startswith("fd:"):
        number = text.removeprefix("fd:").removeprefix("//")
        if not number.isdecimal():
            raise ValueError(f"bind: {text!r} has no descriptor's number")
        return Descriptor(int(number))
    form = re.fullmatch(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<host>[^\[\]:/]*)):(?P<port>\d+)", text)
    if form is None:
        raise ValueError(f"bind: {text!r} is none of {_FORMS}")
    port = int(form["port"])
    if port > 65535:
        raise ValueError(f"bind: {text!r}: a port is at most 65535")
    return TcpAddress(form["six"] if form["host"] is None else form["host"], port)
