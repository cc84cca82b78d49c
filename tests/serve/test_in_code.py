"""The server in a program: `vivace.serve(app)`, and `Server(app).serve()` in a loop that runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from support import serving
from support.patience import SECONDS
from support.serving import FOLDER, environment

pytestmark = pytest.mark.skipif(serving.KIND != "vivace", reason="the interface of vivace")


@pytest.fixture
def run_program(tmp_path):
    """Run a program to its end; fails unless it ends well."""

    def run(source: str, *, expect: int = 0) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(source))
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", str(script)],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            cwd=tmp_path,
            env=environment({"PYTHONPATH": f"{FOLDER}:{os.environ.get('PYTHONPATH', '')}"}),
        )
        assert done.returncode == expect, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


HEAD = """
import asyncio, signal, sys
import vivace
from apps import probe, lifespans
from support.http_wire import Wire


async def ask(server, path="/hello"):
    "Ask on a thread, as the loop is busy with serving."
    def blocking():
        with Wire.connect(address(server)) as wire:
            return wire.get(path).body
    return await asyncio.to_thread(blocking)


def address(server):
    return server.servers[0].sockets[0].getsockname()


async def started(server, task):
    while not server.started:
        assert not task.done(), task.result()
        await asyncio.sleep(0.005)
"""


@pytest.fixture
def program(run_program):
    """Run a program that begins with the lines above."""
    tests = FOLDER.parent

    def run(source: str, **options):
        begin = f"import sys; sys.path.insert(0, {str(tests)!r})\n{HEAD}\n"
        return run_program(begin + textwrap.dedent(source), **options)

    return run


class TestServer:
    def test_in_a_running_loop(self, program):
        done = program(
            """
            async def main():
                server = vivace.Server(probe.app, port=0)
                task = asyncio.create_task(server.serve())
                await started(server, task)
                print((await ask(server)).decode())
                server.should_exit = True
                await task

            vivace.run(main())
            """
        )
        assert "hello" in done.stdout
        assert "Finished server process" in done.stderr

    def test_beside_other_work(self, program):
        """The loop is the program's; the server is one of its tasks."""
        program(
            """
            async def main():
                server = vivace.Server(lifespans.good, port=0, log_level="warning")
                async with asyncio.TaskGroup() as group:
                    task = group.create_task(server.serve())
                    await started(server, task)
                    answers = await asyncio.gather(*(ask(server) for _ in range(20)))
                    assert answers == [b"hello"] * 20
                    server.should_exit = True

            vivace.run(main())
            """
        )

    def test_two_servers(self, program):
        program(
            """
            async def main():
                servers = [vivace.Server(probe.app, port=0) for _ in range(2)]
                tasks = [asyncio.create_task(server.serve()) for server in servers]
                for server, task in zip(servers, tasks):
                    await started(server, task)
                assert address(servers[0]) != address(servers[1])
                for server in servers:
                    assert await ask(server) == b"hello"
                for server in servers:
                    server.should_exit = True
                await asyncio.gather(*tasks)

            vivace.run(main())
            """
        )

    def test_cancelled(self, program):
        """The lifespan ends, and the port is free."""
        done = program(
            """
            async def main():
                server = vivace.Server(lifespans.good, port=0)
                task = asyncio.create_task(server.serve())
                await started(server, task)
                host, port = address(server)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    pass
                again = vivace.Server(probe.app, port=port)
                task = asyncio.create_task(again.serve())
                await started(again, task)
                assert await ask(again) == b"hello"
                again.should_exit = True
                await task

            vivace.run(main())
            """
        )
        assert "lifespan.shutdown" in done.stderr

    def test_own_sockets(self, program):
        program(
            """
            import socket

            async def main():
                sock = socket.create_server(("127.0.0.1", 0))
                server = vivace.Server(probe.app)
                task = asyncio.create_task(server.serve(sockets=[sock]))
                await started(server, task)
                def blocking():
                    with Wire.connect(sock.getsockname()) as wire:
                        return wire.get("/hello").body
                assert await asyncio.to_thread(blocking) == b"hello"
                server.should_exit = True
                await task

            vivace.run(main())
            """
        )

    def test_in_a_thread(self, program):
        """Signals can only be had in the main thread; the server works without them."""
        program(
            """
            import threading, time

            server = vivace.Server(probe.app, port=0)
            thread = threading.Thread(target=lambda: vivace.run(server.serve()))
            thread.start()
            while not server.started:
                time.sleep(0.005)
            with Wire.connect(address(server)) as wire:
                assert wire.get("/hello").body == b"hello"
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
            """
        )

    def test_signal_handlers_are_put_back(self, program):
        program(
            """
            def own(*args):
                pass

            async def main():
                signal.signal(signal.SIGTERM, own)
                for handle_signals in (False, True):
                    server = vivace.Server(probe.app, port=0)
                    task = asyncio.create_task(server.serve(handle_signals=handle_signals))
                    await started(server, task)
                    assert (signal.getsignal(signal.SIGTERM) is own) != handle_signals
                    server.should_exit = True
                    await task
                    assert signal.getsignal(signal.SIGTERM) is own

            vivace.run(main())
            """
        )

    def test_failed_start(self, program):
        """The program decides what to do then: it is told by an exception of its own kind."""
        done = program(
            """
            from vivace.serve import StartupError

            async def main():
                try:
                    await vivace.Server(lifespans.fails, port=0).serve()
                except StartupError as exc:
                    print("told:", exc)

            vivace.run(main())
            """
        )
        assert "told:" in done.stdout
        assert "no database here" in done.stderr

    @pytest.mark.parametrize(
        ("words", "named"),
        [
            ("prot=8000", "prot"),
            ("port='eighty'", "eighty"),
            ("port=70000", "70000"),
            ("workers=-1", "-1"),
            ("log_level='loud'", "loud"),
            ("lifespan='maybe'", "maybe"),
            ("timeout_keep_alive=-1", "-1"),
        ],
    )
    def test_mistakes(self, program, words, named):
        """A TypeError or ValueError that names what is wrong, before anything starts."""
        done = program(
            f"""
            try:
                vivace.Server(probe.app, {words})
            except (TypeError, ValueError) as exc:
                print(exc)
            """
        )
        assert named in done.stdout
        assert len(done.stdout.splitlines()) == 1

    def test_settings_of_uvicorn(self, program):
        """Its keyword arguments, as `uvicorn.run` and `uvicorn.Config` take them."""
        program(
            """
            async def main():
                server = vivace.Server(
                    probe.app,
                    host="127.0.0.1",
                    port=0,
                    log_config=None,
                    access_log=False,
                    headers=[("x-a", "b")],
                    root_path="/api",
                    date_header=False,
                    server_header=False,
                    proxy_headers=True,
                    forwarded_allow_ips="*",
                    limit_concurrency=10,
                    backlog=100,
                    timeout_keep_alive=5,
                    timeout_graceful_shutdown=5,
                    lifespan="on",
                    loop="auto",
                    http="auto",
                    ws="auto",
                    interface="auto",
                    workers=1,
                    reload=False,
                )
                task = asyncio.create_task(server.serve())
                await started(server, task)
                def blocking():
                    with Wire.connect(address(server)) as wire:
                        return wire.get("/hello").headers
                headers = await asyncio.to_thread(blocking)
                assert (b"x-a", b"b") in headers, headers
                assert b"date" not in dict(headers)
                server.should_exit = True
                await task

            vivace.run(main())
            """
        )


