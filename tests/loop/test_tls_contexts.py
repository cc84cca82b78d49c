"""What the caller's SSLContext says is done: names, certificates, ALPN, versions, sessions."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from support.protocols import Recorder
from support.tls import end

# With TLS 1.3 a client may have finished before the server refuses it; a refusal is an alert or,
# if the server's socket is gone before that is read, a reset.
REFUSED = (ssl.SSLError, ConnectionError)


def test_the_certificate_is_checked(run, tls):
    async def main():
        async with tls.serve() as server:
            with pytest.raises(ssl.SSLCertVerificationError):
                await tls.connect(server, ssl.create_default_context())
            with pytest.raises(ssl.SSLCertVerificationError, match="[Hh]ostname mismatch"):
                await tls.connect(server, server_hostname="wrong.example")
            _, client = await tls.connect(server)
            await end(client)

    run(main())


def test_ssl_true_uses_the_default_context(run, tls):
    async def main():
        async with tls.serve() as server:
            with pytest.raises(ssl.SSLCertVerificationError):
                await tls.connect(server, True)

    run(main())


def test_without_checks(run, tls):
    async def main():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        async with tls.serve() as server:
            for name in ("anything.example", ""):
                transport, client = await tls.connect(server, context, server_hostname=name)
                served = await server.made.get()
                assert transport.get_extra_info("peercert") in ({}, None)
                await end(client, served)

    run(main())


def test_the_host_is_the_default_name(run, tls):
    async def main():
        async with tls.serve() as server:
            transport, client = await tls.connect(server, server_hostname=None)
            assert transport.get_extra_info("ssl_object").server_hostname == "127.0.0.1"
            await end(client)

    run(main())


def test_server_name_indication(run, tls, certificates):
    """The callback sees the name and may change the context in the middle of the handshake."""

    async def main():
        seen = []
        context, other = certificates.server_context(), certificates.other_server_context()

        def choose(ssl_object, name, given):
            seen.append((type(ssl_object), name, given is context))
            if name == "other.example":
                ssl_object.context = other
            elif name == "refused.example":
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            return None

        context.sni_callback = choose
        async with tls.serve(context) as server:
            for name in ("localhost", "other.example"):
                transport, client = await tls.connect(server, server_hostname=name)
                names = transport.get_extra_info("peercert")["subjectAltName"]
                assert ("DNS", name) in names
                await end(client)
            with pytest.raises(REFUSED):
                await tls.connect(server, server_hostname="refused.example")
        assert [name for _, name, _ in seen] == ["localhost", "other.example", "refused.example"]
        assert all(issubclass(kind, ssl.SSLObject) and same for kind, _, same in seen)

    run(main())


def test_a_failing_name_callback(run, tls, certificates, monkeypatch):
    """It is told to `sys.unraisablehook`, and refuses the client."""
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: unraisable.append(args.exc_type))

    def choose(ssl_object, name, given):
        raise ZeroDivisionError

    async def main():
        context = certificates.server_context()
        context.sni_callback = choose
        async with tls.serve(context) as server:
            with pytest.raises(REFUSED):
                await tls.connect(server)

    run(main())
    assert unraisable == [ZeroDivisionError]


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["http/1.1"], "http/1.1"), (["http/1.1", "h2"], "h2"), (["spdy/1"], None), (None, None)],
)
def test_application_protocols(run, tls, certificates, offered, chosen):
    """The server's order decides; nothing in common is no error."""

    async def main():
        server_context, client_context = (
            certificates.server_context(),
            certificates.client_context(),
        )
        server_context.set_alpn_protocols(["h2", "http/1.1"])
        if offered:
            client_context.set_alpn_protocols(offered)
        async with tls.pair(server_context=server_context, client_context=client_context) as pair:
            for side in (pair.transport, pair.served.transport):
                ssl_object = side.get_extra_info("ssl_object")
                assert ssl_object.selected_alpn_protocol() == chosen

    run(main())


