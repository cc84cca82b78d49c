"""Clients that people use: curl, httpx, aiohttp and websockets."""

from __future__ import annotations

import ast
import asyncio
import os
import shutil
import subprocess

import pytest
from support.patience import SECONDS

curl_is_here = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(os.urandom(3_000_000))
    return path


@curl_is_here
class TestCurl:
    def curl(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--http1.1", "--max-time", "20", *words],
            capture_output=True,
            timeout=SECONDS,
            # No configuration of whoever runs the tests, and no proxy.
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        )
        assert done.returncode == 0, done.stderr.decode()
        return done

    def test_get(self, server):
        assert self.curl(f"{server.url}/hello").stdout == b"hello"

    def test_head(self, server):
        assert b"content-length: 5" in self.curl("--head", f"{server.url}/hello").stdout

    def test_several_on_one_connection(self, server):
        done = self.curl("--verbose", *[f"{server.url}/hello"] * 3)
        assert done.stdout == b"hello" * 3
        assert done.stderr.lower().count(b"re-using existing connection") == 2

    def test_parallel(self, server, tmp_path):
        """Many at the same time, all answered."""
        done = self.curl(
            "--parallel", "--parallel-max", "20", "--fail", f"{server.url}/hello?n=[1-200]"
        )
        assert done.stdout == b"hello" * 200

    def test_upload(self, server, data):
        done = self.curl("--data-binary", f"@{data}", f"{server.url}/back")
        assert done.stdout == data.read_bytes()

    def test_upload_by_chunks(self, server, data):
        words = ("--header", "transfer-encoding: chunked", "--upload-file", str(data))
        assert self.curl(*words, f"{server.url}/back").stdout == data.read_bytes()

    def test_it_waits_for_100(self, server, data):
        """curl asks for it when the body is large."""
        done = self.curl(
            *("--verbose", "--header", "expect: 100-continue", "--expect100-timeout", "15"),
            *("--data-binary", f"@{data}", f"{server.url}/count"),
        )
        assert b"100 Continue" in done.stderr
        assert done.stdout.startswith(b"3000000 in ")

    @pytest.mark.parametrize("expect", ["expect: 100-continue", "expect:"])
    def test_413(self, server, data, expect):
        """curl is sending the body while the answer comes."""
        done = self.curl(
            *("--header", expect, "--data-binary", f"@{data}"),
            *("--write-out", "%{http_code}", f"{server.url}/refuse"),
        )
        assert done.stdout == b"too much413"

    def test_form(self, server, data):
        done = self.curl("--form", f"file=@{data}", f"{server.url}/count")
        assert int(done.stdout.split()[0]) > 3_000_000

    def test_http_1_0(self, server):
        assert b"onethree" in self.curl("--http1.0", f"{server.url}/chunks").stdout

    def test_trailers_and_chunks(self, server):
        assert self.curl("--raw", f"{server.url}/chunks").stdout.endswith(b"3\r\nend\r\n0\r\n\r\n")


class TestHttpx:
    def test_all_sorts(self, server):
        httpx = pytest.importorskip("httpx")
        with httpx.Client(base_url=server.url) as client:
            for _ in range(20):
                assert client.get("/hello").text == "hello"
            seen = ast.literal_eval(client.put("/echo", content=b"data").text)
            assert (seen["method"], seen["body"]) == ("PUT", b"data")
            response = client.post("/back", content=iter([b"one", b"two" * 50_000]))
            assert response.content == b"one" + b"two" * 50_000
            assert client.get("/status/204").status_code == 204
            assert client.get("/fail").status_code == 500
            assert client.post("/refuse", content=b"x" * 500_000).status_code == 413
            assert client.get("/hello").text == "hello"

    def test_at_the_same_time(self, server):
        httpx = pytest.importorskip("httpx")

        async def main():
            limits = httpx.Limits(max_connections=50)
            async with httpx.AsyncClient(
                base_url=server.url, limits=limits, timeout=SECONDS
            ) as client:
                answers = await asyncio.gather(*(client.get(f"/echo?{n}") for n in range(100)))
                for number, answer in enumerate(answers):
                    assert ast.literal_eval(answer.text)["query"] == b"%d" % number

        asyncio.run(main())


def test_aiohttp(server):
    aiohttp = pytest.importorskip("aiohttp")

    async def main():
        async with aiohttp.ClientSession(server.url) as session:
            async with session.get("/hello") as response:
                assert await response.text() == "hello"
            data = os.urandom(1_000_000)
            async with session.post("/back", data=data) as response:
                assert await response.read() == data
            form = aiohttp.FormData({"a": "b"})
            form.add_field("file", data, filename="f")
            async with session.post("/count", data=form) as response:
                assert int((await response.text()).split()[0]) > 1_000_000
            async with session.post("/count", data=data, expect100=True) as response:
                assert (await response.text()).startswith("1000000 in ")

            async def one(number):
                async with session.get(f"/echo?{number}") as response:
                    return ast.literal_eval(await response.text())["query"]

            answers = await asyncio.gather(*map(one, range(200)))
            assert answers == [b"%d" % number for number in range(200)]

    asyncio.run(main())


def test_aiohttp_websocket(shared_server):
    aiohttp = pytest.importorskip("aiohttp")
    server = shared_server("apps.sockets:app")

    async def main():
        async with aiohttp.ClientSession(server.url) as session:
            for compress in (0, 15):
                async with session.ws_connect("/echo", compress=compress) as websocket:
                    for size in (0, 1, 200, 70_000):
                        await websocket.send_str("x" * size)
                        assert await websocket.receive_str() == "x" * size
                        await websocket.send_bytes(b"x" * size)
                        assert await websocket.receive_bytes() == b"x" * size
                    await websocket.close(code=4000)

    asyncio.run(main())


def test_websockets(shared_server):
    from websockets.asyncio.client import connect

    server = shared_server("apps.sockets:app")

    async def main():
        url = f"ws://127.0.0.1:{server.port}/echo"
        async with connect(url, max_size=None) as websocket:
            for message in ("text", b"bytes", "", b"", "x" * 1_000_000, os.urandom(1_000_000)):
                await websocket.send(message)
                assert await websocket.recv() == message
            await asyncio.wait_for(await websocket.ping(), 5)

        async def one(number):
            async with connect(url) as websocket:
                for round_ in range(5):
                    await websocket.send(f"{number} {round_}")
                    assert await websocket.recv() == f"{number} {round_}"

        await asyncio.gather(*map(one, range(50)))

    asyncio.run(main())
