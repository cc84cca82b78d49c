"""The scope of an HTTP request, to the letter of the specification."""

from __future__ import annotations

import ast

import pytest
from support.http_wire import Wire


def scope_of(wire: Wire, target: str = "/scope", headers=None, method: str = "GET"):
    response = wire.request(method, target, headers)
    assert response.status == 200, response.body
    return ast.literal_eval(response.body.decode())


def test_all_of_it(server, wire):
    scope = scope_of(wire, "/scope?a=1", [(b"X-Name", b"Value")])
    state, extensions = scope.pop("state"), scope.pop("extensions", {})
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/scope",
        "raw_path": b"/scope",
        "query_string": b"a=1",
        "root_path": "",
        "headers": [(b"host", b"server"), (b"x-name", b"Value")],
        "client": wire.sock.getsockname(),
        "server": wire.sock.getpeername(),
    }
    assert state == {}
    assert set(extensions) >= {"http.response.pathsend", "http.response.trailers"}
    assert all(isinstance(value, dict) for value in extensions.values())


def test_types(wire):
    """What is equal need not be of the right type: True == 1, and a port may be text."""
    response = wire.get("/scope")
    scope = ast.literal_eval(response.body.decode())
    for name in ("client", "server"):
        host, port = scope[name]
        assert type(host) is str
        assert type(port) is int
    assert type(scope["raw_path"]) is bytes
    assert type(scope["query_string"]) is bytes
    assert all(type(part) is bytes for pair in scope["headers"] for part in pair)


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        ("/scope/", "/scope/", b"/scope/", b""),
        ("/scope//b", "/scope//b", b"/scope//b", b""),
        ("/scope/a%20b", "/scope/a b", b"/scope/a%20b", b""),
        ("/scope/a%2Fb", "/scope/a/b", b"/scope/a%2Fb", b""),
        ("/scope/%C3%A9", "/scope/é", b"/scope/%C3%A9", b""),
        ("/scope/%e4%bd%a0", "/scope/你", b"/scope/%e4%bd%a0", b""),
        ("/scope/%F0%9F%A6%80", "/scope/🦀", b"/scope/%F0%9F%A6%80", b""),
        ("/scope/%3Fx", "/scope/?x", b"/scope/%3Fx", b""),
        ("/scope/100%", "/scope/100%", b"/scope/100%", b""),
        ("/scope/%zz%4", "/scope/%zz%4", b"/scope/%zz%4", b""),
        ("/scope/%2541", "/scope/%41", b"/scope/%2541", b""),
        ("/scope/a+b", "/scope/a+b", b"/scope/a+b", b""),
        ("/scope/;p=1", "/scope/;p=1", b"/scope/;p=1", b""),
        ("/scope/../x", "/scope/../x", b"/scope/../x", b""),
        ("/scope?", "/scope", b"/scope", b""),
        ("/scope?a=%20&b=%C3%A9", "/scope", b"/scope", b"a=%20&b=%C3%A9"),
        ("/scope?a?b", "/scope", b"/scope", b"a?b"),
        ("/scope?/c/%2F", "/scope", b"/scope", b"/c/%2F"),
    ],
)
def test_target(wire, target, path, raw_path, query):
    scope = scope_of(wire, target)
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)


def test_a_path_that_is_not_utf_8(wire):
    """There is no right answer to it, but there is one."""
    response = wire.get("/scope/%ff")
    assert response.status in (200, 400)
    if response.status == 200:
        assert ast.literal_eval(response.body.decode())["raw_path"] == b"/scope/%ff"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_method(wire, method):
    assert scope_of(wire, method=method)["method"] == method


def test_headers_keep_order_and_duplicates(wire):
    headers = [
        (b"X-B", b"1"),
        (b"cookie", b"a=1"),
        (b"x-a", b"2"),
        (b"X-b", b"3"),
        (b"Cookie", b"b=2"),
        (b"x-empty", b""),
        (b"x-latin", b"\xe9\xff"),
    ]
    assert scope_of(wire, headers=headers)["headers"] == [
        (b"host", b"server"),
        *((name.lower(), value) for name, value in headers),
    ]


def test_http_1_0(wire):
    wire.send(b"GET /scope HTTP/1.0\r\n\r\n")
    scope = ast.literal_eval(wire.response().body.decode())
    assert scope["http_version"] == "1.0"
    assert scope["headers"] == []
    assert wire.ends()


def test_requests_do_not_share_a_scope(wire):
    first, second = scope_of(wire, "/scope?1"), scope_of(wire, "/scope?2", [(b"x", b"y")])
    assert (first["query_string"], second["query_string"]) == (b"1", b"2")
    assert (len(first["headers"]), len(second["headers"])) == (1, 2)


