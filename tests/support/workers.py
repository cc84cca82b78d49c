"""Workers of a server that runs: which there are, which answer, and a load for them to bear."""

from __future__ import annotations

import contextlib
import threading
import time

from support.http_wire import Truncated, within
from support.serving import Server


def pid_of(server: Server) -> int:
    return int(server.get("/pid").body)


def workers_of(server: Server) -> set[int]:
    """The processes that answer, asked until no new one shows up."""
    found, misses = set(), 0
    while misses < 30:
        pid = pid_of(server)
        misses = 0 if pid not in found else misses + 1
        found.add(pid)
    return found


def children_of(pid: int) -> set[int]:
    """The children that serve: multiprocessing may have a helper beside them."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = {int(child) for child in file.read().split()}
    found = set()
    for child in children:
        with contextlib.suppress(OSError), open(f"/proc/{child}/cmdline") as file:
            if "resource_tracker" not in file.read():
                found.add(child)
    return found


class Load:
    """Clients that ask without a pause, each on new connections, and count how it went."""

    def __init__(self, server: Server, clients: int = 4) -> None:
        self.server = server
        self.answered = 0
        self.failures: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def more(self, count: int) -> None:
        """Wait until so many more were answered."""
        goal = self.answered + count
        within(lambda: self.answered >= goal, f"{count} answers")

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                assert self.server.get("/hello").body == b"hello"
                self.answered += 1
            except (OSError, Truncated, AssertionError) as exc:
                self.failures.append(exc)
                time.sleep(0.01)
