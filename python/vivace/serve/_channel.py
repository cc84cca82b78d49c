"""The line between a parent and a worker: short messages, sockets attached to them.

    worker ─► parent   ready            the application has started; give me sockets
                       retiring why     replace me, I have served long enough
                       alive            the answer to a ping
    parent ─► worker   accept queue     here are the sockets of a queue: accept from them
                       release queue    do not accept from these any more
                       ping             say that your loop runs
                       last             nobody takes over: serve who waits when you close

A SOCK_SEQPACKET pair keeps the borders of messages, and tells either side when the other one has
ended. Nothing here blocks.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

__all__ = ["Channel", "Message", "Word"]

Word = Literal["ready", "retiring", "alive", "accept", "release", "ping", "last"]

_LARGEST_MESSAGE = 64 * 1024
_MOST_SOCKETS = 250


@dataclass(frozen=True)
class Message:
    """One message; `queue` and `text` belong to some words only."""

    word: Word
    queue: int = -1
    text: str = ""
    shared: bool = False
    fds: Sequence[int] = field(default=(), compare=False)


class Channel:
    """One end of the line."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Both ends."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(one), cls(other)

    def fileno(self) -> int:
        """The descriptor of this end."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def send(self, message: Message) -> None:
        """Send a message, unless this end is closed.

        If the other side has ended, that will be learned by `receive`.
        """
        if self._socket.fileno() < 0:
            return
        fields = asdict(message)
        fds = fields.pop("fds")
        data = json.dumps(fields).encode()
        try:
            if fds:
                socket.send_fds(self._socket, [data], list(fds))
            else:
                self._socket.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def received(self) -> Iterator[Message | None]:
        """The messages that are there; the last one is None if the other side has ended."""
        while True:
            try:
                message = self.receive()
            except BlockingIOError:
                return
            yield message
            if message is None:
                return

    def receive(self) -> Message | None:
        """The next message, or None if the other side has ended.

        The descriptors that come with it belong to the caller.

        Raises:
            BlockingIOError: There is none yet.
        """
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, _LARGEST_MESSAGE, _MOST_SOCKETS)
        except ConnectionResetError:
            return None
        if not data:
            return None
        for fd in fds:
            # recv_fds takes flags and ignores them, MSG_CMSG_CLOEXEC among them.
            os.set_inheritable(fd, False)
        return Message(**json.loads(data), fds=tuple(fds))
