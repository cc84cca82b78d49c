"""redis-py against a real Redis."""

from __future__ import annotations

import asyncio

import pytest
from support.patience import SECONDS


@pytest.mark.parametrize("over", ["tcp", "unix"])
def test_commands(run, redis, over):
    from redis.asyncio import Redis

    async def main():
        where = (
            {"host": redis.host, "port": redis.port}
            if over == "tcp"
            else {"unix_socket_path": redis.socket_path}
        )
        async with Redis(**where) as client:
            await client.flushall()
            assert await client.ping()
            assert await client.set("name", "value")
            assert await client.get("name") == b"value"
            blob = bytes(range(256)) * 20_000
            await client.set("blob", blob)
            assert await client.get("blob") == blob
            async with client.pipeline(transaction=True) as pipeline:
                for _ in range(500):
                    pipeline.incr("counter")
                assert await pipeline.execute() == list(range(1, 501))
            await client.rpush("list", *range(100))
            assert await client.lrange("list", 0, -1) == [b"%d" % n for n in range(100)]
            results = await asyncio.gather(*(client.incr("many") for _ in range(50)))
            assert sorted(results) == list(range(1, 51))

    run(main())


def test_publish_and_subscribe(run, redis):
    from redis.asyncio import Redis

    async def main():
        async with Redis(host=redis.host, port=redis.port) as client:
            async with client.pubsub() as subscription:
                await subscription.subscribe("news")
                assert (await subscription.get_message(timeout=SECONDS))["type"] == "subscribe"
                await client.publish("news", "hello")
                message = await subscription.get_message(timeout=SECONDS)
                assert message["data"] == b"hello"

    run(main())


def test_blocking_commands_and_cancellation(run, redis):
    from redis.asyncio import Redis

    async def main():
        async with Redis(host=redis.host, port=redis.port) as client:
            await client.flushall()
            waiting = asyncio.create_task(client.blpop("queue", timeout=SECONDS))
            await asyncio.sleep(0.01)
            await client.rpush("queue", "item")
            assert await waiting == [b"queue", b"item"] or waiting.result() == (b"queue", b"item")
            task = asyncio.create_task(client.blpop("never", timeout=0))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # The cancelled connection must not answer somebody else.
            for number in range(20):
                await client.set("name", number)
                assert await client.get("name") == b"%d" % number

    run(main())
