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
    ],
    ids=str,
)
def test_the_same_as_the_socket_module(run, host, port, options):
    """The fast path for numbers gives exactly what the resolver gives."""
    if not has_ipv6() and ":" in str(host):
        pytest.skip("no IPv6 on the loopback")
    try:
        expected = socket.getaddrinfo(host, port, **options)
    except OSError as exc:
        expected = type(exc), exc.args

    async def main():
        try:
            return await asyncio.get_running_loop().getaddrinfo(host, port, **options)
        except OSError as exc:
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
