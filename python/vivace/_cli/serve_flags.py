"""The flags of `vivace serve`, each with the field of `Config` that it sets.

Names, defaults and meaning are uvicorn's where uvicorn has them; defaults come from Config, so
that they stand in one place.
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
from dataclasses import dataclass
from typing import Any, get_args

from vivace.serve._adapters import Interface
from vivace.serve._config import Config
from vivace.serve._lifespan import LifespanMode
from vivace.serve._logging import LOG_LEVELS

from . import _quantities

__all__ = ["FLAGS", "BadValue", "Flag", "Kind", "read_boolean"]


class BadValue(ValueError, argparse.ArgumentTypeError):
    """A word that cannot be read as what its flag wants."""


class Kind(enum.Enum):
    """How a flag's value is written."""

    HELP = enum.auto()
    SWITCH = enum.auto()
    TOGGLE = enum.auto()
    TEXT = enum.auto()
    CHOICE = enum.auto()
    BOOLEAN = enum.auto()
    NUMBER = enum.auto()
    SECONDS = enum.auto()
    SIZE = enum.auto()
    HEADER = enum.auto()
    ROUTE = enum.auto()


_METAVARS = {
    Kind.TEXT: "TEXT",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.NUMBER: "NUMBER",
    Kind.SECONDS: "SECONDS",
    Kind.SIZE: "SIZE",
    Kind.HEADER: "NAME:VALUE",
    Kind.ROUTE: "ROUTE=DIR",
}

_FIELDS = {field.name: field for field in dataclasses.fields(Config)}


@dataclass(frozen=True)
class Flag:
    """One flag.

    Args:
        spellings: As on the command line, the full one first.
        kind: How its value is written.
        group: Its heading in the help.
        help: What it does.
        field: The field of Config, if it is not called like the flag.
        metavar: What stands for the value in the help.
        choices: The values of a choice.
        multiple: Whether it may be given several times.
        separator: What is between several values in the environment; None is white space.
        default: What the help shows as default; None shows Config's.
    """

    spellings: tuple[str, ...]
    kind: Kind
    group: str
    help: str
    field: str = ""
    metavar: str = ""
    choices: tuple[str, ...] = ()
    multiple: bool = False
    separator: str | None = None
    default: str | None = None

    def __post_init__(self) -> None:
        if not self.field:
            name = self.spellings[0].removeprefix("--").replace("-", "_")
            object.__setattr__(self, "field", name)
        if not self.metavar and self.kind in _METAVARS:
            object.__setattr__(self, "metavar", _METAVARS[self.kind])

    @property
    def in_environment(self) -> bool:
        """Whether there is a variable for it."""
        return self.field in _FIELDS

    @property
    def can_be_none(self) -> bool:
        """Whether the word ``none`` turns off what is on by default."""
        field = _FIELDS.get(self.field)
        return field is not None and "None" in str(field.type) and field.default is not None

    @property
    def full_help(self) -> str:
        """The help, with the default."""
        default = self.default
        if default is None and self.field in _FIELDS:
            value = _FIELDS[self.field].default
            if isinstance(value, bool):
                default = ("on" if value else "off") if self.kind is Kind.TOGGLE else ""
            elif isinstance(value, (str, int, float)):
                default = f"{value}"
        text = f"{self.help} [default: {default}]" if default else self.help
        return text.replace("%", "%%")

    def read(self, text: str) -> Any:
        """Read a value.

        Raises:
            BadValue: It is not written as the flag wants it.
        """
        if self.can_be_none and text.lower() == "none":
            return None
        match self.kind:
            case Kind.NUMBER:
                return _number(text)
            case Kind.SECONDS:
                return _seconds(text)
            case Kind.SIZE:
                return _size(text)
            case Kind.BOOLEAN:
                return read_boolean(text)
            case Kind.HEADER:
                return _pair(text, ":", "NAME:VALUE")
            case Kind.ROUTE:
                return _pair(text, "=", "ROUTE=DIR")
            case Kind.CHOICE:
                if text.lower() not in self.choices:
                    raise BadValue(f"{text!r} is none of {', '.join(self.choices)}")
                return text.lower()
            case _:
                return text


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadValue(f"{text!r} is no whole number") from None


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise BadValue(f"{text!r} is no number of seconds") from None
    return int(value) if value.is_integer() else value


