"""The extension `tls` of ASGI: what an application may know of the connection's encryption.

Who calls it: the native engine, once for each encrypted connection. The keys are those of the
extension's specification (asgiref, "TLS Extension", version 0.3).
"""

from __future__ import annotations

import os
import re
import ssl
import weakref
from typing import Any

__all__ = ["describe", "remember_certificate"]

# The certificate that a context was given, which OpenSSL does not tell of a connection.
_certificates: weakref.WeakKeyDictionary[ssl.SSLContext, str] = weakref.WeakKeyDictionary()

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\n.*?\n-----END CERTIFICATE-----\n?", re.DOTALL)

# The numbers that the versions have in a handshake (RFC 8446, section 4.2.1).
_VERSIONS = {"TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


def remember_certificate(context: ssl.SSLContext, certfile: str | os.PathLike[str]) -> None:
    """Notes the first certificate of a file that `context` has loaded, as PEM text."""
    with open(certfile, encoding="ascii", errors="replace") as file:
        first = _PEM.search(file.read().replace("\r\n", "\n"))
    if first is not None:
        _certificates[context] = first.group()


def describe(channel: ssl.SSLObject) -> dict[str, Any]:
    """What the scope's `extensions["tls"]` holds.

    Args:
        channel: The connection's `ssl_object`, after the handshake.

    Returns:
        `server_cert` is the certificate of the context that was used, None if somebody else has
        loaded that. `client_cert_chain` has the client's own certificate, if it gave one;
        whether it is verified is the context's matter, so `client_cert_error` is None.
    """
    certificate = channel.getpeercert(binary_form=True)
    subject = channel.getpeercert() if certificate else None
    return {
        "server_cert": _certificates.get(channel.context),
        "client_cert_chain": [ssl.DER_cert_to_PEM_cert(certificate)] if certificate else [],
        "client_cert_name": _name(subject) if subject else None,
        "client_cert_error": None,
        "tls_version": _VERSIONS.get(channel.version() or ""),
        "cipher_suite": _cipher_suite(channel),
    }


def _name(certificate: dict[str, Any]) -> str | None:
    """The subject as RFC 4514 writes it: the last part of it first."""
    short = {
        "commonName": "CN",
        "organizationName": "O",
        "organizationalUnitName": "OU",
        "countryName": "C",
        "localityName": "L",
        "stateOrProvinceName": "ST",
    }
    parts = [
        "+".join(f"{short.get(key, key)}={_escaped(value)}" for key, value in relative)
        for relative in certificate.get("subject", ())
    ]
    return ",".join(reversed(parts)) or None


def _escaped(value: str) -> str:
    """An attribute's value, with what has a meaning in a name escaped."""
    escaped = "".join(f"\\{letter}" if letter in ',+"\\<>;=' else letter for letter in value)
    if escaped.startswith((" ", "#")):
        escaped = "\\" + escaped
    if escaped.endswith(" ") and len(value) > 1:
        escaped = escaped[:-1] + "\\ "
    return escaped


def _cipher_suite(channel: ssl.SSLObject) -> int | None:
    """IANA's number of the cipher suite in use."""
    cipher = channel.cipher()
    if cipher is None:
        return None
    for known in channel.context.get_ciphers():
        if known["name"] == cipher[0]:
            return int(known["id"]) & 0xFFFF
    return None
