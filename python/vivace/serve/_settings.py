"""`Settings`: what the connections of one server have to know, ready to use.

The joint with the native engine: `_config.py` makes it of what the user gave, and
`vivace._native.HttpService` reads every attribute by its name, once, when it is made. A name
that changes here has to change there. Numbers are checked before they arrive here; None means
that there is no such limit.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one server's connections have in common. Times are in seconds, sizes in bytes."""

    # What the application and the client see.
    root_path: str
    default_headers: list[tuple[bytes, bytes]]
    date_header: bool
    proxy_headers: bool
    forwarded_allow_ips: list[str]
    reset_contextvars: bool
    cancel_on_disconnect: bool
    http2: bool

    # Logs. `access_logger` is None where the engine may write the lines itself.
    access_log: bool
    access_log_format: str
    access_log_colors: bool
    access_logger: logging.Logger | None
    error_logger: logging.Logger

    # Deadlines.
    timeout_keep_alive: float
    timeout_request_header: float
    timeout_write: float
    timeout_request: float | None

    # Limits.
    limit_body_rate: int
    limit_body_size: int | None
    limit_headers: int
    limit_header_size: int
    limit_concurrency: int | None
    limit_queue: int
    limit_connections_per_address: int | None
    limit_max_requests: int | None

    # WebSockets.
    ws: bool
    ws_max_size: int
    ws_max_queue: int
    ws_ping_interval: float | None
    ws_ping_timeout: float | None
    ws_per_message_deflate: bool
