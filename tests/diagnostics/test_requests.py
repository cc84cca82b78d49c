"""With `vivace serve`: reports name the request, and slow requests tell how their time divides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import serving
from support.http2_wire import Http2Wire
from support.http_wire import within
from support.patience import SECONDS
from support.websocket_wire import WebSocket

# A plain ASGI application: each path does something else.
PLAIN = """
import asyncio, threading, time

async def answer(send, status=200):
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

async def sleeps(seconds):
    await asyncio.sleep(seconds)  # <- sleep

async def beats(count):
    for _ in range(count):
        await asyncio.sleep(0.05)

def blocks(seconds):
    time.sleep(seconds)  # <- block

async def lifespan(receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})

async def websocket(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        blocks(0.4)
        await send({"type": "websocket.send", "text": "done"})

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["type"] == "websocket":
        return await websocket(receive, send)
    path = scope["path"]
    if path.startswith("/block"):
        blocks(0.4)
    elif path.startswith("/sleep"):
        await sleeps(0.4)
    elif path == "/thread":
        await asyncio.to_thread(time.sleep, 0.4)
    elif path == "/executor":
        loop = asyncio.get_running_loop()
        jobs = [loop.run_in_executor(None, time.sleep, 0.4) for _ in range(2)]
        await asyncio.wait_for(asyncio.gather(*jobs), 60)
    elif path == "/mixed":
        task = asyncio.create_task(beats(2))
        await asyncio.to_thread(time.sleep, 0.4)
        blocks(0.3)
        await sleeps(0.2)
        await task
    elif path == "/queued":
        asyncio.get_running_loop().call_soon(blocks, 0.4)
        await asyncio.sleep(0)
    elif path == "/child":
        async def child():
            blocks(0.4)
        await asyncio.create_task(child())
    elif path == "/slow-and-fails":
        await sleeps(0.4)
        raise ValueError("on purpose")
    elif path == "/read":
        while (await receive())["more_body"]:
            pass
    elif path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await sleeps(1.2)
        await send({"type": "http.response.body", "body": b"b"})
        return
    elif path == "/endless":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    elif path == "/park":
        await asyncio.create_task(parked())
    elif path == "/hang":
        child = asyncio.create_task(parked())
        await hangs()
    await answer(send, 201 if path == "/thread" else 200)

async def parked():
    await asyncio.Event().wait()

async def hangs():
    await asyncio.Event().wait()  # <- hang
"""

FASTAPI = """
import time
from fastapi import APIRouter, FastAPI

router = APIRouter()

@router.get("/blocking/{number}")
async def blocking(number: int):
    time.sleep(0.4)  # <- block
    return {}

@router.get("/threaded/{number}")
def threaded(number: int):
    time.sleep(0.4)
    return {}

@router.get("/quick")
async def quick():
    return {}

app = FastAPI()
app.include_router(router, prefix="/api")
"""


class Service:
    """A server of an application, and what was found in it."""

    def __init__(self, folder: Path, source: str, *flags: str, **environment: str) -> None:
        self.source = textwrap.dedent(source).lstrip("\n")
        self.path = folder / "program.py"
        self.path.write_text(self.source)
        self.output = folder / "findings.json"
        self.environment = {
            "VIVACE_DIAG_FORMAT": "json",
            "VIVACE_DIAG_OUTPUT": str(self.output),
            "VIVACE_DIAG_DIR": str(folder / "rings"),
        } | environment
        self.server = serving.start(
            folder, "program:app", *flags, app_dir=folder, env=self.environment, kind="vivace"
        )

    def line(self, mark: str) -> int:
        """The number of the line that ends with ``# <- mark``."""
        lines = self.source.splitlines()
        [number] = [n for n, line in enumerate(lines, 1) if line.endswith(f"# <- {mark}")]
        return number

    def text(self) -> str:
        """What was written until now."""
        return self.output.read_text() if self.output.exists() else ""

    def findings(self, code: str = "V") -> list[dict[str, Any]]:
        """What was found until now."""
        # The last line may be half written.
        lines = self.text().rpartition("\n")[0].splitlines()
        found = [json.loads(line) for line in lines]
        return [finding for finding in found if finding["code"].startswith(code)]

    def only(self, code: str, **data: str) -> dict[str, Any]:
        """The first finding of a code, once it is there; of one that is not V101, the only one."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            found[:] = [
                finding
                for finding in self.findings(code)
                if all(finding.get(key) == value for key, value in data.items())
            ]
            return bool(found)

        within(is_there, f"{code} in {self.server.output()}")
        assert code == "V101" or len(found) == 1, found
        return found[0]

    def vivace(self, *arguments: str) -> str:
        """What another `vivace` command prints about the server."""
        done = subprocess.run(
            [sys.executable, "-m", "vivace", *arguments],
            env=os.environ | self.environment | {"NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


Serve = Callable[..., Service]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server of an application: ``serve(source, *flags, **environment)``."""
    started: list[Service] = []

    def serve(source: str, *flags: str, **environment: str) -> Service:
        service = Service(tmp_path, source, *flags, **environment)
        started.append(service)
        return service

    yield serve
    for service in started:
        service.server.kill()
        print(service.server.output())


class TestBlocked:
    def test_the_request_is_named(self, serve: Serve) -> None:
        service = serve(PLAIN)
        assert service.server.get("/block/a%20b?token=secret").status == 200
        finding = service.only("V101", state="blocked", file=str(service.path))
        assert finding["line"] == service.line("block")
        request = finding["request"]
        assert request.pop("seconds") >= 0.1
        assert request == {
            "method": "GET",
            "path": "/block/a%20b",
            "route": None,
            "endpoint": None,
            "protocol": "HTTP/1.1",
        }
        assert "secret" not in service.output.read_text()

    def test_as_text(self, serve: Serve) -> None:
        service = serve(PLAIN, VIVACE_DIAG_FORMAT="text")
        assert service.server.get("/block?token=secret").status == 200
        within(lambda: "(over)" in service.text(), "it")
        text = service.text()
        line = next(line for line in text.splitlines() if line.startswith("  request"))
        assert line.startswith("  request GET /block  (HTTP/1.1)  came ")
        assert "secret" not in text

    def test_a_task_that_the_request_has_made(self, serve: Serve) -> None:
        service = serve(PLAIN)
        assert service.server.get("/child").status == 200
        assert (
            service.only("V101", state="blocked", file=str(service.path))["request"]["path"]
            == "/child"
        )

    def test_the_route_of_fastapi(self, serve: Serve) -> None:
        pytest.importorskip("fastapi")
        service = serve(FASTAPI)
        assert service.server.get("/api/blocking/7").status == 200
        finding = service.only("V101", state="blocked", file=str(service.path))
        request = finding["request"]
        assert (request["route"], request["endpoint"]) == ("/api/blocking/{number}", "blocking")
        assert (request["path"], finding["line"]) == ("/api/blocking/7", service.line("block"))

    def test_http2(self, serve: Serve) -> None:
        service = serve(PLAIN, "--http2")
        with Http2Wire.connect(service.server) as wire:
            assert wire.get("/block").status == 200
        request = service.only("V101", state="blocked", file=str(service.path))["request"]
        assert (request["path"], request["protocol"]) == ("/block", "HTTP/2")

    def test_websockets(self, serve: Serve) -> None:
        service = serve(PLAIN)
        with service.server.connect() as wire:
            socket = WebSocket.open(wire, "/feed")
            socket.send_text("go")
            assert socket.receive_text() == "done"
        request = service.only("V101", state="blocked", file=str(service.path))["request"]
        assert (request["method"], request["path"]) == ("WEBSOCKET", "/feed")
        assert request["protocol"] == "WebSocket over HTTP/1.1"
        assert service.findings("V130") == []

    def test_a_hostile_path_is_text(self, serve: Serve) -> None:
        service = serve(PLAIN, VIVACE_DIAG_FORMAT="text")
        with service.server.connect() as wire:
            wire.send(b"GET /block\x7f/\xe9" + b"x" * 500 + b" HTTP/1.1\r\nhost: a\r\n\r\n")
            status = wire.response().status
        if status == 200:
            within(lambda: "(over)" in service.text(), "it")
            text = service.text()
            assert "\x7f" not in text
            assert "x" * 300 not in text
        with service.server.connect() as wire:
            assert wire.get("/block/%1b[31m" + "y" * 500).status == 200


class TestSlow:
    SOON = {"VIVACE_DIAG_REQUEST": "0.2"}

    @pytest.mark.parametrize(
        ("path", "part"),
        [
            ("/sleep", "waiting"),
            ("/thread", "threads"),
            ("/executor", "threads"),
            ("/block", "running"),
        ],
    )
    def test_how_the_time_divides(self, serve: Serve, path: str, part: str) -> None:
        service = serve(PLAIN, **self.SOON)
        assert service.server.get(path + "?token=secret").status in (200, 201)
        finding = service.only("V130")
        assert finding["request"]["path"] == path
        assert finding["request"]["status"] == (201 if path == "/thread" else 200)
        shares = finding["time"]
        assert shares[part] >= 0.35, shares
        assert shares[part] >= 0.8 * finding["seconds"], shares
        assert sum(shares.values()) == pytest.approx(finding["seconds"], rel=0.01)
        if part == "waiting":
            assert (finding["line"], finding["function"]) == (service.line("sleep"), "sleeps")
        assert "secret" not in service.output.read_text()

    def test_all_parts_of_one_request(self, serve: Serve) -> None:
        service = serve(PLAIN, **self.SOON)
        assert service.server.get("/mixed").status == 200
        finding = service.only("V130")
        shares = finding["time"]
        # While the thread slept another task of the request did, too: that is told as the thread's.
        assert shares["threads"] >= 0.35, shares
        assert shares["running"] >= 0.28, shares
        assert shares["waiting"] >= 0.15, shares
        assert finding["request"]["tasks"] == 2
        assert sum(shares.values()) == pytest.approx(finding["seconds"], rel=0.01)

    def test_others_keep_the_loop(self, serve: Serve) -> None:
        service = serve(PLAIN, **self.SOON)
        assert service.server.get("/queued").status == 200
        shares = service.only("V130")["time"]
        assert shares["queued"] >= 0.35, shares
        # It was a callback that blocked, and not a task of the request.
        assert "request" not in service.only("V101", state="blocked", file=str(service.path))

    def test_fastapi_runs_functions_in_threads(self, serve: Serve) -> None:
        pytest.importorskip("fastapi")
        service = serve(FASTAPI, **self.SOON)
        assert service.server.get("/api/threaded/7").status == 200
        finding = service.only("V130")
        request = finding["request"]
        assert (request["route"], request["endpoint"]) == ("/api/threaded/{number}", "threaded")
        assert finding["time"]["threads"] >= 0.35

    def test_one_a_minute_for_a_route(self, serve: Serve) -> None:
        service = serve(PLAIN, **self.SOON)
        for number in range(3):
            assert service.server.get(f"/sleep/{number}").status == 200
        assert service.server.get("/sleep-else").status == 200
        paths = [finding["request"]["path"] for finding in service.findings("V130")]
        assert paths == ["/sleep/0", "/sleep-else"]

    def test_a_request_that_fails(self, serve: Serve) -> None:
        service = serve(PLAIN, **self.SOON)
        assert service.server.get("/slow-and-fails").status == 500
        assert service.only("V130")["request"]["status"] == 500

    def test_a_client_that_has_left(self, serve: Serve) -> None:
        service = serve(PLAIN, **self.SOON)
        with service.server.connect() as wire:
            wire.send(b"GET /sleep HTTP/1.1\r\nhost: a\r\n\r\n")
        assert service.only("V130")["request"]["path"] == "/sleep"

    def test_http2(self, serve: Serve) -> None:
        service = serve(PLAIN, "--http2", **self.SOON)
        with Http2Wire.connect(service.server) as wire:
            assert wire.get("/sleep").status == 200
        finding = service.only("V130")
        assert (finding["request"]["protocol"], finding["request"]["status"]) == ("HTTP/2", 200)
        assert finding["time"]["waiting"] >= 0.35


HANG = b"GET /hang HTTP/1.1\r\nhost: a\r\n\r\n"


class TestHanging:
    def test_it_is_told_of_while_it_hangs(self, serve: Serve) -> None:
        service = serve(PLAIN, VIVACE_DIAG_REQUEST="0.05")
        with service.server.connect() as wire:
            wire.send(HANG)
            finding = service.only("V130")
            assert finding["state"] == "waiting"
            assert finding["title"].endswith("(no response yet)")
            assert finding["request"]["path"] == "/hang"
            assert finding["request"]["status"] is None
            assert finding["request"]["tasks"] == 2
            assert (finding["line"], finding["function"]) == (service.line("hang"), "hangs")
            assert finding["seconds"] >= 0.5
            assert finding["time"]["waiting"] >= 0.45
            # The clock is read for one after the other.
            assert 0.45 <= finding["wait"]["seconds"] <= finding["seconds"] + 0.001

    def test_as_text(self, serve: Serve) -> None:
        service = serve(PLAIN, VIVACE_DIAG_REQUEST="0.05", VIVACE_DIAG_FORMAT="text")
        with service.server.connect() as wire:
            wire.send(HANG)
            within(lambda: "timeout-request" in service.text(), "the report")
        text = service.text()
        assert "request GET /hang  (HTTP/1.1)  no response yet" in text
        assert "where  waits now, for " in text
        assert f"program.py:{service.line('hang')}  hangs" in text

    def test_what_may_last_is_not_told_of(self, serve: Serve) -> None:
        service = serve(PLAIN, VIVACE_DIAG_REQUEST="0.05")
        with (
            service.server.connect() as body,
            service.server.connect() as stream,
            service.server.connect() as socket,
            service.server.connect() as wire,
        ):
            WebSocket.open(socket, "/feed")
            body.send(b"POST /read HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nx")
            stream.send(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n")
            stream.read_until(b"\r\n\r\n")
            # The last of them is old enough when it is told of, and so are the others.
            wire.send(HANG)
            assert service.only("V130")["request"]["path"] == "/hang"

    def test_it_is_told_of_once(self, serve: Serve) -> None:
        service = serve(PLAIN, VIVACE_DIAG_REQUEST="0.05")
        with service.server.connect() as first, service.server.connect() as second:
            first.send(HANG)
            assert service.only("V130")["request"]["path"] == "/hang"
            second.send(HANG.replace(b"hang", b"park"))
            within(lambda: len(service.findings("V130")) > 1, "the second one")
            paths = [finding["request"]["path"] for finding in service.findings("V130")]
            assert paths == ["/hang", "/park"]


class TestClean:
    def test_what_is_quick(self, serve: Serve) -> None:
        pytest.importorskip("fastapi")
        service = serve(FASTAPI)
        with service.server.connect() as wire:
            for _ in range(50):
                assert wire.get("/api/quick").status == 200
        assert service.server.stop() == 0
        assert service.findings("V130") == []

    def test_a_client_that_is_slow_with_its_body(self, serve: Serve) -> None:
        service = serve(PLAIN)
        with service.server.connect() as wire:
            wire.send(b"POST /read HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n")
            for _ in range(4):
                time.sleep(0.35)  # the client's own pace is what this is about
                wire.send(b"x")
            assert wire.response().status == 200
        assert service.server.stop() == 0
        assert service.findings("V130") == []

    def test_a_response_that_streams(self, serve: Serve) -> None:
        service = serve(PLAIN)
        assert service.server.get("/stream").body == b"ab"
        assert service.server.stop() == 0
        assert service.findings("V130") == []

    def test_none_is_slow_if_that_is_wanted(self, serve: Serve) -> None:
        service = serve(PLAIN, VIVACE_DIAG_REQUEST="0")
        assert service.server.get("/sleep").status == 200
        assert service.server.stop() == 0
        assert service.findings("V130") == []

    @pytest.mark.parametrize("path", ["/block", "/sleep", "/thread"])
    def test_nothing_without_diagnostics(self, serve: Serve, path: str) -> None:
        service = serve(PLAIN, VIVACE_DIAG="0", VIVACE_DIAG_REQUEST="0.1")
        assert service.server.get(path).status in (200, 201)
        assert service.server.stop() == 0
        assert service.findings() == []


def test_tasks_are_shown_with_their_requests(serve: Serve) -> None:
    service = serve(PLAIN, VIVACE_DIAG_REQUEST="0")
    pid = str(service.server.pid)
    with service.server.connect() as wire:
        wire.send(b"GET /park?token=secret HTTP/1.1\r\nhost: a\r\n\r\n")
        rows: list[dict[str, Any]] = []

        def are_there() -> bool:
            tasks = json.loads(service.vivace("top", "--once", "--json", pid))["tasks"]
            rows[:] = [task for task in tasks if task["request"]]
            return len(rows) == 2

        within(are_there, "both tasks")
        assert {row["request"] for row in rows} == {"GET /park"}
        [child] = [row for row in rows if row["coro"] == "parked"]
        [parent] = [row for row in rows if row["coro"] == "app"]
        assert child["parent"] == parent["id"]
        for text in (service.vivace("ps", pid), service.vivace("top", "--once", pid)):
            assert "GET /park" in text
            assert "secret" not in text


def test_metrics_count_by_the_same_route(serve: Serve) -> None:
    pytest.importorskip("fastapi")
    service = serve(FASTAPI, "--metrics", "0")
    assert service.server.get("/api/quick").status == 200
    [found] = service.server.printed(r"Metrics on (http://127\.0\.0\.1:\d+/metrics)")
    with urllib.request.urlopen(found[1], timeout=SECONDS) as answer:
        assert 'route="/api/quick"' in answer.read().decode()


def test_many_requests_at_once_have_accounts_of_their_own(serve: Serve) -> None:
    service = serve(PLAIN, VIVACE_DIAG_REQUEST="0.2")
    answers: list[int] = []

    def ask(number: int) -> None:
        answers.append(service.server.get(f"/sleep{number}").status)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 12
    findings = service.findings("V130")
    paths = {finding["request"]["path"] for finding in findings}
    assert paths == {f"/sleep{number}" for number in range(12)}
    for finding in findings:
        assert finding["time"]["waiting"] >= 0.3, finding