def _size(text: str) -> int:
    try:
        return _quantities.size(text)
    except ValueError as error:
        raise BadValue(str(error)) from None


def read_boolean(text: str) -> bool:
    """Read a yes or no, in the words that uvicorn takes.

    Raises:
        BadValue: It is neither.
    """
    word = text.strip().lower()
    if word in ("1", "true", "t", "yes", "y", "on"):
        return True
    if word in ("0", "false", "f", "no", "n", "off"):
        return False
    raise BadValue(f"{text!r} is neither true nor false")


def _pair(text: str, separator: str, form: str) -> tuple[str, str]:
    name, found, value = text.partition(separator)
    if not found or not name:
        raise BadValue(f"{text!r} has not the form {form}")
    return name, value


def _flag(group: str, names: str, kind: Kind, help: str, **more: Any) -> Flag:
    return Flag(tuple(names.split()), kind, group, help, **more)


_LISTEN = "where to listen"
_APP = "the application"
_RELOAD = "while developing"
_PROCESSES = "processes"
_HTTP = "HTTP"
_WS = "WebSocket"
_LOGS = "logs"
_TIMES = "time limits, in seconds"
_LIMITS = "other limits"
_TLS = "TLS"
_NAMES = "implementations, as uvicorn names them"
_OTHER = "other"

