"""os.fork and multiprocessing: parent and child keep out of each other's way."""

from __future__ import annotations

import sys

import pytest


def test_a_new_loop_in_the_child(run_script):
    """The parent's loop has run and stands still; the child makes its own."""
    run_script("""
        import asyncio, os
        loop = new_event_loop()
        loop.run_until_complete(asyncio.sleep(0.001))
        pid = os.fork()
        if pid == 0:
            own = new_event_loop()
            assert own.run_until_complete(asyncio.sleep(0.001, 5)) == 5
            own.close()
            os._exit(3)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 3
        assert loop.run_until_complete(asyncio.sleep(0.001, 6)) == 6
        loop.close()
    """)


def test_the_inherited_loop_in_the_child(run_script):
    """A loop that was not running goes on in both: timers, calls from threads."""
    run_script("""
        import asyncio, os, threading
        loop = new_event_loop()
        loop.run_until_complete(asyncio.sleep(0))

        def use():
            threading.Timer(0.01, loop.call_soon_threadsafe, (loop.stop,)).start()
            loop.run_forever()
            assert loop.run_until_complete(asyncio.sleep(0.001, 5)) == 5

        pid = os.fork()
        if pid == 0:
            use()
            os._exit(3)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 3
        use()
        loop.close()
    """)


def test_the_child_does_not_disturb_the_readers_of_the_parent(run_script, loop_name):
    if loop_name == "asyncio":
        pytest.skip("parent and child share an epoll set there")
    run_script("""
        import os, socket
        loop = new_event_loop()
        near, far = socket.socketpair()
        seen = []
        loop.add_reader(far, lambda: (seen.append(far.recv(10)), loop.stop()))
        loop.call_soon(loop.stop)
        loop.run_forever()
        pid = os.fork()
        if pid == 0:
            loop.remove_reader(far)
            loop.close()
            os._exit(3)
        os.waitpid(pid, 0)
        near.send(b"x")
        loop.run_forever()
        assert seen == [b"x"]
        loop.remove_reader(far)
        loop.close()
    """)


def test_a_wake_up_of_the_child_does_not_reach_the_parent(run_script, loop_name):
    if loop_name == "asyncio":
        pytest.skip("parent and child share the socket pair there")
    run_script("""
        import os
        loop = new_event_loop()
        loop.call_soon(loop.stop)
        loop.run_forever()
        pid = os.fork()
        if pid == 0:
            loop.call_soon_threadsafe(loop.stop)
            loop.run_forever()
            os._exit(3)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 3
        loop.call_later(0.01, loop.stop)
        loop.run_forever()
        loop.close()
    """)


def test_forking_in_a_callback(run_script):
    """The child leaves at once; the parent goes on."""
    run_script("""
        import asyncio, os

        async def main():
            loop = asyncio.get_running_loop()
            pid = os.fork()
            if pid == 0:
                os._exit(3)
            _, status = await loop.run_in_executor(None, os.waitpid, pid, 0)
            assert os.waitstatus_to_exitcode(status) == 3
            await asyncio.sleep(0.001)

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(main())
    """)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the child is cleaned up since 3.12")
def test_a_new_loop_in_a_child_of_a_running_loop(run_script):
    run_script("""
        import asyncio, os

        async def in_child():
            await asyncio.sleep(0.001)
            return 5

        async def main():
            pid = os.fork()
            if pid == 0:
                with asyncio.Runner(loop_factory=new_event_loop) as runner:
                    assert runner.run(in_child()) == 5
                os._exit(3)
            _, status = os.waitpid(pid, 0)
            assert os.waitstatus_to_exitcode(status) == 3
            await asyncio.sleep(0.001)
            return 6

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            assert runner.run(main()) == 6
    """)


