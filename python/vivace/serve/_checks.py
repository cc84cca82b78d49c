"""Refuses values that no server can be made with, naming the option and what was wrong.

Called once, by `Config`; nothing is checked again later.
"""

from __future__ import annotations

import enum
import ipaddress
import math
import os
import re
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

from ._adapters import Interface
from ._lifespan import LifespanMode
from ._logging import level_of

if TYPE_CHECKING:
    from ._config import Config

__all__ = ["check", "listed", "parse_metrics"]

# Whole numbers and the least that each may be; those marked None may also be None.
_NUMBERS: dict[str, int] = {
    "backlog": 0,
    "limit_max_requests_jitter": 0,
    "ws_max_size": 1,
    "ws_max_queue": 1,
    "limit_queue": 0,
    "limit_headers": 1,
    "limit_header_size": 256,
    "limit_body_rate": 0,
}
_NUMBERS_OR_NONE: dict[str, int] = {
    "fd": 0,
    "workers": 1,
    "limit_max_requests": 1,
    "limit_max_rss": 1,
    "limit_concurrency": 1,
    "limit_connections_per_address": 1,
    "limit_body_size": 0,
    "h11_max_incomplete_event_size": 1,
}

# Seconds: those that may be 0, and those that may not.
_SECONDS = ("reload_delay", "timeout_keep_alive")
_SECONDS_OR_NONE = ("timeout_graceful_shutdown", "ws_ping_interval")
_SECONDS_ABOVE_ZERO = (
    "timeout_request_header",
    "timeout_write",
    "timeout_handshake",
    "timeout_notify",
)
_SECONDS_ABOVE_ZERO_OR_NONE = (
    "timeout_startup",
    "timeout_shutdown",
    "timeout_request",
    "timeout_worker_healthcheck",
    "limit_worker_age",
    "ws_ping_timeout",
)

_LOG_FORMATS = ("text", "json", "logfmt")

_OWN_IMPLEMENTATIONS = {
    "http": ("auto", "vivace", "h11", "httptools", "zttp"),
    "ws": ("auto", "vivace", "none", "websockets", "websockets-sansio", "wsproto"),
}


def check(config: Config) -> None:
    """Check each value by itself.

    Raises:
        ValueError: One of them cannot be meant.
    """
    for name, least in _NUMBERS.items():
        _check_number(name, getattr(config, name), least)
    for name, least in _NUMBERS_OR_NONE.items():
        if getattr(config, name) is not None:
            _check_number(name, getattr(config, name), least)
    for name in _SECONDS:
        _check_seconds(name, getattr(config, name))
    for name in _SECONDS_ABOVE_ZERO:
        _check_seconds(name, getattr(config, name), above_zero=True)
    for name in _SECONDS_OR_NONE:
        if getattr(config, name) is not None:
            _check_seconds(name, getattr(config, name))
    for name in _SECONDS_ABOVE_ZERO_OR_NONE:
        if getattr(config, name) is not None:
            _check_seconds(name, getattr(config, name), above_zero=True)
    _check_number("port", config.port, 0)
    if config.port > 65535:
        raise ValueError(f"port must be at most 65535, not {config.port}")
    _check_choice("interface", config.interface, get_args(Interface))
    _check_choice("lifespan", config.lifespan, get_args(LifespanMode))
    for name, choices in _OWN_IMPLEMENTATIONS.items():
        _check_implementation(name, getattr(config, name), choices)
    _check_known("ssl_version", config.ssl_version, ssl._SSLMethod)
    _check_known("ssl_cert_reqs", config.ssl_cert_reqs, ssl.VerifyMode)
    for proxy in listed(config.forwarded_allow_ips):
        _check_proxy(proxy)
    if config.log_level is not None:
        level_of(config.log_level)
    _check_log_format(config.access_log_format)
    if config.metrics is not None:
        parse_metrics(config.metrics)
    for route, folder in config.static:
        if not route.startswith("/"):
            raise ValueError(f"static: a route begins with /, and {route!r} does not")
        if not os.path.isdir(folder):
            raise ValueError(f"static: {folder!r} is not a folder")


def parse_metrics(text: str) -> tuple[str, int]:
    """Read ``[HOST:]PORT``; without a host it is the local one.

    Raises:
        ValueError: The text has another form.
    """
    form = re.fullmatch(r"(?:(?:\[([^\[\]]+)\]|([^\[\]:]+)):)?(\d{1,5})", text)
    if form is None or int(form[3]) > 65535:
        raise ValueError(f"metrics: {text!r} is no port, and no HOST:PORT")
    return form[1] or form[2] or "127.0.0.1", int(form[3])


def _check_number(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")


def _check_seconds(name: str, value: Any, *, above_zero: bool = False) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number of seconds, not {value!r}")
    if value < 0 or (above_zero and value == 0):
        raise ValueError(f"{name} must be more than 0, not {value}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def _check_known(name: str, value: Any, known: type[enum.IntEnum]) -> None:
    numbers = {int(member): member.name for member in known}
    if value not in numbers:
        choices = ", ".join(f"{number} ({word})" for number, word in sorted(numbers.items()))
        raise ValueError(f"{name} must be one of {choices}, not {value!r}")


def _check_implementation(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(
            f"{name}={value!r} cannot be used: vivace speaks the protocol itself "
            f"and takes no other implementation (known names: {', '.join(choices)})"
        )


def _check_proxy(text: str) -> None:
    """An address or a network; anything else is a name that is compared as it is."""
    if not re.fullmatch(r"[0-9a-fA-F.:]*[.:][0-9a-fA-F.:]*(/\d+)?", text):
        return
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"forwarded_allow_ips: {text!r} is no IP address and no network") from None


def listed(texts: Sequence[str] | str | None) -> list[str]:
    """The items of a list, or of a text with commas between them."""
    if isinstance(texts, str):
        texts = texts.split(",")
    return [text.strip() for text in texts or () if text.strip()]


def _check_log_format(line_format: str) -> None:
    if line_format not in _LOG_FORMATS and "%(" not in line_format:
        raise ValueError(
            f"access_log_format must be one of {', '.join(_LOG_FORMATS)} or contain "
            f"atoms such as %(h)s, not {line_format!r}"
        )
