"""Which worker accepts from which queue of connections. Only decisions: no sockets, no processes.

Each worker has a queue of its own, made for it with SO_REUSEPORT. A queue must never be without
somebody who accepts from it, or those in it wait; and it must never be closed while the server
runs, or those in it are reset. So while a worker is down a neighbour takes over its queue, and
the queue of a worker that was one too many stays with the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Change", "Queues"]


@dataclass(frozen=True)
class Change:
    """One worker is to begin or to stop accepting from a queue."""

    action: Literal["accept", "release"]
    queue: int
    worker: int


class Queues:
    """Queues and workers, both known by number; the queue of a worker may have any number."""

    def __init__(self) -> None:
        # The worker that each queue belongs to, None if that worker has been dismissed.
        self._home: dict[int, int | None] = {}
        # The worker that accepts from it.
        self._taker: dict[int, int] = {}
        self._up: set[int] = set()

    def hire(self, worker: int) -> int | None:
        """A worker is to be added. Returns the queue it gets, None if one must be `add`ed."""
        for queue, home in sorted(self._home.items()):
            if home is None:
                self._home[queue] = worker
                return queue
        return None

    def add(self, queue: int, worker: int) -> None:
        """There is a new queue, for this worker."""
        self._home[queue] = worker

    def of(self, worker: int) -> list[int]:
        """The queues that a worker accepts from."""
        return sorted(queue for queue, taker in self._taker.items() if taker == worker)

    def up(self, *workers: int) -> list[Change]:
        """Workers have become able to accept."""
        self._up.update(workers)
        return [change for worker in workers for change in self._give(worker)]

    def down(self, worker: int) -> list[Change]:
        """A worker has ended, or is about to and has no successor yet."""
        self._up.discard(worker)
        changes = []
        for queue in self.of(worker):
            del self._taker[queue]
            if self._up:
                taker = min(self._up, key=lambda other: (len(self.of(other)), other))
                self._taker[queue] = taker
                changes.append(Change("accept", queue, taker))
        return changes

    def dismiss(self, worker: int) -> list[Change]:
        """There will be no such worker any more."""
        for queue, home in self._home.items():
            if home == worker:
                self._home[queue] = None
        return self.down(worker)

    def _give(self, worker: int) -> list[Change]:
        """Give a worker its own queue, and those that nobody has."""
        changes = []
        for queue, home in sorted(self._home.items()):
            taker = self._taker.get(queue)
            if home == worker and taker != worker:
                self._taker[queue] = worker
                changes.append(Change("accept", queue, worker))
                if taker is not None:
                    changes.append(Change("release", queue, taker))
            elif taker is None and home not in self._up:
                self._taker[queue] = worker
                changes.append(Change("accept", queue, worker))
        return changes
