"""A request that blocks a thread keeps no other request waiting."""

from __future__ import annotations

import asyncio

import httpx
from server import Server


def test_both_answer(client: httpx.Client) -> None:
    slow = client.get("/sync-slow", params={"seconds": 0.01}).raise_for_status()
    assert slow.json() == {"seconds": 0.01, "how": "blocking"}
    fast = client.get("/async-fast", params={"seconds": 0.01}).raise_for_status()
    assert fast.json() == {"seconds": 0.01, "how": "non-blocking"}
    assert client.get("/sync-slow", params={"seconds": -1}).status_code == 422
    assert client.get("/async-fast", params={"seconds": "nan"}).status_code == 422


def test_blocking_sleep_does_not_block_the_loop(server: Server) -> None:
    async def watch() -> None:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            slow = [
                asyncio.create_task(client.get("/sync-slow", params={"seconds": 5}))
                for _ in range(3)
            ]
            # The three requests are asleep in the server by the time that it
            # answers the first of these, or they come while it does: in both
            # cases a blocked loop would answer only after five seconds.
            for _ in range(20):
                (await client.get("/async-fast", params={"seconds": 0})).raise_for_status()
                (await client.get("/api/files")).raise_for_status()
            assert not any(task.done() for task in slow)
            for answer in await asyncio.gather(*slow):
                answer.raise_for_status()

    asyncio.run(watch())


def test_non_blocking_sleeps_share_the_loop(server: Server) -> None:
    """Two hundred sleeps of half a second at once take less than one after another."""

    async def sleep_together() -> None:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
            started = asyncio.get_running_loop().time()
            answers = await asyncio.gather(
                *(client.get("/async-fast", params={"seconds": 0.5}) for _ in range(200))
            )
            elapsed = asyncio.get_running_loop().time() - started
        assert {answer.status_code for answer in answers} == {200}
        assert elapsed < 50, "one after another takes 100 seconds"

    asyncio.run(sleep_together())
