"""Tells systemd how the service is doing, if systemd has asked (``Type=notify``).

The protocol is a datagram to the socket that $NOTIFY_SOCKET names; see sd_notify(3).
"""

from __future__ import annotations

import os
import socket
import time

__all__ = ["notify", "notify_ready", "notify_reloading", "notify_stopping"]


def notify_ready() -> None:
    """Serving, for the first time or again after reloading."""
    notify("READY=1")


def notify_reloading() -> None:
    """Reloading; `notify_ready` follows."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def notify_stopping() -> None:
    """Ending."""
    notify("STOPPING=1")


def notify(message: str) -> None:
    """Send a message, if somebody wants it; one that cannot be sent is no reason to fail."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect(address)
            sock.send(message.encode())
    except OSError:
        pass
