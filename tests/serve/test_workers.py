"""Several processes: started, watched, replaced, restarted one by one, and ended together."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter

import pytest
from support import serving
from support.http_wire import Truncated, within
from support.patience import SECONDS
from support.serving import unique
from support.workers import Load, children_of, pid_of, workers_of

FLAGS = ("--workers", "2", "--timeout-graceful-shutdown", "30")


def exists(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def server(start_server):
    server = start_server("apps.probe:app", *FLAGS)
    # The address is told before the workers are there.
    server.printed("Application startup complete", count=2)
    return server


class TestStart:
    def test_so_many_processes(self, server):
        assert len(children_of(server.pid)) == 2
        assert workers_of(server) == children_of(server.pid)
        assert server.pid not in workers_of(server)

    def test_words(self, server):
        server.printed(rf"INFO: +Started parent process \[{server.pid}\]")
        for pid in children_of(server.pid):
            server.printed(rf"INFO: +Started server process \[{pid}\]")
        # One address, told once.
        assert server.output().count("running on") == 1

    def test_application_that_cannot_be_imported(self, launch_server):
        """It would fail in the same way for ever: the whole server ends, with the status for it."""
        server = launch_server("nothing_of_this_name:app", *FLAGS)
        status = server.wait()
        assert 'Could not import module "nothing_of_this_name".' in server.output()
        if serving.KIND == "vivace":
            assert status == 3
        assert children_left(server) == set()

    def test_lifespan_that_fails(self, launch_server):
        server = launch_server("apps.lifespans:fails", *FLAGS)
        status = server.wait()
        assert "no database here" in server.output()
        if serving.KIND == "vivace":
            assert status == 3

    def test_port_in_use(self, launch_server):
        import socket

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            server = launch_server("apps.probe:app", *FLAGS, "--port", port)
            assert server.wait() == 3
        assert "address already in use" in server.output().lower()

    def test_each_has_its_own_lifespan(self, start_server):
        server = start_server("apps.lifespans:good", *FLAGS)
        server.printed("lifespan: lifespan.startup", count=2)
        server.stop()
        server.printed("lifespan: lifespan.shutdown", count=2)


def children_left(server) -> set[int]:
    """The processes of the server's group that are still there."""
    found = set()
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(name)) == server.process.pid and exists(int(name)):
                found.add(int(name))
    return found


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_all_end(self, server, number):
        server.signal(number)
        server.wait()
        within(lambda: not children_left(server), "the end of all processes")
        assert server.output().count("Finished server process") == 2

    def test_the_supervisor_is_killed(self, server):
        """Nobody is left that would hold the port."""
        os.kill(server.pid, signal.SIGKILL)
        server.process.wait()
        if serving.KIND != "vivace":
            pytest.skip("uvicorn's workers live on")
        within(lambda: not children_left(server), "the end of the workers")

    def test_interrupt_from_the_terminal(self, server):
        """It reaches all processes of the group at the same time."""
        os.killpg(server.pid, signal.SIGINT)
        server.wait()
        within(lambda: not children_left(server), "the end of all processes")
        assert "Traceback" not in server.output()

    def test_a_request_is_finished(self, server):
        """In each worker."""
        with contextlib.ExitStack() as stack:
            wires = [stack.enter_context(server.connect()) for _ in range(4)]
            for wire in wires:
                wire.send(
                    b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n"
                    b"expect: 100-continue\r\n\r\n"
                )
                # The application has it, and waits for the body.
                assert wire.response(interim=True).status == 100
            server.signal(signal.SIGTERM)
            server.printed("Shutting down", count=2)
            for wire in wires:
                wire.send(b"body")
                assert b"'body': b'body'" in wire.response().body
        server.wait()


class TestDeath:
    def test_killed_worker_is_replaced(self, server):
        before = children_of(server.pid)
        victim = pid_of(server)
        os.kill(victim, signal.SIGKILL)
        within(
            lambda: len(children_of(server.pid) - {victim}) == 2,
            "a new worker",
        )
        server.printed("Application startup complete", count=3)
        assert len(workers_of(server) - before) == 1

    def test_under_load(self, server):
        """Only what it was answering is lost: the others go on, and nothing hangs."""
        victim = pid_of(server)
        with Load(server) as load:
            load.more(200)
            os.kill(victim, signal.SIGKILL)
            server.printed("Application startup complete", count=3)
            load.more(200)
        # Each client has one request at a time; those that the kernel had queued for the dead
        # one are lost with it.
        assert len(load.failures) <= 2 * 4 + 2, load.failures[:5]
        assert children_of(server.pid) == workers_of(server)

    def test_one_that_dies_at_each_start(self, launch_server):
        """No storm of new processes, and SIGTERM still ends it."""
        server = launch_server("apps.dying:app", *FLAGS, "--port", "0")
        server.printed("apps.dying: about to die", count=3)
        begin = time.monotonic()
        count = server.output().count("about to die")
        while time.monotonic() - begin < 2:
            time.sleep(0.1)
        if serving.KIND == "vivace":
            assert server.output().count("about to die") - count < 20
        if server.process.poll() is None:
            server.signal(signal.SIGTERM)
        server.wait()


