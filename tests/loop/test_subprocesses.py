"""subprocess_exec and subprocess_shell, and asyncio.subprocess over them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest
from support.cancelling import cancel_after

PYTHON = sys.executable


class Recorder(asyncio.SubprocessProtocol):
    """Records what a subprocess transport tells it."""

    def __init__(self):
        loop = asyncio.get_running_loop()
        self.calls = []
        self.data = {1: bytearray(), 2: bytearray()}
        self.exited = loop.create_future()
        self.lost = loop.create_future()
        self.more = asyncio.Event()

    def connection_made(self, transport):
        self.calls.append("connection_made")
        self.transport = transport

    def pipe_data_received(self, fd, data):
        self.data[fd] += data
        self.more.set()

    def pipe_connection_lost(self, fd, exc):
        self.calls.append(("pipe_connection_lost", fd))

    def process_exited(self):
        self.calls.append("process_exited")
        self.exited.set_result(None)

    def connection_lost(self, exc):
        self.calls.append("connection_lost")
        self.lost.set_result(exc)


async def start(*command, factory=Recorder, **options):
    return await asyncio.get_running_loop().subprocess_exec(factory, *command, **options)


def python(source, *arguments):
    """The command that runs some lines of Python, without site packages: it starts faster."""
    return PYTHON, "-I", "-S", "-c", source, *arguments


def test_exec(run):
    async def main():
        transport, protocol = await start(
            *python("import sys; sys.stdout.write('out'); sys.stderr.write('err'); sys.exit(3)")
        )
        assert isinstance(transport, asyncio.SubprocessTransport)
        await protocol.lost
        assert protocol.data == {1: b"out", 2: b"err"}
        assert transport.get_returncode() == 3
        assert protocol.calls[0] == "connection_made"
        assert protocol.calls[-1] == "connection_lost"
        assert set(protocol.calls[1:-1]) == {
            ("pipe_connection_lost", 0),
            ("pipe_connection_lost", 1),
            ("pipe_connection_lost", 2),
            "process_exited",
        }
        transport.close()

    run(main())


def test_shell(run):
    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_shell(Recorder, "echo $((6 * 7)); exit 5")
        await protocol.lost
        assert protocol.data[1] == b"42\n"
        assert transport.get_returncode() == 5
        transport.close()
        transport, protocol = await loop.subprocess_shell(Recorder, b"echo bytes")
        await protocol.lost
        assert protocol.data[1] == b"bytes\n"
        transport.close()

    run(main())


def test_the_transport(run):
    async def main():
        transport, protocol = await start("cat")
        assert transport.get_pid() > 0
        assert transport.get_returncode() is None
        popen = transport.get_extra_info("subprocess")
        assert isinstance(popen, subprocess.Popen)
        assert popen.pid == transport.get_pid()
        assert transport.get_protocol() is protocol
        assert not transport.is_closing()
        stdin, stdout = transport.get_pipe_transport(0), transport.get_pipe_transport(1)
        assert isinstance(stdin, asyncio.WriteTransport)
        assert isinstance(stdout, asyncio.ReadTransport)
        assert transport.get_pipe_transport(7) is None
        assert f"pid={transport.get_pid()}" in repr(transport)
        stdin.write(b"through the cat")
        stdin.write_eof()
        await protocol.lost
        assert protocol.data[1] == b"through the cat"
        assert transport.get_returncode() == 0
        assert "returncode=0" in repr(transport)
        transport.close()
        assert transport.is_closing()

    run(main())


def test_pipes_are_drained_before_the_end_is_told(run):
    """However the exit and the last output race, connection_lost comes after all of it."""

    async def main():
        for _ in range(5):
            transport, protocol = await start(*python("import sys; sys.stdout.write('x' * 200000)"))
            await protocol.lost
            assert len(protocol.data[1]) == 200_000
            transport.close()

    run(main())


def test_a_grandchild_keeps_the_pipe(run):
    """process_exited comes at the exit; connection_lost when the pipes are closed too."""

    async def main():
        loop = asyncio.get_running_loop()
        near, far = os.pipe()
        transport, protocol = await loop.subprocess_shell(
            Recorder, "exec 3<&0; (read x <&3; echo late) & exit 0", stdin=near
        )
        os.close(near)
        await protocol.exited
        assert transport.get_returncode() == 0
        assert not protocol.lost.done()
        os.write(far, b"go\n")
        os.close(far)
        await protocol.lost
        assert protocol.data[1] == b"late\n"
        transport.close()

    run(main())


def test_kill_terminate_and_send_signal(run):
    async def main():
        for act, number in (
            (lambda t: t.kill(), signal.SIGKILL),
            (lambda t: t.terminate(), signal.SIGTERM),
            (lambda t: t.send_signal(signal.SIGHUP), signal.SIGHUP),
        ):
            transport, protocol = await start("cat")
            act(transport)
            await protocol.lost
            assert transport.get_returncode() == -number
            transport.close()

    run(main())


def test_signals_after_the_end(run):
    async def main():
        transport, protocol = await start("true")
        await protocol.lost
        for act in (transport.kill, transport.terminate):
            with pytest.raises(ProcessLookupError):
                act()
        with pytest.raises(ProcessLookupError):
            transport.send_signal(signal.SIGTERM)
        transport.close()
        transport.close()

    run(main())


def test_close_kills(run):
    async def main():
        transport, protocol = await start("cat")
        pid = transport.get_pid()
        transport.close()
        await protocol.exited
        assert transport.get_returncode() == -signal.SIGKILL
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    run(main())


def test_a_program_that_is_missing(run):
    async def main():
        with pytest.raises(FileNotFoundError) as caught:
            await start("/no/such/program")
        assert caught.value.filename == "/no/such/program"
        with pytest.raises(PermissionError):
            await start("/etc/passwd")

    run(main())


def test_argument_checks(run):
    async def main():
        loop = asyncio.get_running_loop()
        for options in (
            {"universal_newlines": True},
            {"shell": True},
            {"bufsize": 100},
            {"text": True},
            {"encoding": "utf-8"},
            {"errors": "strict"},
        ):
            with pytest.raises(ValueError):
                await start("true", **options)
        for options in ({"universal_newlines": True}, {"shell": False}, {"bufsize": 1}):
            with pytest.raises(ValueError):
                await loop.subprocess_shell(Recorder, "true", **options)
        with pytest.raises(ValueError, match="cmd must be a string"):
            await loop.subprocess_shell(Recorder, 5)
        with pytest.raises(TypeError):
            await start("true", nonsense=1)

    run(main())


# -- Popen's keywords ---------------------------------------------------------------------------


async def output(*command, **options):
    """Run a command and return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, **options
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, (command, process.returncode)
    return out


