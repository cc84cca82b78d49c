"""The end of the interpreter with loops in every state: no crash, no complaint from within."""

from __future__ import annotations

import signal

import pytest


def assert_quiet(done, allowed=()):
    """Nothing on stderr but what is allowed."""
    lines = [line for line in done.stderr.splitlines() if not any(part in line for part in allowed)]
    assert lines == [], done.stderr


def test_a_daemon_thread_runs_a_loop(run_script):
    done = run_script("""
        import asyncio, threading
        started = threading.Event()

        async def main():
            started.set()
            while True:
                await asyncio.sleep(0.0001)

        def work():
            loop = new_event_loop()
            loop.run_until_complete(main())

        threading.Thread(target=work, daemon=True).start()
        started.wait()
    """)
    assert_quiet(done)


def test_a_daemon_thread_sleeps_in_a_loop(run_script):
    done = run_script("""
        import threading
        loop = new_event_loop()
        started = threading.Event()
        loop.call_soon(started.set)
        threading.Thread(target=loop.run_forever, daemon=True).start()
        started.wait()
    """)
    assert_quiet(done, ["ResourceWarning", "unclosed"])


def test_many_daemon_threads(run_script):
    # Six threads share the GIL: that one of them gets it late is true, and no complaint.
    late = {"VIVACE_DIAG_BLOCKED": "30"}
    for _ in range(3):
        done = run_script(
            """
            import asyncio, threading

            async def main(started):
                server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
                started.release()
                while True:
                    reader, writer = await asyncio.open_connection(
                        *server.sockets[0].getsockname()
                    )
                    await reader.read()
                    writer.close()

            def work(started):
                new_event_loop().run_until_complete(main(started))

            started = threading.Semaphore(0)
            for _ in range(5):
                threading.Thread(target=work, args=(started,), daemon=True).start()
            for _ in range(5):
                started.acquire()
            """,
            environment=late,
        )
        assert_quiet(done)


def test_an_unclosed_loop_with_everything_in_it(run_script):
    """A module's globals are torn down with a loop full of live objects."""
    run_script("""
        import asyncio, socket
        loop = new_event_loop()

        async def forever():
            await loop.create_future()

        async def main():
            global server, transport, process, pipe
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            transport, _ = await loop.create_connection(
                asyncio.Protocol, *server.sockets[0].getsockname()
            )
            await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
            )
            await loop.run_in_executor(None, len, "x")

        loop.run_until_complete(main())
        task = loop.create_task(forever())
        loop.call_later(100, print)
        loop.call_soon(print)
        future = loop.create_future()
        near, far = socket.socketpair()
        loop.add_reader(far, print)
        loop.stop()
        loop.run_forever()
    """)


def test_a_running_generator_and_a_pending_task(run_script):
    run_script("""
        import asyncio
        loop = new_event_loop()

        async def generator():
            try:
                while True:
                    yield 1
            finally:
                pass

        async def main():
            global it
            it = generator()
            await anext(it)

        loop.run_until_complete(main())
        loop.run_until_complete(asyncio.sleep(0))
    """)


def test_atexit_runs_a_loop(run_script):
    done = run_script("""
        import asyncio, atexit

        def last():
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                print(runner.run(asyncio.sleep(0.001, "ran at exit")))

        atexit.register(last)
    """)
    assert done.stdout == "ran at exit\n"
    assert_quiet(done)


def test_a_finalizer_touches_the_loop(run_script):
    """An object that outlives the loop calls it from its finalizer."""
    run_script("""
        import sys
        loop = new_event_loop()

        class Late:
            def __init__(self, loop):
                self.loop = loop
                self.transport = None

            def __del__(self):
                try:
                    self.loop.call_soon_threadsafe(print)
                    self.loop.create_future().cancel()
                except RuntimeError:
                    pass

        late = Late(loop)
        late.itself = late
        sys.late = late
        loop.close()
    """)


def test_exit_inside_a_callback(run_script):
    run_script(
        """
        import asyncio, sys

        async def main():
            asyncio.get_running_loop().call_soon(sys.exit, 9)
            await asyncio.sleep(10)

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(main())
        """,
        expect=9,
    )


def test_exit_inside_a_protocol(run_script):
    run_script(
        """
        import asyncio, sys

        class Leaving(asyncio.Protocol):
            def connection_made(self, transport):
                sys.exit(9)

        async def main():
            loop = asyncio.get_running_loop()
            server = await loop.create_server(Leaving, "127.0.0.1", 0)
            await asyncio.open_connection(*server.sockets[0].getsockname())
            await asyncio.sleep(10)

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(main())
        """,
        expect=9,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed(run_script, number):
    """A loop keeps no signal from ending the process."""
    run_script(
        """
        import os, sys
        loop = new_event_loop()
        loop.call_soon(os.kill, os.getpid(), int(sys.argv[1]))
        loop.run_forever()
        """,
        str(int(number)),
        expect=-number,
    )


def test_a_subinterpreter(run_script, loop_name):
    """A clear error or it works; never a crash."""
    if loop_name == "asyncio":
        pytest.skip("the question is about an extension module")
    done = run_script("""
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        source = (
            "try:\\n"
            "    import vivace\\n"
            "except ImportError as exc:\\n"
            "    print('ImportError', exc, flush=True)\\n"
            "else:\\n"
            "    vivace.new_event_loop().close()\\n"
            "    print('works', flush=True)\\n"
        )
        new_event_loop().close()
        interpreter = interpreters.create()
        try:
            interpreters.run_string(interpreter, source)
        finally:
            interpreters.destroy(interpreter)
    """)
    assert done.stdout.startswith(("ImportError", "works"))
