"""The `ssl.SSLContext` of the ``--ssl-*`` flags, and reading its certificate again."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._tls_extension import remember_certificate

__all__ = ["ALPN_HTTP1", "ALPN_HTTP2", "ContextFactory", "TlsFiles", "make_context"]

ALPN_HTTP2 = ["h2", "http/1.1"]
ALPN_HTTP1 = ["http/1.1"]

# Called with the configuration and with what would be done without it.
ContextFactory = Callable[[Any, Callable[[], ssl.SSLContext]], ssl.SSLContext]

Path = str | os.PathLike[str]


@dataclass(frozen=True)
class TlsFiles:
    """What the ``--ssl-*`` flags say."""

    certfile: Path | None
    keyfile: Path | None
    password: str | None
    version: int
    cert_reqs: int
    ca_certs: Path | None
    ciphers: str | None
    alpn: list[str] | None = None

    def context(self) -> ssl.SSLContext:
        """Make a context.

        Raises:
            ValueError: A file cannot be read or does not fit, or a value is none of OpenSSL's.
        """
        if not self.certfile:
            raise ValueError("TLS needs a certificate: ssl_certfile is missing")
        try:
            context = ssl.SSLContext(self.version)
            self.load_certificate(context)
            context.verify_mode = ssl.VerifyMode(self.cert_reqs)
            if self.ca_certs:
                context.load_verify_locations(self.ca_certs)
            if self.ciphers:
                context.set_ciphers(self.ciphers)
            if self.alpn:
                context.set_alpn_protocols(self.alpn)
        except (OSError, ValueError) as error:
            names = ", ".join(
                os.fspath(name) for name in (self.certfile, self.keyfile, self.ca_certs) if name
            )
            # The text of some errors of ssl is a tuple with the text in it.
            what = error.args[0] if len(error.args) == 1 else error
            raise ValueError(f"TLS with {names}: {what}") from error
        return context

    def load_certificate(self, context: ssl.SSLContext) -> None:
        """Read certificate and key, at first or again; connections that are open keep theirs.

        Raises:
            OSError: A file cannot be read, or (as `ssl.SSLError`) the two do not fit; the
                context keeps what it has.
        """
        assert self.certfile
        password = self.password
        # Without a function OpenSSL would ask the terminal for a password, which is uvicorn's
        # way too if there is none.
        get_password = (lambda: password) if password else None
        context.load_cert_chain(self.certfile, self.keyfile, get_password)
        remember_certificate(context, self.certfile)


def make_context(
    config: Any, files: TlsFiles, factory: ContextFactory | None
) -> ssl.SSLContext | None:
    """The server's context, or None if there is to be no TLS.

    Args:
        config: What the factory is called with.
        files: What the flags say.
        factory: The user's own way to make a context.

    Raises:
        ValueError: The context cannot be made.
        TypeError: The factory returned something else.
    """
    if factory is not None:
        context = factory(config, files.context)
        if not isinstance(context, ssl.SSLContext):
            raise TypeError(
                "`ssl_context_factory` must return an `ssl.SSLContext`, "
                f"got {type(context).__name__}"
            )
        return context
    if files.certfile or files.keyfile:
        return files.context()
    return None
