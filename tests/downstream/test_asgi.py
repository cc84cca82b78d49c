"""FastAPI and Starlette under uvicorn on the loop, asked by httpx."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys

import anyio
import pytest
from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.responses import FileResponse, StreamingResponse
from support.patience import SECONDS
from support.sockets import listener


def application():
    """A FastAPI app with a bit of everything."""

    @contextlib.asynccontextmanager
    async def lifespan(app):
        app.state.started = True
        yield
        app.state.stopped = True

    app = FastAPI(lifespan=lifespan)

    @app.get("/async")
    async def asynchronous(number: int = 1):
        await asyncio.sleep(0.001)
        return {"number": number + 1}

    @app.get("/sync")
    def synchronous():
        import threading
        import time

        time.sleep(0.001)
        return {"main": threading.current_thread() is threading.main_thread()}

    @app.post("/echo")
    async def echo(body: dict):
        return body

    @app.get("/stream")
    async def stream():
        async def chunks():
            for number in range(100):
                yield b"%d\n" % number
                await anyio.sleep(0)

        return StreamingResponse(chunks())

    @app.get("/file")
    async def file():
        return FileResponse(__file__)

    @app.get("/background")
    async def background(tasks: BackgroundTasks):
        tasks.add_task(setattr, app.state, "background", True)
        return {}

    @app.websocket("/socket")
    async def socket(websocket: WebSocket):
        await websocket.accept()
        async for message in websocket.iter_text():
            await websocket.send_text(message.upper())

    return app


@contextlib.asynccontextmanager
async def serving(app, **options):
    """Run uvicorn on the running loop; gives the base URL."""
    import uvicorn

    sock = listener()
    config = uvicorn.Config(app, log_level="warning", **options)
    server = uvicorn.Server(config)
    # Signals are the business of the command line, not of a server inside a test.
    server.capture_signals = contextlib.nullcontext
    task = asyncio.create_task(server.serve([sock]))
    while not server.started:
        await asyncio.sleep(0.001)
        if task.done():
            task.result()
    try:
        yield f"127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        sock.close()


def test_requests(run):
    import httpx

    async def main():
        app = application()
        async with serving(app) as address:
            async with httpx.AsyncClient(base_url=f"http://{address}") as client:
                assert app.state.started
                assert (await client.get("/async?number=41")).json() == {"number": 42}
                assert (await client.get("/sync")).json() == {"main": False}
                assert (await client.post("/echo", json={"a": [1]})).json() == {"a": [1]}
                large = {"text": "x" * 3_000_000}
                assert (await client.post("/echo", json=large)).json() == large
                async with client.stream("GET", "/stream") as response:
                    lines = [line async for line in response.aiter_lines()]
                assert lines == [str(number) for number in range(100)]
                with open(__file__, "rb") as file:
                    assert (await client.get("/file")).content == file.read()
                assert (await client.get("/missing")).status_code == 404
                await client.get("/background")
                while not getattr(app.state, "background", False):
                    await asyncio.sleep(0.001)
                answers = await asyncio.gather(
                    *(client.get(f"/async?number={number}") for number in range(100))
                )
                assert [a.json()["number"] for a in answers] == list(range(1, 101))
        assert app.state.stopped

    run(main())


def test_websockets(run):
    from websockets.asyncio.client import connect

    async def main():
        async with serving(application()) as address:
            async with connect(f"ws://{address}/socket") as websocket:
                for number in range(50):
                    await websocket.send(f"message {number}")
                    assert await websocket.recv() == f"MESSAGE {number}"

    run(main())


def test_tls(run, certificates):
    import httpx

    async def main():
        options = {
            "ssl_certfile": str(certificates.server),
            "ssl_keyfile": str(certificates.server),
        }
        async with serving(application(), **options) as address:
            port = address.partition(":")[2]
            async with httpx.AsyncClient(verify=certificates.client_context()) as client:
                response = await client.get(f"https://localhost:{port}/async?number=1")
                assert response.json() == {"number": 2}

    run(main())


@pytest.mark.filterwarnings("ignore:Using .httpx. with")
def test_the_test_client_of_starlette(loop_name, loop_factory):
    """It runs the app through anyio, in a thread of its own."""
    from starlette.testclient import TestClient

    seen = []
    app = application()

    @app.get("/loop")
    async def which():
        seen.append(type(asyncio.get_running_loop()))
        return {}

    with TestClient(app, backend_options={"loop_factory": loop_factory}) as client:
        assert client.get("/async?number=1").json() == {"number": 2}
        assert client.get("/loop").status_code == 200
        with client.websocket_connect("/socket") as websocket:
            websocket.send_text("hello")
            assert websocket.receive_text() == "HELLO"
    plain = loop_factory()
    plain.close()
    assert seen == [type(plain)]


def test_the_command_line(loop_name, tmp_path):
    """`uvicorn --loop` takes the factory by name, serves, and ends cleanly on SIGTERM."""
    import httpx

    (tmp_path / "app.py").write_text(
        "import asyncio\n"
        "async def app(scope, receive, send):\n"
        "    assert scope['type'] == 'http'\n"
        "    body = type(asyncio.get_running_loop()).__module__.encode()\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': body})\n"
    )
    name = "asyncio" if loop_name == "asyncio" else "vivace:new_event_loop"
    socket_path = tmp_path / "s"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "uvicorn", "app:app", "--loop", name, "--lifespan", "off"),
            *("--uds", str(socket_path)),
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | {"PYTHONPATH": str(tmp_path) + os.pathsep + os.environ.get("PYTHONPATH", "")},
    )
    try:
        # The line that says it is ready.
        for line in process.stderr:
            if "Uvicorn running" in line:
                break
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket_path))) as client:
            answer = client.get("http://localhost/").text
        assert answer.split(".")[0] == loop_name
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert "Finished server process" in rest
        assert process.wait(SECONDS) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_httpx_against_a_server_that_goes_away(run):
    import httpx

    async def main():
        async def handle(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with httpx.AsyncClient() as client:
                for _ in range(5):
                    with pytest.raises(httpx.HTTPError):
                        await client.get(f"http://127.0.0.1:{port}/")

    run(main())
