"""The arguments of the loop's methods are those of the newest Python, on every Python."""

from __future__ import annotations

import inspect
import sys

import pytest

TLS = "ssl_handshake_timeout ssl_shutdown_timeout"
ARGUMENTS = {
    "connect_accepted_socket": f"protocol_factory sock ssl {TLS}",
    "connect_read_pipe": "protocol_factory pipe",
    "connect_write_pipe": "protocol_factory pipe",
    "create_connection": "protocol_factory host port ssl family proto flags sock local_addr "
    f"server_hostname {TLS} happy_eyeballs_delay interleave all_errors",
    "create_datagram_endpoint": "protocol_factory local_addr remote_addr family proto flags "
    "reuse_port allow_broadcast sock",
    "create_server": "protocol_factory host port family flags sock backlog ssl reuse_address "
    f"reuse_port keep_alive {TLS} start_serving",
    "create_unix_connection": f"protocol_factory path ssl sock server_hostname {TLS}",
    "create_unix_server": f"protocol_factory path sock backlog ssl {TLS} start_serving "
    "cleanup_socket",
    "getaddrinfo": "host port family type proto flags",
    "getnameinfo": "sockaddr flags",
    "sendfile": "transport file offset count fallback",
    "shutdown_default_executor": "timeout",
    "sock_sendfile": "sock file offset count fallback",
    "start_tls": f"transport protocol sslcontext server_side server_hostname {TLS}",
}


@pytest.mark.asyncio_since((3, 13), "all these arguments")
@pytest.mark.parametrize("method", ARGUMENTS)
def test_the_arguments(loop, method):
    assert list(inspect.signature(getattr(loop, method)).parameters) == ARGUMENTS[method].split()


@pytest.mark.asyncio_since((3, 13), "all these arguments")
@pytest.mark.parametrize("method", ARGUMENTS)
def test_which_are_keywords(loop, method):
    """As in asyncio's own class, as far as that has them."""
    parameters = inspect.signature(getattr(loop, method)).parameters
    base = next(kind for kind in type(loop).__mro__ if kind.__module__.startswith("asyncio."))
    for name, stock in inspect.signature(getattr(base, method)).parameters.items():
        if name != "self":
            assert parameters[name].kind == stock.kind, name
            if (method, name) != ("create_unix_server", "cleanup_socket"):
                assert parameters[name].default == stock.default, name


@pytest.mark.skipif(sys.version_info < (3, 14), reason="it may lack some")
def test_nothing_is_missing(loop):
    """A new Python has nothing that this table does not know."""
    base = next(kind for kind in type(loop).__mro__ if kind.__module__.startswith("asyncio."))
    for method, arguments in ARGUMENTS.items():
        assert list(inspect.signature(getattr(base, method)).parameters)[1:] == arguments.split()
