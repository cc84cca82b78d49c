"""A worker: a server in a process that a parent has started and looks after.

    python -m vivace.serve._worker CHANNEL ORDERS NAME

CHANNEL is a descriptor of `_channel.py`, ORDERS one of a file with the pickled `Orders`; NAME is
there to be seen in the list of processes. The worker makes its application ready, says so, and
listens on the sockets that it is given then. If the parent ends, so does it.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from .._native import Metrics
from ._channel import Channel, Message
from ._config import Config
from ._errors import STARTUP_FAILURE
from ._logging import error_logger
from ._server import Server
from ._signals import captured_signals

__all__ = ["HELD_SIGNALS", "Orders", "WorkerServer", "main"]

# Held back from before the process starts until it can handle them.
HELD_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Orders:
    """What a worker has to know."""

    config: Config
    path: list[str]
    arguments: list[str]
    # Where the parent collects the numbers of its workers.
    report_to: str | None = None


class WorkerServer(Server):
    """A server that gets its sockets from its parent, and is replaced rather than ended."""

    def __init__(self, config: Config, channel: Channel, report_to: str | None) -> None:
        super().__init__(config)
        self._report_to = report_to
        self._channel = channel
        self._queues: dict[int, list[asyncio.Server]] = {}
        self._is_last = False
        self._work: asyncio.Queue[Message] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None

    def capture_signals(self) -> AbstractContextManager[None]:
        # HUP also without a certificate to read again: it must not end a worker.
        return captured_signals(self.handle_exit, self.handle_hangup)

    def _bind(self, sockets: Sequence[socket.socket] | None) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel.fileno(), self._receive)
        self._worker = loop.create_task(self._do_work())

    def _start_metrics(self) -> Metrics | None:
        if self._report_to is None:
            return None
        metrics = Metrics()
        metrics.report_to(self._report_to)
        return metrics

    async def _open(self) -> None:
        self._channel.send(Message("ready"))

    async def _close(self) -> None:
        # A "last" that was sent before the signal that ends us must be seen before we close.
        self._receive()
        asyncio.get_running_loop().remove_reader(self._channel.fileno())
        assert self._worker is not None
        self._worker.cancel()
        if self._is_last:
            await self._accept_those_waiting()
        for server, _ in self._listeners:
            server.close()

    def _retire(self, reason: str) -> None:
        error_logger.info("%s. Process [%d] will be replaced.", reason, os.getpid())
        self._channel.send(Message("retiring", text=reason))

    def _receive(self) -> None:
        for message in self._channel.received():
            if message is None:
                asyncio.get_running_loop().remove_reader(self._channel.fileno())
                if not self.should_exit:
                    error_logger.warning("The parent process has ended.")
                    self.should_exit = True
                return
            match message.word:
                case "ping":
                    self._channel.send(Message("alive"))
                case "last":
                    self._is_last = True
                case _:
                    self._work.put_nowait(message)

    async def _do_work(self) -> None:
        while True:
            message = await self._work.get()
            if message.word == "accept":
                self._queues[message.queue] = [
                    await self._listen(socket.socket(fileno=fd), shared=message.shared)
                    for fd in message.fds
                ]
            elif message.word == "release":
                servers = self._queues.pop(message.queue, [])
                self._listeners = [item for item in self._listeners if item[0] not in servers]
                for server in servers:
                    self.servers.remove(server)
                    server.close()


def main() -> None:
    """Run the worker that the arguments name."""
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    with open(int(sys.argv[2]), "rb") as file:
        contents = file.read()
    # The path first: what the orders contain may have to be imported from there.
    path, rest = pickle.loads(contents)
    sys.path[:] = path
    try:
        orders: Orders = pickle.loads(rest)
    except Exception as error:
        print(f"vivace: a worker cannot read its configuration: {error}", file=sys.stderr)
        sys.exit(STARTUP_FAILURE)
    sys.argv[:] = orders.arguments
    config = orders.config
    config.configure_logging()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
        WorkerServer(config, channel, orders.report_to).run()
    except KeyboardInterrupt:
        # The parent gets it too, and expects us to end.
        pass


if __name__ == "__main__":
    main()
