"""Certificates for the TLS tests, made afresh for every run of the suite.

Elliptic-curve keys, because making one takes no time.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


class Certificates:
    """One authority, and what it signed: a server, a second server name and a client."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority_key = ec.generate_private_key(ec.SECP256R1())
        self._authority_name = _name("vivace test authority")
        certificate = (
            _builder(self._authority_name, self._authority_name, self._authority_key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._authority_key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .sign(self._authority_key, hashes.SHA256())
        )
        self.authority = folder / "authority.pem"
        self.authority.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.server = self._issue("localhost", ExtendedKeyUsageOID.SERVER_AUTH)
        self.other_server = self._issue("other.example", ExtendedKeyUsageOID.SERVER_AUTH)
        self.client = self._issue("a client", ExtendedKeyUsageOID.CLIENT_AUTH)

    def server_context(self) -> ssl.SSLContext:
        """A context for a server called ``localhost``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server)
        return context

    def other_server_context(self) -> ssl.SSLContext:
        """A context for a server called ``other.example``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.other_server)
        return context

    def client_context(self) -> ssl.SSLContext:
        """A context for a client that trusts the authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.authority)
        return context

    def _issue(self, name: str, usage: x509.ObjectIdentifier) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(name.replace(" ", "-"))]
        if name == "localhost":
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        certificate = (
            _builder(_name(name), self._authority_name, key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    self._authority_key.public_key()
                ),
                critical=False,
            )
            .sign(self._authority_key, hashes.SHA256())
        )
        path = self._folder / f"{name.replace(' ', '-')}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        return path


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + 7 * DAY)
    )