class TestServe:
    def start(self, tmp_path, source: str) -> serving.Server:
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(source))
        log = tmp_path / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(script)],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=tmp_path,
                env=environment({"PYTHONPATH": f"{FOLDER}:{os.environ.get('PYTHONPATH', '')}"}),
            )
        return serving.Server(process, log, ["program.py"])

    @pytest.mark.parametrize(
        "call",
        [
            "vivace.serve(app, port=0)",
            "vivace.serve('apps.probe:app', port=0)",
            "vivace.serve('apps.servers:factory', factory=True, port=0)",
            "vivace.serve('apps.probe:app', port=0, workers=2)",
        ],
    )
    def test_serves_until_a_signal(self, tmp_path, call):
        server = self.start(
            tmp_path,
            f"""
            import vivace
            from apps.probe import app

            if __name__ == "__main__":
                {call}
            """,
        )
        try:
            server.wait_until_up()
            assert server.get("/hello").body == b"hello"
            server.signal(signal.SIGTERM)
            server.wait()
            assert "Finished server process" in server.output()
        finally:
            server.kill()

    def test_workers_need_a_name(self, program):
        done = program("vivace.serve(probe.app, port=0, workers=2)", expect=3)
        assert "import string" in done.stderr

    def test_failed_start(self, program):
        done = program("vivace.serve('nothing:app')", expect=3)
        assert 'Could not import module "nothing".' in done.stderr


def test_import_of_vivace_does_not_load_the_server(run_program):
    """Programs that do not serve do not pay for it."""
    done = run_program(
        """
        import sys
        import vivace
        loaded = [name for name in sys.modules if name.startswith("vivace.serve")]
        print(loaded)
        vivace.Server, vivace.serve
        """
    )
    assert done.stdout.strip() == "[]"


def test_an_interrupt_in_a_handler_ends_the_program_in_order(program):
    """It leaves the loop at once; the request that it came in is not waited for."""
    program("""
    import time

    async def app(scope, receive, send):
        await asyncio.sleep(0)
        raise KeyboardInterrupt

    async def main():
        server = vivace.Server(app, port=0, lifespan="off", log_config=None)
        task = asyncio.create_task(server.serve())
        await started(server, task)
        await ask(server)
        await task

    begin = time.monotonic()
    try:
        vivace.run(main())
    except KeyboardInterrupt:
        assert time.monotonic() - begin < 20
    else:
        raise AssertionError("nothing was raised")
    """)
