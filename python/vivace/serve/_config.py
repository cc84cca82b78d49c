"""`Config`: everything that can be said about a server, checked and made ready.

One field for each flag of ``vivace serve``, under uvicorn's name and with uvicorn's default where
uvicorn has it. The command line (`vivace._cli.serve`) takes its defaults from here, so there is
one list. Making a Config sets the logs up and reads ``--env-file``, as uvicorn's does; loading
the application is a step of its own.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from random import randint
from typing import Any

from .._loop import new_event_loop
from .._native import HttpService
from . import _logging
from ._adapters import Interface, adapt, called_if_factory
from ._addresses import Address, Descriptor, TcpAddress, UnixAddress, parse_address
from ._asgi_types import Application, Receive, Scope, Send
from ._checks import check, listed
from ._errors import NotStarted
from ._headers import default_headers
from ._importer import ImportFromStringError, import_from_string
from ._lifespan import LifespanMode
from ._logging import LogConfig, access_log_of, default_log_config, error_logger
from ._reload_paths import ReloadPaths
from ._settings import Settings
from ._static import StaticFiles
from ._tls_context import ALPN_HTTP1, ALPN_HTTP2, ContextFactory, TlsFiles, make_context

__all__ = ["Config"]

# Also if requests get no time at all, the application gets some.
LEAST_SHUTDOWN_TIMEOUT = 5.0

DEFAULT_FORWARDED_ALLOW_IPS = "127.0.0.1,::1"

Text = str | os.PathLike[str]


@dataclass(eq=False)
class Config:
    """What a server is to do. Times are in seconds, sizes in bytes; None is "no limit".

    Args:
        app: The application, or its import string ``module:attribute``; workers and reloading
            need the string.

    Raises:
        ValueError: A value cannot be meant.
    """

    app: Any
    host: str = "127.0.0.1"
    port: int = 8000
    _: KW_ONLY

    # Where to listen: `bind`, or `uds`, or `fd`, or `host` and `port`.
    uds: str | None = None
    fd: int | None = None
    bind: Sequence[str] | str = ()
    backlog: int = 2048

    # The application.
    factory: bool = False
    app_dir: str | None = None
    interface: Interface = "auto"
    lifespan: LifespanMode = "auto"
    env_file: Text | None = None
    root_path: str = ""
    reset_contextvars: bool = False

    # Processes.
    workers: int | None = None
    limit_max_requests: int | None = None
    limit_max_requests_jitter: int = 0
    limit_max_rss: int | None = None
    limit_worker_age: float | None = None
    timeout_worker_healthcheck: float | None = None

    # Reloading.
    reload: bool = False
    reload_dirs: Sequence[Text] | Text | None = None
    reload_includes: Sequence[str] | str | None = None
    reload_excludes: Sequence[str] | str | None = None
    reload_delay: float = 0.25

    # Implementations. There is one of each; uvicorn's names are understood.
    loop: str = "auto"
    http: str = "auto"
    ws: str = "auto"
    http2: bool = False

    # HTTP.
    proxy_headers: bool = True
    forwarded_allow_ips: Sequence[str] | str | None = None
    server_header: bool = True
    date_header: bool = True
    headers: Sequence[tuple[str, str]] | None = ()
    cancel_on_disconnect: bool = False
    static: Sequence[tuple[str, str]] = ()
    metrics: str | None = None

    # WebSockets.
    ws_max_size: int = 16 * 1024 * 1024
    ws_max_queue: int = 32
    ws_ping_interval: float | None = 20.0
    ws_ping_timeout: float | None = 20.0
    ws_per_message_deflate: bool = True

    # Logs.
    log_config: LogConfig | None = field(default_factory=default_log_config)
    log_level: str | int | None = None
    access_log: bool = True
    access_log_format: str = "text"
    use_colors: bool | None = None

    # Deadlines.
    timeout_keep_alive: float = 5
    timeout_graceful_shutdown: float | None = 30
    timeout_startup: float | None = None
    timeout_shutdown: float | None = None
    timeout_request: float | None = None
    timeout_request_header: float = 30
    timeout_write: float = 60
    timeout_handshake: float = 15

    # Limits.
    limit_concurrency: int | None = None
    limit_queue: int = 0
    limit_connections_per_address: int | None = None
    limit_headers: int = 100
    limit_header_size: int = 64 * 1024
    limit_body_size: int | None = None
    limit_body_rate: int = 240
    h11_max_incomplete_event_size: int | None = None

    # TLS.
    ssl_keyfile: Text | None = None
    ssl_certfile: Text | None = None
    ssl_keyfile_password: str | None = field(default=None, repr=False)
    ssl_version: int = ssl.PROTOCOL_TLS_SERVER
    ssl_cert_reqs: int = ssl.CERT_NONE
    ssl_ca_certs: Text | None = None
    ssl_ciphers: str | None = None
    ssl_context_factory: ContextFactory | None = None

    # Called every `timeout_notify` seconds while serving.
    callback_notify: Callable[[], Awaitable[None]] | None = None
    timeout_notify: float = 30

    # What `load` makes.
    loaded: bool = field(default=False, init=False, repr=False)
    loaded_app: Application | None = field(default=None, init=False, repr=False)
    ssl_context: ssl.SSLContext | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.app_dir is not None:
            sys.path.insert(0, self.app_dir)
        check(self)
        self.addresses: list[Address] = _addresses(self)
        self.encoded_headers = default_headers(self.headers or (), server=self.server_header)
        self._check_access_log_format()
        self.configure_logging()
        if self.reload and isinstance(self.app, str):
            self.reload_paths = ReloadPaths.resolve(
                self.reload_dirs, self.reload_includes, self.reload_excludes
            )
        elif self.reload_dirs or self.reload_includes or self.reload_excludes:
            error_logger.warning(
                "Current configuration will not reload as not all conditions are met, "
                "please refer to documentation."
            )
        if self.env_file is not None:
            _load_environment(self.env_file)
        self._take_from_environment()
        self._warn_of_what_has_no_effect()

    @property
    def is_ssl(self) -> bool:
        """Whether connections are encrypted."""
        return bool(self.ssl_keyfile or self.ssl_certfile or self.ssl_context_factory)

    @property
    def should_reload(self) -> bool:
        """Whether to restart when files change."""
        return self.reload and isinstance(self.app, str)

    @property
    def processes(self) -> int:
        """How many workers there are to be."""
        return 1 if self.reload else (self.workers or 1)

    @property
    def shutdown_timeout(self) -> float | None:
        """How long the application's shutdown may take: as long as the requests before it."""
        if self.timeout_shutdown is not None or self.timeout_graceful_shutdown is None:
            return self.timeout_shutdown
        return max(self.timeout_graceful_shutdown, LEAST_SHUTDOWN_TIMEOUT)

    def configure_logging(self) -> None:
        """Set the logs up; each process has to."""
        _logging.configure(
            self.log_config,
            self.log_level,
            access_log=self.access_log,
            use_colors=self.use_colors,
        )

    def loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop]:
        """What makes the loop; it has to be one of vivace's.

        Raises:
            NotStarted: There is no such factory. That has been logged.
        """
        if self.loop in ("auto", "none", "vivace", *UVICORNS_OWN["loop"]):
            return new_event_loop
        try:
            factory: Callable[[], asyncio.AbstractEventLoop] = import_from_string(self.loop)
        except ImportFromStringError as error:
            error_logger.error("Error loading custom loop setup function. %s", error)
            raise NotStarted(f"{error}") from error
        return factory

    def load_app(self) -> Any:
        """Import what `app` names.

        Raises:
            NotStarted: There is nothing, or it raises. That has been logged.
        """
        try:
            return import_from_string(self.app)
        except ImportFromStringError as error:
            error_logger.error("Error loading ASGI app. %s", error)
            raise NotStarted(f"{error}") from error
        except Exception as error:
            error_logger.error("Error loading ASGI app. It raised:", exc_info=error)
            raise NotStarted(f"{error}") from error

    def load(self) -> Application:
        """Make the application and the TLS context.

        Raises:
            NotStarted: One of them cannot be made. That has been logged.
        """
        if self.loaded_app is not None:
            return self.loaded_app
        try:
            self.ssl_context = make_context(self, self.tls_files(), self.ssl_context_factory)
        except ValueError as error:
            error_logger.error("%s", error)
            raise NotStarted(f"{error}") from error
        try:
            app = called_if_factory(self.load_app(), factory=self.factory)
            adapted, self.interface = adapt(app, self.interface, self.app)
            self.loaded_app = StaticFiles(adapted, self.static) if self.static else adapted
        except NotStarted:
            raise
        except Exception as error:
            error_logger.error("Error loading ASGI app. It raised:", exc_info=error)
            raise NotStarted(f"{error}") from error
        self.loaded = True
        return self.loaded_app

    def tls_files(self) -> TlsFiles:
        """What the flags say about TLS."""
        return TlsFiles(
            certfile=self.ssl_certfile,
            keyfile=self.ssl_keyfile,
            password=self.ssl_keyfile_password,
            version=self.ssl_version,
            cert_reqs=self.ssl_cert_reqs,
            ca_certs=self.ssl_ca_certs,
            ciphers=self.ssl_ciphers,
            alpn=ALPN_HTTP2 if self.http2 else ALPN_HTTP1,
        )

    def settings(self) -> Settings:
        """What the engine is told. Looks at the logs as they are now, so: just before serving."""
        access = access_log_of(self.access_log, self.access_log_format)
        header_size = self.limit_header_size
        if self.h11_max_incomplete_event_size is not None:
            header_size = self.h11_max_incomplete_event_size
        max_requests = self.limit_max_requests
        if max_requests is not None:
            max_requests += randint(0, self.limit_max_requests_jitter)
        return Settings(
            root_path=self.root_path,
            default_headers=self.encoded_headers,
            date_header=self.date_header,
            proxy_headers=self.proxy_headers,
            forwarded_allow_ips=listed(self.forwarded_allow_ips),
            reset_contextvars=self.reset_contextvars,
            cancel_on_disconnect=self.cancel_on_disconnect,
            http2=self.http2,
            access_log=access.enabled,
            access_log_format=self.access_log_format,
            access_log_colors=access.colours,
            access_logger=access.logger,
            error_logger=error_logger,
            timeout_keep_alive=float(self.timeout_keep_alive),
            timeout_request_header=float(self.timeout_request_header),
            timeout_write=float(self.timeout_write),
            timeout_request=_float(self.timeout_request),
            limit_body_rate=self.limit_body_rate,
            limit_body_size=self.limit_body_size,
            limit_headers=self.limit_headers,
            limit_header_size=header_size,
            limit_concurrency=self.limit_concurrency,
            limit_queue=self.limit_queue,
            limit_connections_per_address=self.limit_connections_per_address,
            limit_max_requests=max_requests,
            ws=self.ws != "none" and self.interface != "wsgi",
            ws_max_size=self.ws_max_size,
            ws_max_queue=self.ws_max_queue,
            # 0 is how uvicorn's users turn it off.
            ws_ping_interval=_float(self.ws_ping_interval) or None,
            ws_ping_timeout=_float(self.ws_ping_timeout),
            ws_per_message_deflate=self.ws_per_message_deflate,
        )

    def __getstate__(self) -> dict[str, Any]:
        """What a worker gets: all but what it has to make itself."""
        return self.__dict__ | {"loaded": False, "loaded_app": None, "ssl_context": None}

    def _check_access_log_format(self) -> None:
        if "%(" not in self.access_log_format:
            return
        settings = dataclasses.replace(self.settings(), access_log=True, access_logger=None)
        try:
            # The engine knows its atoms.
            HttpService(_no_application, settings).close_log()
        except ValueError as error:
            reason = f"{error}".removeprefix("--access-log-format: ")
            raise ValueError(f"access_log_format: {reason}") from None

    def _take_from_environment(self) -> None:
        if self.workers is None and (text := os.environ.get("WEB_CONCURRENCY")):
            if not text.isdecimal():
                raise ValueError(f"WEB_CONCURRENCY must be a number, not {text!r}")
            # Some platforms say 0 for "one process".
            self.workers = max(1, int(text))
        if self.forwarded_allow_ips is None:
            self.forwarded_allow_ips = os.environ.get(
                "FORWARDED_ALLOW_IPS", DEFAULT_FORWARDED_ALLOW_IPS
            )

    def _warn_of_what_has_no_effect(self) -> None:
        if self.reload and (self.workers or 1) > 1:
            error_logger.warning('"workers" flag is ignored when reloading is enabled.')
        for option, choice in (("loop", self.loop), ("http", self.http), ("ws", self.ws)):
            if choice in UVICORNS_OWN[option]:
                error_logger.warning(
                    '"%s=%s" is ignored: vivace has an implementation of its own.', option, choice
                )


