"""asyncpg and psycopg against a real PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest


@pytest.mark.parametrize("over", ["tcp", "unix"])
def test_asyncpg(run, postgres, over):
    import asyncpg

    async def main():
        host = postgres.host if over == "tcp" else postgres.socket_folder
        connection = await asyncpg.connect(
            host=host, port=postgres.port, user=postgres.user, database=postgres.database
        )
        assert await connection.fetchval("select 6 * 7") == 42
        rows = await connection.fetch("select i, i * i as square from generate_series(1, 5000) i")
        assert [row["square"] for row in rows] == [i * i for i in range(1, 5001)]
        blob = bytes(range(256)) * 10_000
        assert await connection.fetchval("select $1::bytea", blob) == blob
        async with connection.transaction():
            await connection.execute("create temp table items (name text, count int)")
            await connection.executemany(
                "insert into items values ($1, $2)", [(f"item {i}", i) for i in range(500)]
            )
            assert await connection.fetchval("select sum(count) from items") == sum(range(500))
            numbers = [row["count"] async for row in connection.cursor("select count from items")]
            assert numbers == list(range(500))
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await connection.execute("this is no SQL")
        with pytest.raises(TimeoutError):
            await connection.execute("select pg_sleep(10)", timeout=0.05)
        assert await connection.fetchval("select 1") == 1
        await connection.close()

    run(main())


def test_asyncpg_pool_and_notifications(run, postgres):
    import asyncpg

    async def main():
        async with asyncpg.create_pool(
            host=postgres.host,
            port=postgres.port,
            user=postgres.user,
            database=postgres.database,
            min_size=2,
            max_size=5,
        ) as pool:

            async def one(number):
                async with pool.acquire() as connection:
                    return await connection.fetchval("select $1::int + 1", number)

            assert await asyncio.gather(*map(one, range(100))) == list(range(1, 101))
            heard = asyncio.get_running_loop().create_future()
            async with pool.acquire() as listener, pool.acquire() as speaker:
                await listener.add_listener("news", lambda *args: heard.set_result(args[-1]))
                await speaker.execute("notify news, 'hello'")
                assert await heard == "hello"
                await listener.reset()
            # A query that is cancelled half way leaves a usable pool.
            task = asyncio.create_task(pool.execute("select pg_sleep(10)"))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await pool.fetchval("select 1") == 1

    run(main())


def test_psycopg(run, postgres):
    import psycopg

    async def main():
        connection = await psycopg.AsyncConnection.connect(
            host=postgres.host,
            port=postgres.port,
            user=postgres.user,
            dbname=postgres.database,
        )
        async with connection:
            async with connection.cursor() as cursor:
                await cursor.execute("select i from generate_series(1, 5000) i")
                assert [row[0] async for row in cursor] == list(range(1, 5001))
                await cursor.execute("create temp table items (name text, count int)")
                await cursor.executemany(
                    "insert into items values (%s, %s)", [(f"item {i}", i) for i in range(200)]
                )
                async with cursor.copy("copy items from stdin") as copy:
                    for number in range(200, 400):
                        await copy.write_row((f"item {number}", number))
                await cursor.execute("select sum(count) from items")
                assert await cursor.fetchone() == (sum(range(400)),)
            await connection.commit()
            with pytest.raises(psycopg.errors.SyntaxError):
                await connection.execute("this is no SQL")
            await connection.rollback()
            async with connection.pipeline():
                cursors = [await connection.execute("select %s", (n,)) for n in range(20)]
            assert [(await cursor.fetchone())[0] for cursor in cursors] == list(range(20))

    run(main())


def test_psycopg_notifications(run, postgres):
    import psycopg

    async def connect():
        return await psycopg.AsyncConnection.connect(
            host=postgres.socket_folder,
            port=postgres.port,
            user=postgres.user,
            dbname=postgres.database,
            autocommit=True,
        )

    async def main():
        listener, speaker = await connect(), await connect()
        async with listener, speaker:
            await listener.execute("listen news")

            async def hear():
                async for notice in listener.notifies():
                    return notice.payload
                raise AssertionError("the connection ended")

            hearing = asyncio.create_task(hear())
            await asyncio.sleep(0.01)
            await speaker.execute("notify news, 'hello'")
            assert await asyncio.wait_for(hearing, 10) == "hello"

    run(main())
