"""`--web 127.0.0.1:PORT`: the page of a process. The thread that answers reads a variable."""

from __future__ import annotations

import ipaddress
import os

VARIABLE = "VIVACE_WEB"


def problem(given: str) -> str:
    """What is wrong with an address; nothing if it is one of this machine, with a port."""
    host, _, port = given.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        right = address.is_loopback and port.isascii() and 0 <= int(port) < 65536
    except ValueError:
        right = False
    if right:
        return ""
    return f"--web takes an address of this machine, such as 127.0.0.1:8100, not {given!r}"


def set_address(given: str) -> None:
    """Have this process, when its loop runs, serve its page there.

    Raises:
        ValueError: It is no address of this machine with a port.
    """
    if wrong := problem(given):
        raise ValueError(wrong)
    os.environ[VARIABLE] = given
