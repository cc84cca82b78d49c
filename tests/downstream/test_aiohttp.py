"""aiohttp, as a client and as a server."""

from __future__ import annotations

import asyncio
import contextlib
import io

import pytest


@contextlib.asynccontextmanager
async def serving(app, **options):
    """Serve the app on a free port; gives the port."""
    from aiohttp import web

    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, **options)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def application():
    from aiohttp import web

    app = web.Application(client_max_size=10_000_000)
    routes = web.RouteTableDef()

    @routes.get("/hello")
    async def hello(request):
        await asyncio.sleep(0)
        return web.json_response({"hello": request.query.get("name")})

    @routes.post("/echo")
    async def echo(request):
        return web.Response(body=await request.read())

    @routes.get("/stream")
    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(100):
            await response.write(b"%d\n" % number)
        await response.write_eof()
        return response

    @routes.get("/file")
    async def file(request):
        return web.FileResponse(__file__)

    @routes.get("/slow")
    async def slow(request):
        await asyncio.sleep(10)

    @routes.get("/socket")
    async def socket(request):
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        async for message in websocket:
            await websocket.send_str(message.data.upper())
        return websocket

    app.add_routes(routes)
    return app


def test_requests(run):
    import aiohttp

    async def main():
        async with serving(application()) as port:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                async with session.get("/hello", params={"name": "you"}) as response:
                    assert await response.json() == {"hello": "you"}
                data = bytes(range(256)) * 20_000
                async with session.post("/echo", data=io.BytesIO(data)) as response:
                    assert await response.read() == data
                async with session.get("/stream") as response:
                    lines = [line async for line in response.content]
                assert lines == [b"%d\n" % number for number in range(100)]
                async with session.get("/file") as response:  # by sendfile
                    with open(__file__, "rb") as file:
                        assert await response.read() == file.read()

                async def one(number):
                    async with session.get("/hello", params={"name": str(number)}) as response:
                        return (await response.json())["hello"]

                names = await asyncio.gather(*map(one, range(200)))
                assert names == [str(number) for number in range(200)]

    run(main())


def test_timeouts_and_cancellation(run):
    import aiohttp

    async def main():
        async with serving(application()) as port:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                with pytest.raises(TimeoutError):
                    await session.get("/slow", timeout=aiohttp.ClientTimeout(total=0.02))
                task = asyncio.create_task(session.get("/slow"))
                await asyncio.sleep(0.01)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                async with session.get("/hello") as response:
                    assert response.status == 200

    run(main())


def test_websockets(run):
    import aiohttp

    async def main():
        async with serving(application()) as port:
            async with aiohttp.ClientSession() as session:
                async with session.ws_connect(f"http://127.0.0.1:{port}/socket") as websocket:
                    for number in range(50):
                        await websocket.send_str(f"message {number}")
                        assert await websocket.receive_str() == f"MESSAGE {number}"
                    await websocket.ping()

    run(main())


def test_tls(run, certificates):
    import aiohttp

    async def main():
        async with serving(application(), ssl_context=certificates.server_context()) as port:
            connector = aiohttp.TCPConnector(ssl=certificates.client_context())
            async with aiohttp.ClientSession(connector=connector) as session:
                async with session.get(f"https://localhost:{port}/hello?name=x") as response:
                    assert await response.json() == {"hello": "x"}
                data = bytes(3_000_000)
                url = f"https://localhost:{port}/echo"
                async with session.post(url, data=io.BytesIO(data)) as response:
                    assert await response.read() == data
            # aiohttp leaves the sockets under TLS a turn to close.
            await asyncio.sleep(0.01)

    run(main())


def test_unix_sockets(run, socket_path):
    import aiohttp
    from aiohttp import web

    async def main():
        runner = web.AppRunner(application())
        await runner.setup()
        await web.UnixSite(runner, socket_path).start()
        connector = aiohttp.UnixConnector(socket_path)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get("http://localhost/hello?name=x") as response:
                assert await response.json() == {"hello": "x"}
        await runner.cleanup()

    run(main())