async def _no_application(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("made to be looked at, not to be called")


# What uvicorn calls its implementations.
UVICORNS_OWN = {
    "loop": ("asyncio", "uvloop", "zuvloop"),
    "http": ("h11", "httptools", "zttp"),
    "ws": ("websockets", "websockets-sansio", "wsproto"),
}


def _addresses(config: Config) -> list[Address]:
    bind = [config.bind] if isinstance(config.bind, str) else list(config.bind)
    if bind:
        if config.uds is not None or config.fd is not None:
            raise ValueError("bind takes the place of uds and fd: give one of them")
        return [parse_address(text) for text in bind]
    if config.uds is not None and config.fd is not None:
        raise ValueError("uds and fd are both given: give one of them")
    if config.uds is not None:
        return [UnixAddress(config.uds)]
    if config.fd is not None:
        return [Descriptor(config.fd)]
    return [TcpAddress(config.host or "", config.port)]


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _load_environment(path: Text) -> None:
    try:
        from dotenv import load_dotenv
    except ImportError:
        raise ValueError(
            "env_file needs the python-dotenv package: "
            "pip install python-dotenv, or pip install 'vivace[standard]'"
        ) from None
    if not Path(path).is_file():
        raise ValueError(f"env_file: there is no file {os.fspath(path)!r}")
    error_logger.info("Loading environment from '%s'", path)
    load_dotenv(dotenv_path=path)
