"""Starlette's documented features, asked by httpx and websockets."""

from __future__ import annotations

import gzip
import json

import pytest
from support.http_wire import within
from support.patience import SECONDS

httpx = pytest.importorskip("httpx")
pytest.importorskip("starlette")


@pytest.fixture
def server(shared_server):
    return shared_server("apps.starlette_app:app")


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url, timeout=SECONDS) as client:
        yield client


def told(client, what: str) -> bool:
    return what in client.get("/told").json()


class TestResponses:
    def test_plain(self, client):
        response = client.get("/plain")
        assert (response.text, response.headers["x-a"]) == ("text", "1")

    def test_html(self, client):
        assert client.get("/html").text == "<p>é</p>"

    def test_redirect(self, client):
        response = client.get("/redirect", follow_redirects=True)
        assert response.text == "text"
        assert len(response.history) == 1

    def test_no_content(self, client):
        response = client.get("/no-content")
        assert (response.status_code, response.content) == (204, b"")

    def test_head(self, client):
        response = client.head("/plain")
        assert (response.content, response.headers["content-length"]) == (b"", "4")

    def test_cookies(self, client):
        response = client.get("/cookies", headers={"cookie": "a=1; b=2"})
        assert response.json() == {"a": "1", "b": "2"}
        assert len(response.headers.get_list("set-cookie")) == 3

    def test_url(self, server, client):
        url, host, scheme = client.get("/url?a=b").json()
        assert (url, host, scheme) == (f"{server.url}/url?a=b", "127.0.0.1", "http")


class TestBodies:
    def test_json(self, client):
        response = client.post("/json?a=1", json={"é": [1, None]})
        assert response.json() == {"json": {"é": [1, None]}, "query": {"a": "1"}}

    def test_form(self, client):
        pytest.importorskip("python_multipart")
        assert client.post("/form", data={"a": "1", "b": "é"}).json() == {"a": "1", "b": "é"}

    def test_upload(self, client):
        """Larger than what Starlette keeps in memory."""
        pytest.importorskip("python_multipart")
        files = {"one": ("one.txt", b"1" * 10), "two": ("two.bin", b"2" * 3_000_000, "x/y")}
        assert client.post("/form", files=files, data={"a": "1"}).json() == {
            "a": "1",
            "one": ["one.txt", "text/plain", 10],
            "two": ["two.bin", "x/y", 3_000_000],
        }

    def test_stream_in(self, client):
        assert client.post("/stream-in", content=b"x" * 5_000_000).text == "5000000"

    def test_stream_in_by_chunks(self, client):
        assert client.post("/stream-in", content=iter([b"x" * 1000] * 1000)).text == "1000000"

    def test_client_that_leaves(self, server, client):
        with server.connect() as wire:
            wire.send(
                b"POST /disconnected-body?name=body HTTP/1.1\r\nhost: a\r\n"
                b"content-length: 100\r\n\r\npart"
            )
            within(lambda: told(client, "body reads"), "the start of the handler")
        within(lambda: told(client, "body disconnected"), "ClientDisconnect")


class TestStreams:
    @pytest.mark.parametrize("path", ["/stream-out", "/middleware/stream"])
    def test_out(self, client, path):
        with client.stream("GET", path) as response:
            assert list(response.iter_lines()) == [str(number) for number in range(100)]

    def test_out_of_a_thread(self, client):
        assert client.get("/stream-thread").text.splitlines() == [str(n) for n in range(50)]

    def test_the_generator_is_closed_when_the_client_leaves(self, server, client):
        """Otherwise its resources stay with it. That is no error, and nothing is logged."""
        before = len(server.output())
        with client.stream("GET", "/endless?name=endless") as response:
            for line in response.iter_lines():
                assert line == "data: x"
                break
        within(lambda: told(client, "endless closed"), "the end of the generator")
        assert "Traceback" not in server.output(before)

    def test_is_disconnected(self, server, client):
        with server.connect() as wire:
            wire.send(b"GET /until-disconnect?name=until HTTP/1.1\r\nhost: a\r\n\r\n")
            within(lambda: told(client, "until waits"), "the start of the handler")
        within(lambda: told(client, "until disconnected"), "the disconnect")


