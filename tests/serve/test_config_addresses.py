"""Where to listen: how addresses are written, and which flag takes the place of which."""

from __future__ import annotations

from typing import Any

import pytest

from vivace.serve import Config
from vivace.serve._addresses import Descriptor, TcpAddress, UnixAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8000", TcpAddress("127.0.0.1", 8000)),
        ("localhost:0", TcpAddress("localhost", 0)),
        (":80", TcpAddress("", 80)),
        ("[::1]:8000", TcpAddress("::1", 8000)),
        ("[fe80::1%eth0]:65535", TcpAddress("fe80::1%eth0", 65535)),
        ("unix:/run/app.sock", UnixAddress("/run/app.sock")),
        ("unix:relative", UnixAddress("relative")),
        ("unix:///run/app.sock", UnixAddress("/run/app.sock")),
        ("fd://3", Descriptor(3)),
        ("fd:3", Descriptor(3)),
    ],
)
def test_forms(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "8000", "localhost", "::1:80", "a:b", "[::1]", "host:", "http://h:1", "unix:", "fd://x"],
)
def test_other_forms_are_refused(text):
    with pytest.raises(ValueError, match="^bind: "):
        parse_address(text)


def test_a_port_that_is_too_large():
    with pytest.raises(ValueError, match="a port is at most 65535"):
        parse_address("h:65536")


@pytest.mark.parametrize("text", ["127.0.0.1:8000", "[::1]:8000", "unix:/run/app", "fd://3"])
def test_shown_as_written(text):
    assert str(parse_address(text)) == text


class TestChoice:
    """uvicorn looks at uds first, then at fd, then at host and port."""

    def addresses(self, **options: Any) -> Any:
        return Config("module:app", log_config=None, **options).addresses

    def test_host_and_port(self):
        assert self.addresses(host="h", port=1) == [TcpAddress("h", 1)]

    def test_uds(self):
        assert self.addresses(uds="/s", port=1) == [UnixAddress("/s")]

    def test_fd(self):
        assert self.addresses(fd=3, port=1) == [Descriptor(3)]

    def test_several(self):
        assert self.addresses(bind=["h:1", "unix:/s"]) == [TcpAddress("h", 1), UnixAddress("/s")]
        assert self.addresses(bind="h:1") == [TcpAddress("h", 1)]

    def test_uds_and_fd(self):
        with pytest.raises(ValueError, match="^uds and fd are both given"):
            self.addresses(uds="/s", fd=3)

    def test_bind_and_uds(self):
        with pytest.raises(ValueError, match="^bind takes the place of uds and fd"):
            self.addresses(bind="h:1", uds="/s")
