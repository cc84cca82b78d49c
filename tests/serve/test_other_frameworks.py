"""Django and Quart start on the server and answer: they use ASGI each in its own way."""

from __future__ import annotations

import json

import pytest


class TestDjango:
    @pytest.fixture
    def server(self, shared_server):
        pytest.importorskip("django")
        return shared_server("apps.django_app:app", "--lifespan", "auto")

    def test_synchronous_view(self, server):
        told = json.loads(server.get("/sync/?a=%C3%A9").body)
        assert told == {"method": "GET", "path": "/sync/", "a": "é"}

    def test_asynchronous_view(self, server):
        with server.connect() as wire:
            assert wire.request("POST", "/async/", body=b"body").body == b"async body"

    def test_stream(self, server):
        assert server.get("/stream/").body == b"".join(b"%d\n" % n for n in range(10))

    def test_errors(self, server):
        assert server.get("/nothing/").status == 404
        assert server.get("/fail/").status == 500

    def test_a_client_that_leaves(self, server):
        """Django waits for the disconnect beside its view."""
        for _ in range(5):
            with server.connect() as wire:
                wire.send(b"GET /sync/ HTTP/1.1\r\nhost: a\r\n\r\n")
                wire.reset()
        assert server.get("/sync/").status == 200

    def test_keep_alive(self, server):
        with server.connect() as wire:
            for number in range(20):
                assert wire.get(f"/sync/?a={number}").status == 200


class TestQuart:
    @pytest.fixture
    def server(self, shared_server):
        pytest.importorskip("quart")
        return shared_server("apps.quart_app:app")

    def test_answers(self, server):
        assert json.loads(server.get("/hello?a=1").body) == {"started": True, "a": "1"}

    def test_body(self, server):
        with server.connect() as wire:
            assert wire.request("POST", "/echo", body=b"x" * 100_000).body == b"x" * 100_000

    def test_stream(self, server):
        assert server.get("/stream").body == b"".join(b"%d\n" % n for n in range(10))

    def test_error(self, server):
        assert server.get("/fail").status == 500

    def test_websocket(self, server):
        from websockets.sync.client import connect

        with connect(f"ws://127.0.0.1:{server.port}/socket") as websocket:
            websocket.send("hello")
            assert websocket.recv() == "HELLO"
