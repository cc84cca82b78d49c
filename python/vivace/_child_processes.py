"""Starting child processes, and noticing their end by a pidfd.

Used by `EventLoop.subprocess_exec` and `subprocess_shell`. Starting is the standard library's
`subprocess.Popen` with every keyword it takes; the end of a child is an event of the loop that
started it, so that any number of loops in any number of threads do not get into each other's
way. Where the kernel has no pidfd (Linux before 5.3, some sandboxes) a thread waits instead.
"""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from asyncio import events, unix_events
from asyncio.log import logger
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ._loop import EventLoop

# What stands for the status of a child that somebody else has waited for.
_UNKNOWN_STATUS = 255


def user_watches() -> bool:
    """Whether the program has set a child watcher of its own (CPython up to 3.13).

    Watchers are deprecated and gone in 3.14; one that was set on purpose is honoured, by the
    standard library's own code.
    """
    policy = cast("Any", events)._event_loop_policy
    return getattr(policy, "_watcher", None) is not None


async def start(
    loop: EventLoop,
    protocol: asyncio.SubprocessProtocol,
    args: Any,
    shell: bool,
    stdin: Any,
    stdout: Any,
    stderr: Any,
    bufsize: int,
    extra: Any = None,
    **kwargs: Any,
) -> asyncio.SubprocessTransport:
    """Starts a child and waits until its pipes are connected.

    Raises:
        OSError: the program could not be started.
    """
    waiter = loop.create_future()
    transport = unix_events._UnixSubprocessTransport(  # type: ignore[attr-defined]
        loop,
        protocol,
        args,
        shell,
        stdin,
        stdout,
        stderr,
        bufsize,
        waiter=waiter,
        extra=extra,
        **kwargs,
    )
    _watch(loop, transport.get_pid(), transport)
    try:
        await waiter
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException:
        transport.close()
        await transport._wait()
        raise
    return transport  # type: ignore[no-any-return]


def _watch(loop: EventLoop, pid: int, transport: Any) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        thread = threading.Thread(
            target=_wait_in_thread,
            args=(loop, pid, transport),
            name=f"vivace-waitpid-{pid}",
            daemon=True,
        )
        thread.start()
    else:
        loop._add_reader(pidfd, _ended, loop, pid, pidfd, transport)


def _ended(loop: EventLoop, pid: int, pidfd: int, transport: Any) -> None:
    loop._remove_reader(pidfd)
    os.close(pidfd)
    transport._process_exited(_status(pid))


def _status(pid: int) -> int:
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        logger.warning(
            "child process pid %d exit status already read:  will report returncode 255", pid
        )
        return _UNKNOWN_STATUS
    return os.waitstatus_to_exitcode(status)


def _wait_in_thread(loop: EventLoop, pid: int, transport: Any) -> None:
    returncode = _status(pid)
    try:
        loop.call_soon_threadsafe(transport._process_exited, returncode)
    except RuntimeError:
        warnings.warn(f"the loop of child process {pid} was closed", ResourceWarning, stacklevel=1)
