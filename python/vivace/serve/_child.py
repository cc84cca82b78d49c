"""A worker as its parent sees it: the process, the line to it, and how far it is.

starting ──ready──► serving ──retiring──► (still serving, to be replaced)
    └───────────────────┴──────────────────► ended, with a status
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from ._channel import Channel, Message
from ._config import Config
from ._logging import error_logger
from ._worker import HELD_SIGNALS, Orders

__all__ = ["Child", "first_of", "written_orders"]


def written_orders(config: Config, report_to: str | None = None) -> bytes:
    """What each worker is told, ready to be handed over.

    Raises:
        ValueError: The configuration holds something that cannot leave this process.
    """
    orders = Orders(config, sys.path, sys.argv, report_to)
    try:
        return pickle.dumps((sys.path, pickle.dumps(orders)))
    except Exception as error:
        raise ValueError(
            f"the configuration cannot be handed to another process: {error}"
        ) from error


class Child:
    """One worker. Belongs to the loop that runs when it is made.

    Args:
        orders: What `written_orders` has written.
        name: What the list of processes shows.
    """

    def __init__(self, orders: bytes, name: str) -> None:
        self.ready = asyncio.Event()
        self.retiring = asyncio.Event()
        self.ended = asyncio.Event()
        self.started_at = time.monotonic()
        self._pinged = False
        self._loop = asyncio.get_running_loop()
        self._channel, theirs = Channel.pair()
        self._process = _start(orders, theirs, name)
        theirs.close()
        self._loop.add_reader(self._channel.fileno(), self._receive)
        # Waited for in a thread: works on every kernel, and the process is reaped at once.
        threading.Thread(target=self._wait, name=f"wait-{self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.returncode

    @property
    def serving(self) -> bool:
        """Whether it is ready, and there."""
        return self.ready.is_set() and not self.ended.is_set()

    async def is_ready(self) -> bool:
        """Wait until it is ready; False if it ends before."""
        await first_of(self.ready, self.ended)
        return self.serving

    def accept(self, queue: int, fds: Sequence[int], *, shared: bool) -> None:
        """Have it accept from these sockets."""
        self._channel.send(Message("accept", queue, shared=shared, fds=fds))

    def release(self, queue: int) -> None:
        """Have it not accept from them any more."""
        self._channel.send(Message("release", queue))

    def ping(self) -> None:
        """Have it give a sign of life."""
        self._pinged = True
        self._channel.send(Message("ping"))

    @property
    def answers(self) -> bool:
        """Whether it has answered the last ping."""
        # An answer may be there that the loop has not come round to.
        if self._pinged and not self.ended.is_set():
            self._receive()
        return not self._pinged

    def terminate(self, *, last: bool = False) -> None:
        """Have it end in good order.

        Args:
            last: Nobody takes its sockets over.
        """
        if not self.ended.is_set():
            if last:
                self._channel.send(Message("last"))
            error_logger.info("Terminated child process [%d]", self.pid)
            self.send_signal(signal.SIGTERM)

    def send_signal(self, number: int) -> None:
        """Send a signal, if it is still there."""
        if not self.ended.is_set():
            self._process.send_signal(number)

    async def join(self, seconds: float | None = None) -> None:
        """Wait for its end, and bring that about if it takes too long."""
        if not self.ended.is_set():
            error_logger.info("Waiting for child process [%d]", self.pid)
        try:
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        except TimeoutError:
            error_logger.error(
                "Child process [%d] has not ended in %g seconds. Killing it.", self.pid, seconds
            )
            self.send_signal(signal.SIGKILL)
            await self.ended.wait()

    def _receive(self) -> None:
        for message in self._channel.received():
            if message is None:
                self._loop.remove_reader(self._channel.fileno())
                return
            match message.word:
                case "alive":
                    self._pinged = False
                case "ready":
                    self.ready.set()
                case "retiring":
                    self.retiring.set()

    def _wait(self) -> None:
        self._process.wait()
        try:
            self._loop.call_soon_threadsafe(self._has_ended)
        except RuntimeError:
            # The loop has been closed: nobody wants to know.
            pass

    def _has_ended(self) -> None:
        # What it said at last; its "ready" may be older than its end.
        if self._channel.fileno() >= 0:
            self._receive()
            self._loop.remove_reader(self._channel.fileno())
            self._channel.close()
        self.ended.set()


def _start(orders: bytes, channel: Channel, name: str) -> subprocess.Popen[bytes]:
    fd = os.memfd_create("vivace-orders")
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(orders)
        os.lseek(fd, 0, os.SEEK_SET)
        # Signals that come before the worker can handle them must not end it halfway.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
        try:
            return subprocess.Popen(
                [
                    sys.executable,
                    *subprocess._args_from_interpreter_flags(),  # type: ignore[attr-defined]
                    "-m",
                    "vivace.serve._worker",
                    str(channel.fileno()),
                    str(fd),
                    name,
                ],
                pass_fds=(channel.fileno(), fd),
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    finally:
        os.close(fd)


async def first_of(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
