"""The parent of workers, beyond `test_workers.py`: queues, recycling, blocked workers, its end."""

from __future__ import annotations

import os
import signal
import time

import pytest
from serve.test_workers import Load, children_of, pid_of
from support.http_wire import Truncated, within

# What an application looks like that takes long to start, if a file says so.
SLOW_TO_START = """
import asyncio, os, time
from apps.probe import app as inner

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while os.path.exists({path!r}):
            await asyncio.sleep(0.05)
    if scope["type"] == "http" and scope["path"] == "/block":
        print("blocked now", flush=True)
        time.sleep(300)
    await inner(scope, receive, send)
"""


@pytest.fixture
def start(start_server, tmp_path):
    """Start two workers whose successors do not get ready while a file is there."""
    flag = tmp_path / "wait"
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "application.py").write_text(SLOW_TO_START.format(path=str(flag)))
    from support.serving import FOLDER

    def start(*flags):
        server = start_server(
            "application:app",
            *("--workers", "2", "--timeout-graceful-shutdown", "30"),
            *flags,
            app_dir=folder,
            env={"PYTHONPATH": f"{folder}:{FOLDER}"},
        )
        # The address is told before the workers are there.
        server.printed("Application startup complete", count=2)
        server.flag = flag
        return server

    return start


class TestQueues:
    def test_a_neighbour_answers_for_a_dead_worker(self, start):
        """The dead one's queue is not left alone until there is a successor."""
        server = start()
        server.flag.touch()
        victim = pid_of(server)
        os.kill(victim, signal.SIGKILL)
        server.printed(rf"Child process \[{victim}\] died")
        # By chance alone half of these would hang.
        assert len({pid_of(server) for _ in range(40)}) == 1
        server.flag.unlink()
        server.printed("Application startup complete", count=3)
        within(lambda: len({pid_of(server) for _ in range(40)}) == 2, "both")

    def test_after_fewer_and_more(self, start):
        server = start()
        with Load(server) as load:
            for _ in range(3):
                server.signal(signal.SIGTTOU)
                within(lambda: len(children_of(server.pid)) == 1, "one worker")
                load.more(50)
                server.signal(signal.SIGTTIN)
                within(lambda: len(children_of(server.pid)) == 2, "two workers")
                load.more(50)
        assert load.failures == []
        within(lambda: len({pid_of(server) for _ in range(40)}) == 2, "both")

    def test_a_unix_socket_under_load_while_all_are_replaced(self, start_server, socket_path):
        server = start_server("apps.probe:app", "--workers", "2", "--uds", socket_path)
        before = children_of(server.pid)
        with Load(server) as load:
            load.more(50)
            server.signal(signal.SIGHUP)
            within(
                lambda: len(children_of(server.pid)) == 2 and not children_of(server.pid) & before,
                "two new workers alone",
            )
            load.more(50)
        assert load.failures == []


class TestRecycling:
    def test_by_age(self, start):
        server = start("--limit-worker-age", "1")
        before = children_of(server.pid)
        with Load(server) as load:
            within(lambda: not children_of(server.pid) & before, "two successors")
        assert load.failures == []
        assert "Maximum age reached. Process [" in server.output()

    def test_by_memory(self, start):
        """Each successor is too large as well: they are replaced one after the other, for ever."""
        server = start("--limit-max-rss", "1M")
        server.printed(r"Memory of \d+ MiB is more than the limit of 1 MiB\. Process", count=3)
        assert server.get("/hello").body == b"hello"

    def test_a_single_process_ends(self, start_server):
        server = start_server("apps.probe:app", "--limit-worker-age", "0.5")
        assert server.wait() == 0
        assert "Maximum age reached. Terminating process." in server.output()
        assert "Finished server process" in server.output()

    def test_a_successor_that_is_not_ready_is_waited_for(self, start):
        server = start("--limit-worker-age", "0.5")
        server.flag.touch()
        server.printed("Maximum age reached", count=2)
        assert server.get("/hello").body == b"hello"


class TestBlockedWorkers:
    def block(self, server) -> int:
        """Block a worker's loop for minutes; returns its number."""
        with server.connect() as wire:
            pid = int(wire.get("/pid").body)
            wire.send(b"GET /block HTTP/1.1\r\nhost: a\r\n\r\n")
            server.printed("blocked now")
            return pid

    def test_killed_if_that_is_asked_for(self, start):
        server = start("--timeout-worker-healthcheck", "3")
        victim = self.block(server)
        server.printed(rf"Child process \[{victim}\] has not answered for 3 seconds")
        server.printed("Application startup complete", count=3)
        assert victim not in children_of(server.pid)

    def test_left_alone_otherwise(self, start):
        server = start()
        victim = self.block(server)
        time.sleep(3)
        assert victim in children_of(server.pid)

    def test_healthy_ones_are_left_alone(self, start):
        server = start("--timeout-worker-healthcheck", "2")
        before = children_of(server.pid)
        time.sleep(4.5)
        assert children_of(server.pid) == before


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_status(self, start, number):
        """As uvicorn: the parent has ended in order."""
        server = start()
        server.signal(number)
        assert server.wait() == 0
        name = signal.Signals(number).name
        assert f"Received {name}, exiting." in server.output()
        assert f"Stopping parent process [{server.pid}]" in server.output()

    def test_while_starting(self, launch_server, tmp_path):
        flag = tmp_path / "wait"
        flag.touch()
        (tmp_path / "application.py").write_text(SLOW_TO_START.format(path=str(flag)))
        from support.serving import FOLDER

        server = launch_server(
            "application:app",
            *("--workers", "2", "--timeout-graceful-shutdown", "1"),
            app_dir=tmp_path,
            env={"PYTHONPATH": f"{tmp_path}:{FOLDER}"},
        )
        server.printed("Waiting for application startup", count=2)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "running on" not in server.output()
        assert "Traceback" not in server.output()

    def test_workers_that_are_ended_by_somebody_else_come_back(self, start):
        server = start()
        before = children_of(server.pid)
        for pid in before:
            os.kill(pid, signal.SIGTERM)
        within(
            lambda: len(children_of(server.pid)) == 2 and not children_of(server.pid) & before,
            "two successors",
        )
        within(lambda: served(server), "an answer")


def served(server) -> bool:
    """Whether a request is answered; what waits in the queue of a dead worker is lost."""
    try:
        return server.get("/hello").body == b"hello"
    except (OSError, Truncated):
        return False