def test_the_running_loop_of_the_parent_is_refused_in_the_child(run_script, loop_name):
    if loop_name == "asyncio":
        pytest.skip("the standard loop lets it happen")
    run_script("""
        import asyncio, os

        async def main():
            loop = asyncio.get_running_loop()
            pid = os.fork()
            if pid == 0:
                try:
                    loop.run_until_complete(asyncio.Future(loop=loop))
                except RuntimeError as exc:
                    print(exc, flush=True)
                    os._exit(3)
                os._exit(4)
            _, status = os.waitpid(pid, 0)
            assert os.waitstatus_to_exitcode(status) == 3, status
            await asyncio.sleep(0.001)

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(main())
    """)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(run_script, method):
    run_script(
        """
        import asyncio, multiprocessing, sys

        async def work(value):
            process = await asyncio.create_subprocess_exec("sh", "-c", f"exit {value}")
            return await process.wait()

        def child(value):
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                sys.exit(runner.run(work(value)))

        if __name__ == "__main__":
            loop = new_event_loop()
            loop.run_until_complete(asyncio.sleep(0))
            context = multiprocessing.get_context(sys.argv[1])
            processes = [context.Process(target=child, args=(value,)) for value in (3, 4)]
            for process in processes:
                process.start()
            for process in processes:
                process.join()
            assert [process.exitcode for process in processes] == [3, 4]
            assert loop.run_until_complete(asyncio.sleep(0.001, 5)) == 5
            loop.close()
        """,
        method,
        seconds=18,
    )


def test_an_inherited_server(run_script):
    """A listening socket made before the fork, served by a worker after it, as servers do."""
    run_script("""
        import asyncio, os, socket
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        sock.setblocking(False)

        async def serve():
            done = asyncio.Event()

            async def handle(reader, writer):
                writer.write(await reader.readline())
                writer.close()
                await writer.wait_closed()
                done.set()

            server = await asyncio.start_server(handle, sock=sock)
            await done.wait()
            server.close()

        pid = os.fork()
        if pid == 0:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(serve())
            os._exit(3)

        async def ask():
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(b"hello\\n")
            assert await reader.read() == b"hello\\n"
            writer.close()

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(ask())
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 3
        sock.close()
    """)


@pytest.mark.parametrize("handled", [False, True])
@pytest.mark.parametrize("running", [False, True])
def test_signals_of_the_child_are_its_own(run_script, loop_name, handled, running):
    """They neither wake the loop of the parent nor are written where nothing is open any more."""
    if loop_name == "asyncio":
        pytest.skip("parent and child share the socket pair there")
    done = run_script(
        """
        import os, select, signal, sys
        handled, running = "handled" in sys.argv, "running" in sys.argv
        loop = new_event_loop()
        seen = []
        if handled:
            loop.add_signal_handler(signal.SIGUSR1, seen.append, "loop")
        else:
            signal.signal(signal.SIGUSR1, lambda *args: seen.append("plain"))

        def child():
            # Whoever opens something next gets the number of what was closed.
            pipes = [os.pipe() for _ in range(10)]
            signal.raise_signal(signal.SIGUSR1)
            if select.select([near for near, far in pipes], [], [], 0)[0]:
                os._exit(4)
            if not running:
                loop.call_soon(loop.stop)
                loop.run_forever()
                loop.call_soon(loop.stop)
                loop.run_forever()
            expected = [] if handled and running else ["loop"] if handled else ["plain"]
            os._exit(3 if seen == expected else 5)

        def fork():
            pid = os.fork()
            if pid == 0:
                child()
            _, status = os.waitpid(pid, 0)
            assert os.waitstatus_to_exitcode(status) == 3, status

        if running:
            loop.call_soon(fork)
        else:
            fork()
        loop.call_later(0.01, loop.stop)
        loop.run_forever()
        assert seen == [], seen
        if handled:
            loop.remove_signal_handler(signal.SIGUSR1)
        loop.close()
        """,
        *(["handled"] if handled else []),
        *(["running"] if running else []),
    )
    assert done.stderr == ""