def test_cwd_and_env(run, tmp_path):
    async def main():
        assert await output("pwd", cwd=tmp_path) == os.fsencode(tmp_path) + b"\n"
        assert await output("env", env={"ONLY": "this"}) == b"ONLY=this\n"
        with pytest.raises(FileNotFoundError):
            await output("pwd", cwd="/no/such/folder")

    run(main())


def test_path_like_arguments(run, tmp_path):
    async def main():
        program = tmp_path / "program"
        program.write_text("#!/bin/sh\necho ran with $1\n")
        program.chmod(0o755)
        assert await output(program, pathlib.Path("argument")) == b"ran with argument\n"
        assert await output(os.fsencode(program), b"bytes") == b"ran with bytes\n"

    run(main())


def test_executable(run):
    async def main():
        out = await output("other name", "-c", "echo $0", executable="/bin/sh")
        assert out == b"other name\n"

    run(main())


def test_redirections(run, tmp_path):
    async def main():
        with open(tmp_path / "out", "wb") as file:
            process = await asyncio.create_subprocess_shell(
                "echo out; echo err >&2", stdout=file, stderr=asyncio.subprocess.STDOUT
            )
            assert await process.wait() == 0
        assert (tmp_path / "out").read_bytes() == b"out\nerr\n"
        process = await asyncio.create_subprocess_shell(
            "echo out; cat",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdin is process.stdout is process.stderr is None
        assert await process.wait() == 0
        process = await asyncio.create_subprocess_shell(
            "echo out; echo err >&2",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert (await process.communicate())[0] == b"out\nerr\n"

    run(main())


def test_descriptors(run):
    async def main():
        near, far = os.pipe()
        source = "import os, sys; print(os.path.exists('/proc/self/fd/' + sys.argv[1]))"
        listing = python(source, str(far))
        assert await output(*listing) == b"False\n"
        assert await output(*listing, pass_fds=(far,)) == b"True\n"
        os.set_inheritable(far, True)
        assert await output(*listing) == b"False\n"
        assert await output(*listing, close_fds=False) == b"True\n"
        os.close(near)
        os.close(far)

    run(main())


def test_sessions_groups_and_masks(run):
    async def main():
        leads_session = python("import os; print(os.getsid(0) == os.getpid())")
        assert await output(*leads_session, start_new_session=True) == b"True\n"
        leads_group = python("import os; print(os.getpgid(0) == os.getpid())")
        out = await output(*leads_group, process_group=0)
        assert out == b"True\n"
        assert await output("sh", "-c", "umask", umask=0o027) == b"0027\n"
        assert await output("sh", "-c", "exec cat /proc/self/stat", restore_signals=True)

    run(main())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_users(run):
    async def main():
        out = await output("id", "-u", user=65534, group=65534, extra_groups=[])
        assert out == b"65534\n"

    run(main())


@pytest.mark.filterwarnings("ignore:.*preexec_fn.*")
def test_preexec_fn(run):
    async def main():
        def change():
            os.environ["FROM"] = "preexec"
            os.nice(3)

        out = await output(*python("import os; print(os.nice(0))"), preexec_fn=change)
        # 19 is the end of the scale.
        assert int(out) == min(os.nice(0) + 3, 19)

        def fail():
            raise ZeroDivisionError

        with pytest.raises(subprocess.SubprocessError):
            await output("true", preexec_fn=fail)

    run(main())


# -- asyncio.subprocess -------------------------------------------------------------------------


def test_communicate(run):
    async def main():
        process = await asyncio.create_subprocess_exec(
            "cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        data = os.urandom(1_000_000)
        out, err = await process.communicate(data)
        assert out == data and err is None
        assert process.returncode == 0

    run(main())


def test_streams(run):
    async def main():
        process = await asyncio.create_subprocess_exec(
            "cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        for number in range(50):
            process.stdin.write(b"line %d\n" % number)
            await process.stdin.drain()
            assert await process.stdout.readline() == b"line %d\n" % number
        process.stdin.close()
        await process.stdin.wait_closed()
        assert await process.stdout.read() == b""
        assert await process.wait() == 0
        assert await process.wait() == 0

    run(main())


def test_the_stdin_of_a_dead_child(run):
    async def main():
        process = await asyncio.create_subprocess_exec(
            "true", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        await process.wait()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(10):
                process.stdin.write(b"x" * 100_000)
                await process.stdin.drain()
        process.stdin.close()
        # communicate() takes it in silence.
        process = await asyncio.create_subprocess_exec(
            "true", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert (await process.communicate(b"x" * 1_000_000))[0] == b""

    run(main())


def test_cancel_a_wait(run):
    async def main():
        process = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE)
        task = asyncio.create_task(process.wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        process.kill()
        assert await process.wait() == -signal.SIGKILL
        process.stdin.close()

    run(main())


def children():
    """The processes that this one has started and that are still there, dead or alive."""
    found = set()
    for thread in os.listdir("/proc/self/task"):
        # A thread that ends leaves its children to another one.
        with (
            contextlib.suppress(FileNotFoundError, ProcessLookupError),
            open(f"/proc/self/task/{thread}/children") as file,
        ):
            found.update(file.read().split())
    return found


@pytest.mark.parametrize("turns", range(6))
def test_cancel_the_start(run, turns):
    """At whatever stage: no process and no descriptor stays behind."""

    async def main():
        await cancel_after(turns, lambda make: start("cat", factory=make), Recorder, "exited")
        # The end of a child that never came so far as to have a protocol is told to nobody.
        # Those of other tests, that were there before, may end meanwhile.
        while children() - before:
            await asyncio.sleep(0.01)

    before = children()
    run(main())


def test_many_at_once(run):
    async def main():
        async def one(number):
            return await output("echo", str(number))

        results = await asyncio.gather(*map(one, range(20)))
        assert results == [b"%d\n" % number for number in range(20)]

    run(main())


def test_two_loops_in_two_threads(loop_factory):
    """Both start children at the same time, neither from the main thread."""
    results = {}
    barrier = threading.Barrier(2)

    async def main(name):
        seen = []
        for number in range(10):
            barrier.wait()
            process = await asyncio.create_subprocess_exec(
                "sh", "-c", f"exit {number}", stdin=asyncio.subprocess.DEVNULL
            )
            seen.append(await process.wait())
        results[name] = seen

    def work(name):
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main(name))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {0: list(range(10)), 1: list(range(10))}


def test_children_of_others_are_left_alone(run):
    """A child started with the blocking module is not reaped by the loop."""

    async def main():
        with subprocess.Popen(["sh", "-c", "exit 7"]) as other:
            assert await output("echo", "x") == b"x\n"
            await asyncio.sleep(0.01)
            assert other.wait() == 7

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a thread waits for the child before 3.12")
def test_a_child_that_somebody_else_reaped(run, caplog):
    async def main():
        transport, protocol = await start("cat")
        pid = transport.get_pid()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        await protocol.exited
        assert transport.get_returncode() in (255, -signal.SIGKILL)
        await protocol.lost
        transport.close()

    run(main())


def test_the_loop_is_free_while_a_child_runs(run):
    async def main():
        process = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE)
        waiting = asyncio.create_task(process.wait())
        for _ in range(20):
            await asyncio.sleep(0.001)
            assert not waiting.done()
        process.stdin.close()
        assert await waiting == 0

    run(main())


def test_a_terminal(run):
    """A child on a terminal of its own."""
    import pty

    async def main():
        master, slave = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *python("import os; print(os.isatty(0), os.isatty(1))"),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        assert await process.wait() == 0
        assert os.read(master, 100).strip() == b"True True"
        os.close(master)

    run(main())
