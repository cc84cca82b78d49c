"""Sees files change: with the watchfiles package if it is installed, otherwise by looking.

A watcher blocks, and so belongs in a thread of its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ._reload_paths import ReloadPaths

__all__ = ["StatWatcher", "WatchFilesWatcher", "Watcher", "new_watcher"]

# How often watchfiles looks whether it is to stop, in milliseconds.
_STOP_INTERVAL = 500


class Watcher(Protocol):
    """What tells which files change."""

    name: str

    def changes(self) -> Iterator[set[Path]]:
        """The files that changed since the last time, again and again until stopped."""

    def stop(self) -> None:
        """Let `changes` end. May be called from any thread."""


def new_watcher(paths: ReloadPaths, delay: float) -> Watcher:
    """The better watcher of those that are there.

    Args:
        paths: What to watch.
        delay: Seconds between two looks.
    """
    try:
        return WatchFilesWatcher(paths, delay)
    except ImportError:
        return StatWatcher(paths, delay)


class WatchFilesWatcher:
    """Is told by the kernel.

    Raises:
        ImportError: watchfiles is not installed.
    """

    name = "WatchFiles"

    def __init__(self, paths: ReloadPaths, delay: float) -> None:
        from watchfiles import watch

        self._paths = paths
        self._delay = delay
        self._stopped = threading.Event()
        self._batches = watch(
            *paths.folders,
            watch_filter=None,
            stop_event=self._stopped,
            rust_timeout=_STOP_INTERVAL,
            ignore_permission_denied=True,
        )

    def changes(self) -> Iterator[set[Path]]:
        """The files that changed, in batches."""
        for batch in self._batches:
            changed = {path for _, name in batch if self._paths.matches(path := Path(name))}
            if changed:
                yield changed
            if self._stopped.wait(self._delay):
                return

    def stop(self) -> None:
        """Let `changes` end."""
        self._stopped.set()


class StatWatcher:
    """Looks at the times and sizes of all files, outside of hidden folders."""

    name = "StatReload"

    def __init__(self, paths: ReloadPaths, delay: float) -> None:
        self._paths = paths
        self._delay = delay
        self._stopped = threading.Event()
        self._seen = self._look()

    def changes(self) -> Iterator[set[Path]]:
        """The files that changed, came or went."""
        while not self._stopped.wait(self._delay):
            now, before = self._look(), self._seen
            self._seen = now
            changed = {
                path for path in now.keys() | before.keys() if now.get(path) != before.get(path)
            }
            if changed:
                yield changed

    def stop(self) -> None:
        """Let `changes` end."""
        self._stopped.set()

    def _look(self) -> dict[Path, tuple[int, int]]:
        found: dict[Path, tuple[int, int]] = {}
        for watched in self._paths.folders:
            for folder, folders, names in os.walk(watched):
                folders[:] = [
                    name for name in folders if not name.startswith(".") and name != "__pycache__"
                ]
                for path in (Path(folder, name) for name in names):
                    if not self._paths.matches(path):
                        continue
                    try:
                        status = path.stat()
                    except OSError:
                        continue
                    found[path] = (status.st_mtime_ns, status.st_size)
        return found
