"""The lifespan seen from the server: time limits, order, and each way to end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from vivace.serve._errors import NotStarted
from vivace.serve._lifespan import Lifespan

EXITS = "Application startup failed. Exiting."


@pytest.fixture(autouse=True)
def everything_is_logged(caplog):
    caplog.set_level(logging.DEBUG, "uvicorn.error")


async def well_behaved(scope: Any, receive: Any, send: Any) -> None:
    while True:
        kind = (await receive())["type"]
        if kind == "lifespan.startup":
            scope["state"]["key"] = "value"
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


def test_in_order(run, caplog):
    async def main():
        lifespan = Lifespan(well_behaved, "on")
        await lifespan.startup()
        assert lifespan.state == {"key": "value"}
        await lifespan.shutdown()
        assert not lifespan.failed

    run(main())
    assert caplog.messages == [
        "Waiting for application startup.",
        "Application startup complete.",
        "Waiting for application shutdown.",
        "Application shutdown complete.",
    ]


def test_off(run, caplog):
    async def main():
        lifespan = Lifespan(well_behaved, "off")
        await lifespan.startup()
        assert lifespan.state is None
        await lifespan.shutdown()

    run(main())
    assert caplog.messages == []


class TestStartup:
    def fails(self, run, app, mode="auto", **options):
        async def main():
            lifespan = Lifespan(app, mode, **options)
            with pytest.raises(NotStarted):
                await lifespan.startup()
            assert lifespan.failed
            # Nobody is there to be asked.
            await lifespan.shutdown()

        run(main())

    def test_takes_too_long(self, run, caplog):
        cancelled = []

        async def app(scope, receive, send):
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        self.fails(run, app, startup_timeout=0.01)
        assert cancelled == [True]
        assert caplog.messages[1:] == ["Application startup took longer than 0.01 seconds.", EXITS]

    def test_announces_a_failure(self, run, caplog):
        async def app(scope, receive, send):
            await send({"type": "lifespan.startup.failed", "message": "no database"})

        self.fails(run, app)
        assert caplog.messages[1:] == ["no database", EXITS]

    def test_announces_a_failure_and_raises(self, run, caplog):
        async def app(scope, receive, send):
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            raise RuntimeError("once more")

        self.fails(run, app)
        assert caplog.messages[1:] == ["no database", EXITS]

    def test_raises(self, run, caplog):
        async def app(scope, receive, send):
            raise ValueError("broken")

        self.fails(run, app, "on")
        assert caplog.messages[1:] == ["Exception in 'lifespan' protocol\n", EXITS]
        assert "ValueError: broken" in caplog.text

    def test_raises_where_it_may_have_none(self, run, caplog):
        async def app(scope, receive, send):
            assert scope["type"] == "http"

        async def main():
            lifespan = Lifespan(app, "auto")
            await lifespan.startup()
            assert lifespan.state is None
            await lifespan.shutdown()

        run(main())
        assert caplog.messages[1:] == [
            "ASGI 'lifespan' protocol appears unsupported.",
            "Application startup complete.",
        ]

    def test_returns_at_once(self, run, caplog):
        async def app(scope, receive, send):
            pass

        async def main():
            lifespan = Lifespan(app, "on")
            await lifespan.startup()
            await lifespan.shutdown()
            assert not lifespan.failed

        run(main())

    def test_is_given_up(self, run):
        async def app(scope, receive, send):
            await asyncio.get_running_loop().create_future()

        async def main():
            lifespan = Lifespan(app, "on")
            starting = asyncio.ensure_future(lifespan.startup())
            await asyncio.sleep(0)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            assert asyncio.all_tasks() == {asyncio.current_task()}

        run(main())


class TestShutdown:
    def ends(self, run, app, **options):
        async def main():
            lifespan = Lifespan(app, "auto", **options)
            await lifespan.startup()
            await lifespan.shutdown()
            return lifespan.failed

        return run(main())

    def test_takes_too_long(self, run, caplog):
        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await asyncio.get_running_loop().create_future()

        assert self.ends(run, app, shutdown_timeout=0.01)
        assert caplog.messages[-2:] == [
            "Application shutdown took longer than 0.01 seconds.",
            "Application shutdown failed. Exiting.",
        ]

    def test_announces_a_failure(self, run, caplog):
        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.failed", "message": "lost it"})

        assert self.ends(run, app)
        assert caplog.messages[-2:] == ["lost it", "Application shutdown failed. Exiting."]

    def test_raises(self, run, caplog):
        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            raise ValueError("broken")

        assert self.ends(run, app)
        assert "ValueError: broken" in caplog.text

    def test_what_follows_complete_is_waited_for(self, run):
        done = []

        async def app(scope, receive, send):
            await well_behaved(scope, receive, send)
            await asyncio.sleep(0.01)
            done.append(True)

        assert not self.ends(run, app)
        assert done == [True]

    def test_raises_while_serving(self, run, caplog):
        """uvicorn says "unsupported" and nothing else."""
        crash = asyncio.Event()

        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await crash.wait()
            raise ValueError("in the middle")

        async def main():
            lifespan = Lifespan(app, "auto")
            await lifespan.startup()
            crash.set()
            await lifespan._task
            assert "ValueError: in the middle" in caplog.text
            await lifespan.shutdown()

        run(main())


class TestCancellation:
    """A program that ends cancels all its tasks at once, the lifespan's among them."""

    def test_of_everything(self, run, caplog):
        ending = False

        async def main():
            nonlocal ending
            lifespan = Lifespan(well_behaved, "on", is_ending=lambda: ending)
            await lifespan.startup()
            ending = True
            lifespan._task.cancel()
            await asyncio.sleep(0)
            await lifespan.shutdown()
            assert not lifespan.failed

        run(main())
        assert caplog.messages[-1] == "Application shutdown complete."

    def test_of_the_lifespan_alone(self, run, caplog):
        """Somebody wants that: it is not swallowed."""

        async def main():
            lifespan = Lifespan(well_behaved, "on")
            await lifespan.startup()
            lifespan._task.cancel()
            await asyncio.wait([lifespan._task])
            await lifespan.shutdown()

        run(main())
        assert "CancelledError" in caplog.text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("lifespan.startup.complete", "lifespan.startup.complete"),
        ("lifespan.startup.complete", "lifespan.startup.failed"),
        ("lifespan.shutdown.complete", ""),
        ("lifespan.nothing", ""),
    ],
)
def test_messages_out_of_order_are_refused(run, first, second):
    refused = []

    async def app(scope, receive, send):
        try:
            await send({"type": first})
            await send({"type": second})
        except RuntimeError as error:
            refused.append(error)

    async def main():
        lifespan = Lifespan(app, "auto")
        await lifespan.startup()
        await lifespan.shutdown()

    run(main())
    assert len(refused) == 1