class TestRollingRestart:
    def test_new_processes(self, server):
        before = children_of(server.pid)
        server.signal(signal.SIGHUP)
        server.printed("Application startup complete", count=4)
        within(
            lambda: len(children_of(server.pid)) == 2 and not children_of(server.pid) & before,
            "two new workers alone",
        )
        assert workers_of(server) == children_of(server.pid)

    def test_no_request_fails(self, server):
        before = children_of(server.pid)
        with Load(server) as load:
            load.more(100)
            server.signal(signal.SIGHUP)
            within(
                lambda: len(children_of(server.pid)) == 2 and not children_of(server.pid) & before,
                "two new workers alone",
            )
            load.more(100)
        assert load.failures == []

    def test_new_code_that_is_broken(self, start_server, tmp_path):
        """The old workers stay."""
        module = tmp_path / "application.py"
        module.write_text("from apps.probe import app\n")
        server = start_server("application:app", *FLAGS, "--app-dir", str(tmp_path))
        server.printed("Application startup complete", count=2)
        before = children_of(server.pid)
        module.write_text("raise LookupError('the new code is broken')\n")
        server.signal(signal.SIGHUP)
        server.printed("the new code is broken")
        for _ in range(20):
            assert server.get("/hello").body == b"hello"
        assert children_of(server.pid) & before
        # And once it is mended, a restart works.
        module.write_text("from apps.probe import app\napp.mended = True\n")
        within(lambda: children_of(server.pid) == before, "the end of the broken worker")
        server.signal(signal.SIGHUP)
        within(
            lambda: len(children_of(server.pid)) == 2 and not children_of(server.pid) & before,
            "two new workers alone",
        )

    def test_a_request_that_runs_is_finished(self, server):
        with contextlib.ExitStack() as stack:
            wires = [stack.enter_context(server.connect()) for _ in range(4)]
            for wire in wires:
                wire.send(
                    b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n"
                    b"expect: 100-continue\r\n\r\n"
                )
                assert wire.response(interim=True).status == 100
            server.signal(signal.SIGHUP)
            server.printed("Shutting down")
            for wire in wires:
                wire.send(b"body")
                assert b"'body': b'body'" in wire.response().body


class TestNumber:
    def test_more_and_fewer(self, server):
        server.signal(signal.SIGTTIN)
        within(lambda: len(children_of(server.pid)) == 3, "a third worker")
        server.printed("Application startup complete", count=3)
        assert len(workers_of(server)) == 3
        server.signal(signal.SIGTTOU)
        within(lambda: len(children_of(server.pid)) == 2, "two workers")
        server.signal(signal.SIGTTOU)
        within(lambda: len(children_of(server.pid)) == 1, "one worker")
        # The last one stays.
        server.signal(signal.SIGTTOU)
        server.printed("Already reached one process")
        assert server.get("/hello").body == b"hello"

    def test_fewer_without_a_failure(self, server):
        with Load(server) as load:
            load.more(50)
            server.signal(signal.SIGTTOU)
            within(lambda: len(children_of(server.pid)) == 1, "one worker")
            load.more(50)
        assert load.failures == []


class TestSharing:
    def test_both_are_used(self, server):
        """New connections are spread: none of two gets all, nor nearly."""
        counts: dict[int, int] = {}
        for _ in range(200):
            pid = pid_of(server)
            counts[pid] = counts.get(pid, 0) + 1
        assert len(counts) == 2
        if serving.KIND == "vivace":
            assert min(counts.values()) >= 20, counts

    def test_unix_socket(self, start_server, socket_path):
        server = start_server("apps.probe:app", *FLAGS, "--uds", socket_path)
        server.printed("Application startup complete", count=2)
        assert {pid_of(server) for _ in range(100)} <= children_of(server.pid)
        server.stop()
        assert not os.path.exists(socket_path)

    def test_a_connection_stays_with_its_worker(self, server):
        with server.connect() as wire:
            assert len({wire.get("/pid").body for _ in range(20)}) == 1


class TestEvenness:
    """How 400 connections that stay open are spread over four workers."""

    WORKERS = 4
    CONNECTIONS = 400

    def spread(self, server) -> list[int]:
        server.printed("Application startup complete", count=self.WORKERS)
        with contextlib.ExitStack() as stack:
            wires = [stack.enter_context(server.connect()) for _ in range(self.CONNECTIONS)]
            counts = Counter(wire.get("/pid").body for wire in wires)
        print(counts)
        return sorted(counts.values())

    def test_own_queues(self, start_server):
        counts = self.spread(start_server("apps.probe:app", "--workers", "4"))
        assert len(counts) == self.WORKERS
        # The kernel's hash is as good as chance: less than half of the mean is five sigma away.
        assert counts[0] > self.CONNECTIONS / self.WORKERS / 2

    @pytest.mark.skipif(serving.KIND != "vivace", reason="others are woken as it happens")
    def test_a_shared_queue(self, start_server, socket_path):
        counts = self.spread(start_server("apps.probe:app", "--workers", "4", "--uds", socket_path))
        assert len(counts) == self.WORKERS
        # A busy machine lets some workers run more than others.
        assert counts[0] > self.CONNECTIONS / self.WORKERS / 4


def test_max_requests_replaces_the_worker(start_server):
    server = start_server("apps.probe:app", *FLAGS, "--limit-max-requests", "20")
    server.printed("Application startup complete", count=2)
    before = children_of(server.pid)
    failures = 0
    deadline = time.monotonic() + SECONDS
    while children_of(server.pid) & before and time.monotonic() < deadline:
        try:
            assert server.get("/hello").body == b"hello"
        except (OSError, Truncated):
            failures += 1
            time.sleep(0.02)
    assert not children_of(server.pid) & before
    if serving.KIND == "vivace":
        assert failures == 0
    assert server.get(f"/hello?id={unique()}").body == b"hello"