FLAGS: tuple[Flag, ...] = (
    _flag(_LISTEN, "--host", Kind.TEXT, "Host name or address."),
    _flag(_LISTEN, "--port", Kind.NUMBER, "Port; 0 takes a free one."),
    _flag(_LISTEN, "--uds", Kind.TEXT, "Unix socket.", metavar="PATH"),
    _flag(_LISTEN, "--fd", Kind.NUMBER, "Socket that was opened by the parent process."),
    _flag(
        _LISTEN,
        "--bind -b",
        Kind.TEXT,
        "HOST:PORT, [IPv6]:PORT, unix:PATH or fd://NUMBER, instead of the above; may be given "
        "several times.",
        metavar="ADDRESS",
        multiple=True,
    ),
    _flag(_LISTEN, "--backlog", Kind.NUMBER, "Connections that may wait to be accepted."),
    _flag(_APP, "--factory", Kind.SWITCH, "The application is what MODULE:ATTRIBUTE returns."),
    _flag(
        _APP,
        "--app-dir",
        Kind.TEXT,
        "Folder to import the application from.",
        metavar="DIR",
        default="the current one",
    ),
    _flag(
        _APP,
        "--interface",
        Kind.CHOICE,
        "What kind of application it is.",
        choices=get_args(Interface),
    ),
    _flag(
        _APP,
        "--lifespan",
        Kind.CHOICE,
        "Whether it is told of start and end; auto: if it can be.",
        choices=get_args(LifespanMode),
    ),
    _flag(_APP, "--root-path", Kind.TEXT, "Path that a proxy serves it under.", metavar="PATH"),
    _flag(_APP, "--env-file", Kind.TEXT, "File with environment variables for it.", metavar="FILE"),
    _flag(
        _APP,
        "--reset-contextvars",
        Kind.SWITCH,
        "Run each request in an empty contextvars.Context.",
    ),
    _flag(
        _APP,
        "--check",
        Kind.SWITCH,
        "Load the application, let it start and stop, and end without serving.",
    ),
    _flag(_RELOAD, "--reload", Kind.SWITCH, "Restart when files change."),
    _flag(
        _RELOAD,
        "--reload-dir",
        Kind.TEXT,
        "Folder to watch; may be given several times.",
        field="reload_dirs",
        metavar="DIR",
        multiple=True,
        separator=":",
        default="the current one",
    ),
    _flag(
        _RELOAD,
        "--reload-include",
        Kind.TEXT,
        "Files to watch besides; may be given several times.",
        field="reload_includes",
        metavar="PATTERN",
        multiple=True,
        default="*.py",
    ),
    _flag(
        _RELOAD,
        "--reload-exclude",
        Kind.TEXT,
        "Files not to watch; may be given several times.",
        field="reload_excludes",
        metavar="PATTERN",
        multiple=True,
        default=".*, .py[cod], .sw.*, ~*",
    ),
    _flag(_RELOAD, "--reload-delay", Kind.SECONDS, "Time between two looks at the files."),
    _flag(
        _PROCESSES, "--workers", Kind.NUMBER, "Worker processes.", default="$WEB_CONCURRENCY or 1"
    ),
    _flag(
        _PROCESSES,
        "--limit-max-requests",
        Kind.NUMBER,
        "Requests that a process serves before it ends, or is replaced if it is a worker.",
    ),
    _flag(
        _PROCESSES,
        "--limit-max-requests-jitter",
        Kind.NUMBER,
        "Up to so many more, at random, so that workers do not all end at once.",
    ),
    _flag(
        _PROCESSES, "--limit-max-rss", Kind.SIZE, "Memory that a process may use, in the same way."
    ),
    _flag(
        _PROCESSES,
        "--limit-worker-age",
        Kind.SECONDS,
        "Seconds that a process may serve, in the same way; a random tenth is added.",
    ),
    _flag(
        _PROCESSES,
        "--timeout-worker-healthcheck",
        Kind.SECONDS,
        "Kill a worker whose loop has not answered for so long.",
        default="never",
    ),
    _flag(_HTTP, "--http2", Kind.SWITCH, "Speak HTTP/2 too."),
    _flag(
        _HTTP,
        "--proxy-headers",
        Kind.TOGGLE,
        "Take scheme and client from X-Forwarded-Proto and X-Forwarded-For.",
    ),
    _flag(
        _HTTP,
        "--forwarded-allow-ips",
        Kind.TEXT,
        "Who may send these: addresses, networks or paths of Unix sockets, with commas between; "
        "* is everybody.",
        metavar="LIST",
        default="$FORWARDED_ALLOW_IPS or 127.0.0.1,::1",
    ),
    _flag(_HTTP, "--server-header", Kind.TOGGLE, "Send the header Server."),
    _flag(_HTTP, "--date-header", Kind.TOGGLE, "Send the header Date."),
    _flag(
        _HTTP,
        "--header",
        Kind.HEADER,
        "Header of every response; may be given several times.",
        field="headers",
        multiple=True,
    ),
    _flag(
        _HTTP,
        "--cancel-on-disconnect",
        Kind.SWITCH,
        "Cancel the handler of a request whose client has gone.",
    ),
    _flag(
        _HTTP,
        "--static",
        Kind.ROUTE,
        "Serve the files of a folder under a path; may be given several times.",
        multiple=True,
    ),
    _flag(
        _HTTP,
        "--metrics",
        Kind.TEXT,
        "Serve /metrics, /livez and /readyz there.",
        metavar="[HOST:]PORT",
    ),
    _flag(
        _HTTP,
        "--web",
        Kind.TEXT,
        "Show what the tasks do in a page, for browsers on this machine.",
        metavar="ADDRESS:PORT",
    ),
    _flag(_WS, "--ws-max-size", Kind.SIZE, "Largest message, in bytes."),
    _flag(_WS, "--ws-max-queue", Kind.NUMBER, "Messages that may wait for the application."),
    _flag(_WS, "--ws-ping-interval", Kind.SECONDS, "Seconds between pings; none or 0: no pings."),
    _flag(
        _WS, "--ws-ping-timeout", Kind.SECONDS, "Seconds that an answer may take; none: any number."
    ),
    _flag(_WS, "--ws-per-message-deflate", Kind.BOOLEAN, "Compress messages.", default="true"),
    _flag(
        _LOGS,
        "--log-config",
        Kind.TEXT,
        "Configuration of the logs: .json, .yaml or .ini.",
        metavar="FILE",
    ),
    _flag(
        _LOGS,
        "--log-level",
        Kind.CHOICE,
        "What to log.",
        choices=tuple(LOG_LEVELS),
        default="info",
    ),
    _flag(_LOGS, "--access-log", Kind.TOGGLE, "Log each request."),
    _flag(
        _LOGS,
        "--access-log-format",
        Kind.TEXT,
        "text, json, logfmt, or a line with atoms such as %(h)s.",
        metavar="FORMAT",
    ),
    _flag(_LOGS, "--use-colors", Kind.TOGGLE, "Colour the log.", default="on if it is a terminal"),
    _flag(_TIMES, "--timeout-keep-alive", Kind.SECONDS, "Idle connections are closed then."),
    _flag(
        _TIMES,
        "--timeout-graceful-shutdown",
        Kind.SECONDS,
        "What still runs at the end is cancelled then; none: never.",
    ),
    _flag(
        _TIMES,
        "--timeout-request",
        Kind.SECONDS,
        "Whole requests, until the response is complete.",
        default="none",
    ),
    _flag(
        _TIMES, "--timeout-request-header", Kind.SECONDS, "Until the head of a request is there."
    ),
    _flag(_TIMES, "--timeout-write", Kind.SECONDS, "Clients that do not take what they asked for."),
    _flag(_TIMES, "--timeout-handshake", Kind.SECONDS, "TLS handshakes."),
    _flag(
        _TIMES,
        "--timeout-startup",
        Kind.SECONDS,
        "Until the application has started.",
        default="none",
    ),
    _flag(
        _TIMES,
        "--timeout-shutdown",
        Kind.SECONDS,
        "Until the application has stopped, when all requests are over.",
        default="as --timeout-graceful-shutdown, at least 5",
    ),
    _flag(
        _LIMITS,
        "--limit-concurrency",
        Kind.NUMBER,
        "Requests and WebSockets at the same time; others get 503.",
        default="none",
    ),
    _flag(_LIMITS, "--limit-queue", Kind.NUMBER, "Requests that may wait instead of that 503."),
    _flag(
        _LIMITS,
        "--limit-connections-per-address",
        Kind.NUMBER,
        "Connections from one address.",
        default="none",
    ),
    _flag(_LIMITS, "--limit-headers", Kind.NUMBER, "Headers of a request."),
    _flag(_LIMITS, "--limit-header-size", Kind.SIZE, "All of them together, in bytes."),
    _flag(_LIMITS, "--limit-body-size", Kind.SIZE, "Body of a request, in bytes.", default="none"),
    _flag(
        _LIMITS,
        "--limit-body-rate",
        Kind.SIZE,
        "Bytes a second that a body must come with, after the time for a head; 0: any.",
    ),
    _flag(_TLS, "--ssl-keyfile", Kind.TEXT, "Key.", metavar="FILE"),
    _flag(_TLS, "--ssl-certfile", Kind.TEXT, "Certificate; read again on SIGHUP.", metavar="FILE"),
    _flag(_TLS, "--ssl-keyfile-password", Kind.TEXT, "Password of the key."),
    _flag(_TLS, "--ssl-version", Kind.NUMBER, "One of the module ssl's PROTOCOL_ numbers."),
    _flag(
        _TLS,
        "--ssl-cert-reqs",
        Kind.NUMBER,
        "Certificates of clients: 0 not wanted, 1 wanted, 2 needed.",
        default="0",
    ),
    _flag(_TLS, "--ssl-ca-certs", Kind.TEXT, "Authorities that sign these.", metavar="FILE"),
    _flag(_TLS, "--ssl-ciphers", Kind.TEXT, "Ciphers.", metavar="LIST", default="OpenSSL's"),
    _flag(
        _NAMES, "--loop", Kind.TEXT, "vivace's own loop, or MODULE:FACTORY of one.", metavar="NAME"
    ),
    _flag(_NAMES, "--http", Kind.TEXT, "Accepted; there is one.", metavar="NAME"),
    _flag(_NAMES, "--ws", Kind.TEXT, "none: no WebSockets.", metavar="NAME"),
    _flag(
        _NAMES,
        "--h11-max-incomplete-event-size",
        Kind.NUMBER,
        "The same as --limit-header-size.",
    ),
    _flag(_OTHER, "--version", Kind.SWITCH, "Show the version."),
    _flag(_OTHER, "--help -h", Kind.HELP, "Show this text."),
)
