"""getaddrinfo and getnameinfo."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from support.sockets import has_ipv6


@pytest.mark.parametrize(
    ("host", "port", "options"),
    [
        ("127.0.0.1", 80, {}),
        ("127.0.0.1", "80", {"type": socket.SOCK_STREAM}),
        ("127.0.0.1", "http", {"type": socket.SOCK_STREAM}),
        ("127.0.0.1", None, {"type": socket.SOCK_DGRAM}),
        (b"127.0.0.1", 80, {"type": socket.SOCK_STREAM}),
        ("127.0.0.1", 80, {"family": socket.AF_INET, "proto": socket.IPPROTO_TCP}),
        ("127.0.0.1", 80, {"type": socket.SOCK_STREAM, "flags": socket.AI_NUMERICHOST}),
        ("localhost", 80, {"family": socket.AF_INET, "type": socket.SOCK_STREAM}),
        ("127.0.0.1", 80, {"flags": socket.AI_CANONNAME}),
        (None, 80, {"flags": socket.AI_PASSIVE, "family": socket.AF_INET}),
        ("::1", 80, {"type": socket.SOCK_STREAM}),
        ("127.1", 80, {"type": socket.SOCK_STREAM}),
        ("fe80::1%lo", 80, {"type": socket.SOCK_STREAM}),
        ("fe80::1%1", 80, {"type": socket.SOCK_STREAM}),
        ("fe80::1%no-such-interface", 80, {"type": socket.SOCK_STREAM}),
        ("::ffff:127.0.0.1", 80, {"type": socket.SOCK_STREAM}),
        ("::ffff:127.0.0.1", 80, {"family": socket.AF_INET, "type": socket.SOCK_STREAM}),
        ("127.0.0.1", 80, {"family": socket.AF_INET6, "flags": socket.AI_V4MAPPED}),
        ("127.0.0.1", 80, {"type": socket.SOCK_RAW}),
        ("127.0.0.1", 80, {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_UDP}),
        ("127.0.0.1", "ftp", {"type": socket.SOCK_DGRAM}),
        ("127.0.0.1", b"80", {"type": socket.SOCK_STREAM}),
        ("127.0.0.1", b"http", {"type": socket.SOCK_STREAM}),
        ("127.0.0.1", "", {"type": socket.SOCK_STREAM}),
        ("127.0.0.1", "-1", {"type": socket.SOCK_STREAM}),
        ("127.0.0.1", "0x50", {"type": socket.SOCK_STREAM}),
        ("127.0.0.1", "\u0668\u0660", {"type": socket.SOCK_STREAM}),
        ("127.0.0.1", 65535, {"type": socket.SOCK_STREAM}),
        ("127.0.0.1", 65536, {"type": socket.SOCK_STREAM}),
        ("127.0.0.1", -1, {"type": socket.SOCK_STREAM}),
        ("127.0.0.1", 80.5, {"type": socket.SOCK_STREAM}),
        ("127.0.0.1", 80, {"type": 99}),
        ("127.0.0.1", 80, {"family": 99}),
        ("127.0.0.256", 80, {"type": socket.SOCK_STREAM, "flags": socket.AI_NUMERICHOST}),
        ("0x7f.1", 80, {"type": socket.SOCK_STREAM}),
        ("127.0.0.1 ", 80, {"type": socket.SOCK_STREAM, "flags": socket.AI_NUMERICHOST}),
        ("127.0.0.1\0", 80, {"type": socket.SOCK_STREAM}),
        (bytearray(b"127.0.0.1"), 80, {"type": socket.SOCK_STREAM}),
        (None, 0, {"type": socket.SOCK_STREAM}),
        (None, None, {"type": socket.SOCK_STREAM}),
        (None, "http", {"type": socket.SOCK_STREAM}),
        ("", 80, {"type": socket.SOCK_STREAM, "flags": socket.AI_PASSIVE}),
    ],
    ids=str,
)
def test_the_same_as_the_socket_module(run, host, port, options):
    """The fast path for numbers gives exactly what the resolver gives."""
    if not has_ipv6() and ":" in str(host):
        pytest.skip("no IPv6 on the loopback")
    try:
        expected = socket.getaddrinfo(host, port, **options)
    except (OSError, OverflowError, ValueError, TypeError) as exc:
        expected = type(exc), exc.args

    async def main():
        try:
            return await asyncio.get_running_loop().getaddrinfo(host, port, **options)
        except (OSError, OverflowError, ValueError, TypeError) as exc:
            return type(exc), exc.args

    assert run(main()) == expected


def test_errors(run):
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo("name.invalid", 80)
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo("127.0.0.1", 80, family=socket.AF_INET6)
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo("127.0.0.1", "no-such-service")
        with pytest.raises(TypeError):
            await loop.getaddrinfo("127.0.0.1", 80, socket.AF_INET)

    run(main())


def test_off_the_loop(run, monkeypatch):
    """A name is looked up in a thread of the default executor."""
    threads = []
    real = socket.getaddrinfo

    def getaddrinfo(*args, **kwargs):
        threads.append(threading.current_thread())
        return real("127.0.0.1", 80)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def main():
        return await asyncio.get_running_loop().getaddrinfo("some.name.example", 80)

    assert run(main())
    assert threads and threads[0] is not threading.main_thread()


def test_getnameinfo(run):
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV

    async def main():
        loop = asyncio.get_running_loop()
        assert await loop.getnameinfo(("127.0.0.1", 80), numeric) == ("127.0.0.1", "80")
        assert await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST) == (
            "127.0.0.1",
            "http",
        )
        if has_ipv6():
            assert await loop.getnameinfo(("::1", 80, 0, 0), numeric) == ("::1", "80")
        for wrong in (("name.invalid", 80), ("127.0.0.1", -1)):
            with pytest.raises((OSError, OverflowError, TypeError)):
                await loop.getnameinfo(wrong, numeric)

    run(main())


numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


@pytest.mark.parametrize(
    ("address", "flags"),
    [
        (("127.0.0.1", 80), 0),
        (("127.0.0.1", 80), numeric),
        (("127.0.0.1", 80), socket.NI_NUMERICHOST),
        (("127.0.0.1", 80), socket.NI_NUMERICSERV),
        (("127.0.0.1", 80), numeric | socket.NI_DGRAM),
        (("127.0.0.1", 0), numeric),
        (("::1", 80), numeric),
        (("::1", 80, 0), numeric),
        (("::1", 80, 0, 0), numeric),
        (("::1", 80, 5, 0), numeric),
        (("::1", 80, 1 << 20, 0), numeric),
        (("fe80::1", 80, 0, 1), numeric),
        (("fe80::1", 80, 0, 9999), numeric),
        (("fe80::1%lo", 80, 0, 0), numeric),
        (("127.0.0.1", 80, 5), numeric),
        (("127.0.0.1", 70000), numeric),
        (("127.0.0.1", -1), numeric),
        (("127.0.0.1", "80"), numeric),
        (("localhost", 80), numeric),
        (("127.0.0.1",), numeric),
        ("127.0.0.1", numeric),
        (["127.0.0.1", 80], numeric),
        (None, numeric),
        (("127.0.0.1", 80), "text"),
        (("127.0.0.1", 80), 1 << 40),
    ],
    ids=str,
)
def test_getnameinfo_is_the_same_as_the_socket_module(run, address, flags):
    errors = (OSError, OverflowError, ValueError, TypeError)
    if not has_ipv6() and ":" in str(address):
        pytest.skip("no IPv6 on the loopback")
    try:
        expected = socket.getnameinfo(address, flags)
    except errors as exc:
        expected = type(exc), exc.args

    async def main():
        try:
            return await asyncio.get_running_loop().getnameinfo(address, flags)
        except errors as exc:
            return type(exc), exc.args

    assert run(main()) == expected


@pytest.mark.not_asyncio("a thread is asked")
def test_numbers_need_no_thread(run):
    async def main():
        loop = asyncio.get_running_loop()
        for host in ("127.0.0.1", b"127.0.0.1", "fe80::1%lo", None):
            for port in (80, "80", b"80"):
                assert await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        assert await loop.getaddrinfo("127.0.0.1", None)
        await loop.getnameinfo(("127.0.0.1", 80), numeric)
        server = await loop.create_server(asyncio.Protocol, None, 0)
        server.close()
        assert loop._default_executor is None

    run(main())


def test_a_replaced_resolver_is_asked(run, monkeypatch):
    """Programs and their tests exchange the functions of the socket module."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: ["an address"])
    monkeypatch.setattr(socket, "getnameinfo", lambda *args: ("a name", "a service"))

    async def main():
        loop = asyncio.get_running_loop()
        assert await loop.getaddrinfo("127.0.0.1", 80) == ["an address"]
        assert await loop.getnameinfo(("127.0.0.1", 80), numeric) == ("a name", "a service")

    run(main())


def test_getnameinfo_off_the_loop(run, monkeypatch):
    """A name is looked up in a thread of the default executor."""
    threads = []

    def getnameinfo(*args):
        threads.append(threading.current_thread())
        return "a name", "a service"

    monkeypatch.setattr(socket, "getnameinfo", getnameinfo)

    async def main():
        await asyncio.get_running_loop().getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST)

    run(main())
    assert threads and threads[0] is not threading.main_thread()