class TestFiles:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "file.bin"
        path.write_bytes(bytes(range(256)) * 4000)
        return path

    def test_whole(self, client, file):
        response = client.get("/file", params={"path": str(file)})
        assert response.content == file.read_bytes()
        assert response.headers["content-length"] == "1024000"
        assert "download.bin" in response.headers["content-disposition"]

    def test_head(self, client, file):
        response = client.head("/file", params={"path": str(file)})
        assert response.headers["content-length"] == "1024000"

    @pytest.mark.parametrize(
        ("wanted", "part"),
        [
            ("bytes=0-0", slice(0, 1)),
            ("bytes=100-199", slice(100, 200)),
            ("bytes=1000000-", slice(1000000, None)),
            ("bytes=-5", slice(-5, None)),
        ],
    )
    def test_range(self, client, file, wanted, part):
        response = client.get("/file", params={"path": str(file)}, headers={"range": wanted})
        assert response.status_code == 206
        assert response.content == file.read_bytes()[part]

    def test_several_ranges(self, client, file):
        response = client.get(
            "/file", params={"path": str(file)}, headers={"range": "bytes=0-9,500-509"}
        )
        assert response.status_code == 206
        assert response.headers["content-type"].startswith("multipart/byteranges")
        assert bytes(range(10)) in response.content

    def test_range_that_is_not_there(self, client, file):
        response = client.get(
            "/file", params={"path": str(file)}, headers={"range": "bytes=9999999-"}
        )
        assert response.status_code == 416

    def test_if_range(self, client, file):
        etag = client.get("/file", params={"path": str(file)}).headers["etag"]
        for tag, status in ((etag, 206), ('"other"', 200)):
            response = client.get(
                "/file",
                params={"path": str(file)},
                headers={"range": "bytes=0-9", "if-range": tag},
            )
            assert response.status_code == status

    def test_static(self, client):
        response = client.get("/static/paths.py")
        assert "class Paths" in response.text
        again = client.get("/static/paths.py", headers={"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert client.get("/static/nothing").status_code == 404
        assert client.get("/static/%2e%2e/conftest.py").status_code == 404

    def test_file_that_is_not_there(self, client):
        assert client.get("/file", params={"path": "/nothing/here"}).status_code == 500


def test_background_tasks(client):
    """The answer does not wait for them."""
    assert client.get("/background?name=bg").text == "answered"
    within(lambda: told(client, "bg async") and told(client, "bg sync"), "the background tasks")


def test_synchronous_handlers_have_a_thread(client):
    assert client.get("/synchronous").text == "False"


def test_state_of_the_lifespan(client):
    first, second = client.get("/state").json(), client.get("/state").json()
    assert first[0] == "of the application"
    assert second[1] == first[1] + 1


class TestErrors:
    def test_exception(self, server, client):
        response = client.get("/fail")
        assert (response.status_code, response.text) == (500, "Internal Server Error")
        server.printed("LookupError: on purpose")

    def test_http_exception(self, client):
        response = client.get("/refuse")
        assert (response.status_code, response.text) == (418, "a teapot")
        assert response.headers["x-tea"] == "green"

    def test_handled(self, client):
        assert client.get("/handled").text == "handled"

    def test_in_middleware(self, client):
        assert client.get("/middleware/fail").status_code == 500


class TestRouting:
    def test_methods(self, client):
        assert client.get("/methods").text == "get"
        assert client.post("/methods").text == "post"
        response = client.put("/methods")
        assert response.status_code == 405
        assert set(response.headers["allow"].split(", ")) >= {"GET", "POST"}

    def test_mounts(self, client):
        assert client.get("/raw/a/b").json() == ["/raw", "/raw/a/b", "/raw/a/b"]
        assert client.get("/sub/plain").text == "text"
        assert client.get("/sub/deep/x").json()[0] == "/sub/deep"

    def test_host(self, client):
        assert client.get("/plain", headers={"host": "other.example"}).text == "<p>é</p>"

    def test_root_path(self, shared_server):
        server = shared_server("apps.starlette_app:app", "--root-path", "/api")
        assert json.loads(server.get("/raw/x").body)[0] == "/api/raw"
        # The Host header of the request is "server".
        assert json.loads(server.get("/url").body)[0] == "http://server/api/url"


class TestMiddleware:
    def test_both_kinds(self, client):
        response = client.get("/middleware/plain")
        assert response.headers["x-base"] == response.headers["x-pure"] == "passed"

    def test_gzip(self, server):
        with server.connect() as wire:
            response = wire.get("/middleware/stream", [(b"accept-encoding", b"gzip")])
        assert response[b"content-encoding"] == b"gzip"
        assert gzip.decompress(response.body).splitlines()[-1] == b"99"


class TestWebSockets:
    def test_endpoint(self, server, client):
        from websockets.sync.client import connect

        url = f"ws://127.0.0.1:{server.port}/socket"
        with connect(url, subprotocols=["zero", "one"]) as websocket:
            assert websocket.subprotocol == "one"
            assert websocket.response.headers["x-socket"] == "yes"
            websocket.send(json.dumps({"a": [1, "é"]}))
            assert json.loads(websocket.recv()) == {"got": {"a": [1, "é"]}}
            websocket.close(4002)
        within(lambda: told(client, "socket 4002"), "the close code")

    def test_denial(self, server):
        from websockets.exceptions import InvalidStatus
        from websockets.sync.client import connect

        with pytest.raises(InvalidStatus) as caught:
            connect(f"ws://127.0.0.1:{server.port}/refuse-socket")
        assert caught.value.response.status_code == 401
        assert json.loads(caught.value.response.body) == {"no": "entry"}

    def test_closed_by_the_application(self, server):
        from websockets.exceptions import ConnectionClosed
        from websockets.sync.client import connect

        with connect(f"ws://127.0.0.1:{server.port}/close-socket") as websocket:
            with pytest.raises(ConnectionClosed):
                websocket.recv()
            assert (websocket.close_code, websocket.close_reason) == (4001, "enough")

    def test_no_route(self, server):
        from websockets.exceptions import InvalidStatus
        from websockets.sync.client import connect

        with pytest.raises(InvalidStatus) as caught:
            connect(f"ws://127.0.0.1:{server.port}/nothing")
        assert caught.value.response.status_code == 403


def test_the_lifespan_ends(start_server):
    server = start_server("apps.starlette_app:app")
    assert server.get("/plain").body == b"text"
    server.stop()
    assert "starlette: the lifespan ended" in server.output()