def test_each_request_is_a_task_of_its_own(wire):
    first, second = wire.get("/contexts").body, wire.get("/contexts").body
    assert first != second


def test_unix_socket(start_server, socket_path):
    server = start_server("apps.probe:app", "--uds", socket_path)
    with server.connect() as wire:
        scope = scope_of(wire)
    assert scope["server"] == (socket_path, None)
    assert scope["client"] is None or scope["client"] == ("", None)
    assert scope["scheme"] == "http"


def test_ipv6(start_server):
    server = start_server("apps.probe:app", "--host", "::1")
    with server.connect() as wire:
        scope = scope_of(wire)
        assert scope["server"] == ("::1", server.port)
        assert scope["client"] == ("::1", wire.sock.getsockname()[1])


class TestRootPath:
    """uvicorn's way: the path is the whole path, so the root path is put in front of it."""

    def test_is_in_the_scope(self, shared_server):
        server = shared_server("apps.probe:app", "--root-path", "/api")
        with server.connect() as wire:
            scope = scope_of(wire, "/scope/x%20y")
        assert scope["root_path"] == "/api"
        assert scope["path"] == "/api/scope/x y"
        assert scope["raw_path"] == b"/api/scope/x%20y"


class TestProxyHeaders:
    forwarded = [(b"x-forwarded-for", b"203.0.113.7"), (b"x-forwarded-proto", b"https")]

    def test_trusted_from_the_loopback(self, wire):
        scope = scope_of(wire, headers=self.forwarded)
        assert scope["scheme"] == "https"
        assert scope["client"] == ("203.0.113.7", 0)
        # The headers stay.
        assert (b"x-forwarded-for", b"203.0.113.7") in scope["headers"]

    def test_last_one_not_trusted(self, shared_server):
        server = shared_server("apps.probe:app", "--forwarded-allow-ips", "127.0.0.1,10.0.0.0/8")
        with server.connect() as wire:
            scope = scope_of(
                wire, headers=[(b"x-forwarded-for", b"1.1.1.1, 203.0.113.7, 10.2.3.4")]
            )
        assert scope["client"] == ("203.0.113.7", 0)
        assert scope["scheme"] == "http"

    def test_all_trusted(self, shared_server):
        server = shared_server("apps.probe:app", "--forwarded-allow-ips", "*")
        with server.connect() as wire:
            scope = scope_of(wire, headers=[(b"x-forwarded-for", b"1.1.1.1, 203.0.113.7")])
        assert scope["client"] == ("1.1.1.1", 0)

    def test_not_trusted(self, shared_server):
        server = shared_server("apps.probe:app", "--forwarded-allow-ips", "192.0.2.1")
        with server.connect() as wire:
            scope = scope_of(wire, headers=self.forwarded)
            assert scope["client"] == wire.sock.getsockname()
        assert scope["scheme"] == "http"

    def test_turned_off(self, shared_server):
        server = shared_server("apps.probe:app", "--no-proxy-headers")
        with server.connect() as wire:
            scope = scope_of(wire, headers=self.forwarded)
            assert scope["client"] == wire.sock.getsockname()
        assert scope["scheme"] == "http"

    @pytest.mark.parametrize("value", [b"", b"nonsense", b"unknown, ", b"[::1", b"a" * 300])
    def test_nonsense(self, wire, value):
        assert scope_of(wire, headers=[(b"x-forwarded-for", value)])["type"] == "http"

    def test_unknown_scheme(self, wire):
        assert scope_of(wire, headers=[(b"x-forwarded-proto", b"gopher")])["scheme"] == "http"

    def test_from_a_unix_socket(self, start_server, socket_path):
        """Whoever may write to the socket's file is trusted only if the list says so."""
        server = start_server("apps.probe:app", "--uds", socket_path, "--forwarded-allow-ips", "*")
        with server.connect() as wire:
            assert scope_of(wire, headers=self.forwarded)["client"] == ("203.0.113.7", 0)


def test_server_behind_a_name(server):
    """The Host header says nothing about the socket."""
    with server.connect() as wire:
        wire.send(b"GET /scope HTTP/1.1\r\nhost: example.com:99\r\n\r\n")
        scope = ast.literal_eval(wire.response().body.decode())
    assert scope["server"] == ("127.0.0.1", server.port)
    assert (b"host", b"example.com:99") in scope["headers"]


def test_what_an_application_changes_is_not_seen_by_the_next_request(wire):
    assert wire.get("/changed-scope").body == b"changed"
    assert b"changed" not in wire.get("/scope").body
