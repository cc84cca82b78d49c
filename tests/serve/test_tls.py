"""TLS: the flags of uvicorn, what the application sees, client certificates, new certificates."""

from __future__ import annotations

import ast
import contextlib
import shutil
import signal
import socket
import ssl

import pytest
from support import serving
from support.http_wire import Wire, within
from support.patience import SECONDS


def flags(certificates) -> tuple[str, ...]:
    return ("--ssl-certfile", str(certificates.server), "--ssl-keyfile", str(certificates.server))


@contextlib.contextmanager
def connect(server, context: ssl.SSLContext, name: str = "localhost"):
    """A connection with TLS, as a wire."""
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as sock:
        with context.wrap_socket(sock, server_hostname=name) as tls, Wire(tls) as wire:
            yield wire


@pytest.fixture
def server(shared_server, certificates):
    return shared_server("apps.probe:app", *flags(certificates))


def test_banner(server):
    assert server.scheme == "https"


def test_get(server, certificates):
    with connect(server, certificates.client_context()) as wire:
        for _ in range(5):
            assert wire.get("/hello").body == b"hello"


def test_scope(server, certificates):
    with connect(server, certificates.client_context()) as wire:
        scope = ast.literal_eval(wire.get("/scope").body.decode())
        assert scope["scheme"] == "https"
        assert scope["client"] == wire.sock.getsockname()


def test_large_bodies(server, certificates):
    data = bytes(range(256)) * 20_000
    with connect(server, certificates.client_context()) as wire:
        wire.send_while_taking(
            b"POST /back HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(data) + data
        )
        assert wire.response().body == data


def test_close_is_announced(server, certificates):
    """A close_notify, so that the client can tell the end from a cut."""
    with connect(server, certificates.client_context()) as wire:
        wire.send(b"GET /chunks HTTP/1.0\r\n\r\n")
        assert wire.response().body.endswith(b"end")
        assert wire.ends()


def test_plain_http_is_refused(server):
    with Wire.connect(("127.0.0.1", server.port)) as wire:
        wire.send(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"hello" not in wire.rest()


def test_a_client_that_does_not_shake_hands(server, certificates):
    """It does not disturb others."""
    with Wire.connect(("127.0.0.1", server.port)):
        with connect(server, certificates.client_context()) as wire:
            assert wire.get("/hello").status == 200


@pytest.mark.skipif(serving.KIND != "vivace", reason="uvicorn has no HTTP/1.1 in ALPN")
def test_alpn(server, certificates):
    context = certificates.client_context()
    context.set_alpn_protocols(["http/1.1"])
    with connect(server, context) as wire:
        assert wire.sock.selected_alpn_protocol() == "http/1.1"
        assert wire.get("/hello").status == 200


def test_version(shared_server, certificates):
    """TLS 1.2 and newer by default, as Python's own default is."""
    server = shared_server("apps.probe:app", *flags(certificates))
    context = certificates.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with connect(server, context) as wire:
        assert wire.sock.version() == "TLSv1.2"
        assert wire.get("/hello").status == 200


class TestClientCertificates:
    @pytest.fixture
    def server(self, shared_server, certificates):
        return shared_server(
            "apps.extensions:app",
            *flags(certificates),
            *("--ssl-cert-reqs", "2", "--ssl-ca-certs", str(certificates.authority)),
        )

    def test_with(self, server, certificates):
        context = certificates.client_context()
        context.load_cert_chain(certificates.client)
        with connect(server, context) as wire:
            scheme, tls = ast.literal_eval(wire.get("/tls").body.decode())
        assert scheme == "https"
        if serving.KIND != "vivace":
            return
        # The specification of the extension names these.
        assert tls["tls_version"] == 0x0304
        assert isinstance(tls["cipher_suite"], int)
        assert tls["server_cert"].startswith("-----BEGIN CERTIFICATE-----")
        chain = list(tls["client_cert_chain"])
        assert chain[0].strip() in certificates.client.read_text()
        assert "a client" in tls["client_cert_name"]
        assert tls["client_cert_error"] is None

    def test_without(self, server, certificates):
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            with connect(server, certificates.client_context()) as wire:
                wire.get("/tls")


@pytest.mark.skipif(serving.KIND != "vivace", reason="only vivace has the extension")
def test_extension_without_a_client_certificate(shared_server, certificates):
    server = shared_server("apps.extensions:app", *flags(certificates))
    with connect(server, certificates.client_context()) as wire:
        _, tls = ast.literal_eval(wire.get("/tls").body.decode())
    assert list(tls["client_cert_chain"]) == []
    assert tls["client_cert_name"] is None


def test_websocket(shared_server, certificates):
    from websockets.sync.client import connect as open_websocket

    server = shared_server("apps.sockets:app", *flags(certificates))
    url = f"wss://localhost:{server.port}/echo"
    with open_websocket(url, ssl=certificates.client_context()) as websocket:
        for message in ("hello", "x" * 200_000):
            websocket.send(message)
            assert websocket.recv() == message


def test_websocket_scope(shared_server, certificates):
    from websockets.sync.client import connect as open_websocket

    server = shared_server("apps.sockets:app", *flags(certificates))
    url = f"wss://localhost:{server.port}/scope"
    with open_websocket(url, ssl=certificates.client_context()) as websocket:
        assert ast.literal_eval(websocket.recv())["scheme"] == "wss"


@pytest.mark.skipif(serving.KIND != "vivace", reason="only vivace reads certificates again")
def test_new_certificate_on_hangup(start_server, certificates, tmp_path):
    """Connections that are there stay; new ones get the new certificate."""
    path = tmp_path / "certificate.pem"
    shutil.copy(certificates.server, path)
    server = start_server("apps.probe:app", "--ssl-certfile", str(path), "--ssl-keyfile", str(path))
    context = certificates.client_context()
    context.check_hostname = False
    with connect(server, context) as old:
        assert old.get("/hello").status == 200
        shutil.copy(certificates.other_server, path)
        server.signal(signal.SIGHUP)

        def renewed() -> bool:
            with connect(server, context) as wire:
                names = wire.sock.getpeercert()["subjectAltName"]
                return ("DNS", "other.example") in names

        within(renewed, "the new certificate")
        assert old.get("/hello").status == 200


def test_end_with_idle_connections(start_server, certificates):
    server = start_server("apps.probe:app", *flags(certificates))
    with connect(server, certificates.client_context()) as wire:
        assert wire.get("/hello").status == 200
        server.signal(signal.SIGTERM)
        assert wire.ends()
    server.wait()
