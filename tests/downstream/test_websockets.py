"""The websockets library, as a client and as a server."""

from __future__ import annotations

import asyncio

import pytest


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


def test_messages(run):
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve

    async def main():
        async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}", max_size=None) as websocket:
                for message in ("text", b"bytes", "x" * 3_000_000, b""):
                    await websocket.send(message)
                    assert await websocket.recv() == message
                await asyncio.wait_for(await websocket.ping(), 5)
                await websocket.send(iter(["one ", "two ", "three"]))
                assert await websocket.recv() == "one two three"

    run(main())


def test_tls_and_many_clients(run, certificates):
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve

    async def main():
        async with serve(echo, "127.0.0.1", 0, ssl=certificates.server_context()) as server:
            port = server.sockets[0].getsockname()[1]
            context = certificates.client_context()

            async def one(number):
                async with connect(f"wss://localhost:{port}", ssl=context) as websocket:
                    await websocket.send(str(number))
                    return int(await websocket.recv())

            assert await asyncio.gather(*map(one, range(30))) == list(range(30))

    run(main())


def test_closing(run):
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve
    from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

    async def leave(websocket):
        if await websocket.recv() == "properly":
            await websocket.close(4000, "as asked")
        else:
            websocket.transport.abort()

    async def main():
        async with serve(leave, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            for message, kind in (
                ("properly", (ConnectionClosedOK, ConnectionClosedError)),
                ("roughly", ConnectionClosedError),
            ):
                async with connect(f"ws://127.0.0.1:{port}") as websocket:
                    await websocket.send(message)
                    with pytest.raises(kind):
                        await websocket.recv()
                    if message == "properly":
                        assert websocket.close_code == 4000

    run(main())


def test_unix_sockets(run, socket_path):
    from websockets.asyncio.client import unix_connect
    from websockets.asyncio.server import unix_serve

    async def main():
        async with unix_serve(echo, socket_path):
            async with unix_connect(socket_path) as websocket:
                await websocket.send("x")
                assert await websocket.recv() == "x"

    run(main())
