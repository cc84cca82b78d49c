"""FastAPI's documented features, asked by httpx and websockets."""

from __future__ import annotations

import asyncio
import json

import pytest
from support.http_wire import within
from support.patience import SECONDS

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")


@pytest.fixture
def server(shared_server):
    return shared_server("apps.fastapi_app:app")


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url, timeout=SECONDS) as client:
        yield client


def told(client, what: str) -> bool:
    return what in client.get("/told").json()


class TestParameters:
    def test_all_kinds(self, client):
        response = client.get(
            "/items/5?wanted=a&wanted=é",
            headers={"x-name": "you", "cookie": "session=s"},
        )
        assert response.json() == {
            "number": 5,
            "wanted": ["a", "é"],
            "name": "you",
            "session": "s",
        }

    def test_wrong(self, client):
        response = client.get("/items/five")
        assert response.status_code == 422
        assert response.json()["detail"][0]["loc"] == ["path", "number"]

    def test_body(self, client):
        response = client.post("/items", json={"item": {"name": "a", "tags": ["x"]}, "extra": 2})
        assert response.status_code == 201
        assert response.json() == {"name": "A", "price": 3.5, "tags": ["x"]}

    def test_body_that_is_not_json(self, client):
        response = client.post(
            "/items", content=b"{nonsense", headers={"content-type": "application/json"}
        )
        assert response.status_code == 422

    def test_path(self, client):
        assert client.get("/paths/a/b%20c/%C3%A9").json() == "a/b c/é"

    def test_form_and_file(self, client):
        pytest.importorskip("python_multipart")
        response = client.post("/form", data={"name": "a"}, files={"file": b"x" * 100_000})
        assert response.json() == {"name": "a", "size": 100_000}

    def test_uploads(self, client):
        pytest.importorskip("python_multipart")
        files = [("files", (f"{n}.bin", bytes(n * 500_000))) for n in range(5)]
        assert client.post("/uploads", files=files).json() == [
            [f"{n}.bin", n * 500_000, n * 500_000] for n in range(5)
        ]


class TestDependencies:
    def test_with_yield(self, client):
        assert client.get("/dependencies?name=d1").json() == ["resource d1", "thread d1"]
        within(lambda: told(client, "d1 closed"), "the end of the dependency")
        within(lambda: told(client, "d1 thread closed"), "the end of that in the thread")

    def test_exception(self, client):
        assert client.get("/dependencies/fail?name=d2").status_code == 500
        within(lambda: told(client, "d2 closed"), "the end of the dependency")
        assert told(client, "d2 saw LookupError")

    def test_http_exception(self, client):
        response = client.get("/dependencies/refuse?name=d3")
        assert (response.status_code, response.json()) == (409, {"detail": {"why": "busy"}})
        assert response.headers["x-why"] == "busy"
        within(lambda: told(client, "d3 closed"), "the end of the dependency")


class TestHandlers:
    def test_synchronous(self, client):
        assert client.get("/synchronous").json() == {"main": False}

    def test_synchronous_at_the_same_time(self, server):
        """They have a thread each: ten of them wait for one another."""

        async def main():
            async with httpx.AsyncClient(base_url=server.url, timeout=SECONDS) as client:
                answers = await asyncio.gather(*(client.get("/meet") for _ in range(10)))
                assert all(answer.status_code == 200 for answer in answers)

        asyncio.run(main())

    def test_background(self, client):
        assert client.get("/background?name=b1").json() == {"queued": True}
        within(lambda: told(client, "b1 ran"), "the background task")

    def test_stream(self, client):
        with client.stream("GET", "/stream") as response:
            events = [line for line in response.iter_lines() if line]
        assert events == [f"data: {number}" for number in range(20)]

    def test_response(self, client):
        response = client.get("/response")
        assert response.status_code == 202
        assert response.headers["x-own"] == "1"
        assert response.cookies["a"] == "b"

    def test_lifespan_state(self, client):
        assert client.get("/database").json() == {"rows": 3}

    def test_many_at_once(self, server):
        async def main():
            async with httpx.AsyncClient(base_url=server.url, timeout=SECONDS) as client:
                answers = await asyncio.gather(*(client.get(f"/items/{n}") for n in range(80)))
            assert [answer.json()["number"] for answer in answers] == list(range(80))

        asyncio.run(main())


class TestApplication:
    def test_middleware(self, client):
        assert client.get("/items/1").headers["x-counted"] == "yes"

    def test_cors(self, client):
        response = client.options(
            "/items",
            headers={"origin": "http://allowed", "access-control-request-method": "POST"},
        )
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "http://allowed"

    def test_documentation(self, client):
        assert "swagger-ui" in client.get("/docs").text
        assert "/items/{number}" in client.get("/openapi.json").json()["paths"]

    def test_router(self, client):
        assert client.get("/router/one").json() == 1

    def test_sub_application(self, client):
        assert client.get("/sub/where").json() == ["/sub", "/sub/where"]
        assert client.get("/sub/openapi.json").json()["servers"] == [{"url": "/sub"}]

    def test_root_path(self, shared_server):
        server = shared_server("apps.fastapi_app:app", "--root-path", "/api")
        assert json.loads(server.get("/items/1").body)["number"] == 1
        assert json.loads(server.get("/openapi.json").body)["servers"] == [{"url": "/api"}]


class TestWebSockets:
    def test_messages(self, server, client):
        from websockets.sync.client import connect

        with connect(f"ws://127.0.0.1:{server.port}/socket/7") as websocket:
            for text in ("a", "é"):
                websocket.send(text)
                assert json.loads(websocket.recv()) == {"room": 7, "text": text}
            websocket.close(4009, "enough")
        within(lambda: told(client, "room 7 closed with 4009"), "the close code")

    @pytest.mark.parametrize("path", ["/socket/seven", "/socket/7?token=bad"])
    def test_refused(self, server, path):
        from websockets.exceptions import InvalidStatus
        from websockets.sync.client import connect

        with pytest.raises(InvalidStatus) as caught:
            connect(f"ws://127.0.0.1:{server.port}{path}")
        assert caught.value.response.status_code == 403


def test_the_lifespan_ends(start_server):
    server = start_server("apps.fastapi_app:app")
    assert server.get("/router/one").body == b"1"
    server.stop()
    assert "fastapi: the lifespan ended" in server.output()
