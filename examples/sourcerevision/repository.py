"""The folder of machine files: what is in it, and nothing outside it.

Every method blocks on the disk; the routes call them on a worker thread. A name
comes from the network, so it passes `locate` before anything is opened.
"""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

EXTENSIONS = (".mcam", ".vnc")


class BadName(ValueError):
    """The name cannot be a file of the repository, whatever is on disk."""


class NoSuchFile(LookupError):
    """The repository has no machine file of this name."""


@dataclass(frozen=True)
class Entry:
    """One machine file, as it was when it was looked at."""

    name: str
    path: Path
    size: int
    mtime: datetime

    @property
    def extension(self) -> str:
        """The extension in lower case, with its dot."""
        return Path(self.name).suffix.lower()


class Repository:
    """The machine files of one folder, without its subfolders."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve(strict=True)

    def files(self) -> list[Entry]:
        """Returns all machine files, sorted by name."""
        return sorted(self._entries(), key=lambda entry: entry.name)

    def locate(self, name: str) -> Entry:
        """Returns the machine file of this name.

        A symbolic link counts as the file that it leads to, if that one is in
        the repository too.

        Raises:
            BadName: The name is a path, or has a character no file name has.
            NoSuchFile: No such file, not a machine file, or it leads outside.
        """
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise BadName(name)
        entry = self._entry(name)
        if entry is None:
            raise NoSuchFile(name)
        return entry

    def count_by_extension(self) -> dict[str, int]:
        """Returns the number of files of each known extension, zeros included."""
        found = Counter(entry.extension for entry in self._entries())
        return {extension: found[extension] for extension in EXTENSIONS}

    def _entries(self) -> Iterator[Entry]:
        for path in self._root.iterdir():
            entry = self._entry(path.name)
            if entry is not None:
                yield entry

    def _entry(self, name: str) -> Entry | None:
        if Path(name).suffix.lower() not in EXTENSIONS:
            return None
        try:
            # A name that is not UTF-8 on disk has no spelling in JSON or a URL.
            name.encode()
            path = (self._root / name).resolve(strict=True)
            status = path.stat()
        except (OSError, RuntimeError, UnicodeEncodeError):
            # Gone, unreadable, too long a name, or a circle of links (which is
            # a RuntimeError before Python 3.13).
            return None
        if path.parent != self._root or path.suffix.lower() not in EXTENSIONS:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        mtime = datetime.fromtimestamp(status.st_mtime, UTC)
        return Entry(name, path, status.st_size, mtime)