@pytest.fixture
def demanding(certificates):
    """The context of a server that asks its clients for a certificate."""
    context = certificates.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.authority)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificates(run, tls, certificates, demanding, version):
    async def main():
        client_context = certificates.client_context()
        client_context.load_cert_chain(certificates.client)
        client_context.maximum_version = version
        async with tls.pair(server_context=demanding, client_context=client_context) as pair:
            certificate = pair.served.transport.get_extra_info("peercert")
            subject = dict(part[0] for part in certificate["subject"])
            assert subject == {"commonName": "a client"}

    run(main())


def test_a_missing_client_certificate(run, tls, certificates, demanding):
    async def main():
        client_context = certificates.client_context()
        client_context.maximum_version = ssl.TLSVersion.TLSv1_2
        async with tls.serve(demanding) as server:
            with pytest.raises(REFUSED):
                await tls.connect(server, client_context)
            assert not (await server.made.get()).calls

    run(main())


def test_a_missing_client_certificate_is_told_later_with_tls_1_3(run, tls, demanding):
    """The client has finished when the server looks, and is then left alone."""

    async def main():
        async with tls.serve(demanding) as server:
            _, client = await tls.connect(server)
            await client.lost
            assert not client.data
            assert not (await server.made.get()).calls

    run(main())


def test_versions_and_ciphers(run, tls, certificates):
    async def main():
        client_context = certificates.client_context()
        client_context.maximum_version = ssl.TLSVersion.TLSv1_2
        client_context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        async with tls.pair(client_context=client_context) as pair:
            assert pair.transport.get_extra_info("ssl_object").version() == "TLSv1.2"
            cipher = pair.transport.get_extra_info("cipher")
            assert cipher[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"

    run(main())


def test_no_version_in_common(run, tls, certificates):
    async def main():
        server_context, client_context = (
            certificates.server_context(),
            certificates.client_context(),
        )
        server_context.minimum_version = ssl.TLSVersion.TLSv1_3
        client_context.maximum_version = ssl.TLSVersion.TLSv1_2
        async with tls.serve(server_context) as server:
            with pytest.raises(REFUSED):
                await tls.connect(server, client_context)

    run(main())


def test_session_details(run, tls, certificates, tmp_path):
    """Key logging and channel binding need the real library underneath."""

    async def main():
        client_context = certificates.client_context()
        client_context.keylog_filename = str(tmp_path / "keys")
        async with tls.pair(client_context=client_context) as pair:
            mine = pair.transport.get_extra_info("ssl_object")
            assert mine.get_channel_binding("tls-unique") is not None
            assert mine.pending() == 0
        assert "CLIENT_HANDSHAKE_TRAFFIC_SECRET" in (tmp_path / "keys").read_text()

    run(main())


class Resuming(ssl.SSLContext):
    """Offers a session that it was given: asyncio has no argument for it."""

    offered = None

    def wrap_bio(self, incoming, outgoing, server_side=False, server_hostname=None, session=None):
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, self.offered)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed(run, tls, certificates, version):
    async def main():
        context = Resuming(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certificates.authority)
        context.maximum_version = version
        async with tls.serve() as server:
            for resumed in (False, True):
                transport, client = await tls.connect(server, context)
                served = await server.made.get()
                await served.made
                # With TLS 1.3 the tickets come with the first bytes of the server.
                served.transport.write(b"hello")
                assert await client.received(5) == b"hello"
                ssl_object = transport.get_extra_info("ssl_object")
                assert ssl_object.session_reused is resumed
                assert served.transport.get_extra_info("ssl_object").session_reused is resumed
                context.offered = ssl_object.session
                assert context.offered is not None
                await end(client, served)

    run(main())


# The connected socket is left to the collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_context_that_refuses(run, certificates):
    """A failure of its `wrap_bio` is that of the connection."""

    class Refusing(ssl.SSLContext):
        def wrap_bio(self, *args, **options):
            raise ZeroDivisionError

    async def main():
        loop = asyncio.get_running_loop()
        async with await loop.create_server(asyncio.Protocol, "127.0.0.1", 0) as server:
            with pytest.raises(ZeroDivisionError):
                await loop.create_connection(
                    Recorder,
                    *server.sockets[0].getsockname(),
                    ssl=Refusing(ssl.PROTOCOL_TLS_CLIENT),
                    server_hostname="localhost",
                )

    run(main())
