"""Who holds which file, and who ever did: the SQLite database.

Two tables: `checkout` has one row for each file that is held now, `audit` one
for each checkout and checkin that ever was. Both change in one transaction, so
a process that is killed leaves both or neither, and SQLite does not say "done"
before the disk has it.

The primary key of `checkout` decides between two users who come at once; it
holds between threads and between processes. Every method blocks.
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast

_SCHEMA = """
CREATE TABLE IF NOT EXISTS checkout (
    filename TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    message TEXT NOT NULL,
    since TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('checkout', 'checkin')),
    filename TEXT NOT NULL,
    user TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_never_shortened BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
"""

Action = Literal["checkout", "checkin"]


class Conflict(Exception):
    """The file is not in the state that the request needs; the text says why."""


@dataclass(frozen=True)
class Held:
    """A file that is checked out."""

    filename: str
    user: str
    message: str
    since: datetime


@dataclass(frozen=True)
class Record:
    """One line of the audit trail."""

    id: int
    at: datetime
    action: Action
    filename: str
    user: str
    message: str


class Ledger:
    """The database, through one connection that threads take turns with."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        # A process that finds another one writing waits for up to ten seconds.
        self._database = sqlite3.connect(
            path, timeout=10, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode = WAL")
        # A commit is on the disk when it is answered; WAL alone promises less.
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._database.close()

    def check_out(self, filename: str, user: str, message: str) -> Held:
        """Gives the file to the user.

        Raises:
            Conflict: Somebody holds it already, perhaps the same user.
        """
        now = datetime.now(UTC)
        with self._lock, _Transaction(self._database):
            holder = self._holder(filename)
            if holder is not None:
                raise Conflict(f"{filename} is checked out by {holder}")
            self._database.execute(
                "INSERT INTO checkout VALUES (?, ?, ?, ?)",
                (filename, user, message, now.isoformat()),
            )
            self._record(now, "checkout", filename, user, message)
        return Held(filename, user, message, now)

    def check_in(self, filename: str, user: str, message: str) -> Record:
        """Takes the file back from the user who holds it.

        Raises:
            Conflict: Nobody holds it, or somebody else does.
        """
        now = datetime.now(UTC)
        with self._lock, _Transaction(self._database):
            holder = self._holder(filename)
            if holder is None:
                raise Conflict(f"{filename} is not checked out")
            if holder != user:
                raise Conflict(f"{filename} is checked out by {holder}, not by {user}")
            self._database.execute("DELETE FROM checkout WHERE filename = ?", (filename,))
            return self._record(now, "checkin", filename, user, message)

    def held(self) -> dict[str, Held]:
        """Returns every file that is checked out now, by name."""
        with self._lock:
            rows = self._database.execute(
                "SELECT filename, user, message, since FROM checkout"
            ).fetchall()
        return {
            filename: Held(filename, user, message, datetime.fromisoformat(since))
            for filename, user, message, since in rows
        }

    def audit(self, filename: str | None = None, limit: int = 100) -> list[Record]:
        """Returns the newest lines of the audit trail, the newest first."""
        with self._lock:
            rows = self._database.execute(
                "SELECT id, at, action, filename, user, message FROM audit"
                " WHERE ?1 IS NULL OR filename = ?1 ORDER BY id DESC LIMIT ?2",
                (filename, limit),
            ).fetchall()
        return [
            Record(number, datetime.fromisoformat(at), action, name, user, message)
            for number, at, action, name, user, message in rows
        ]

    def _holder(self, filename: str) -> str | None:
        row = self._database.execute(
            "SELECT user FROM checkout WHERE filename = ?", (filename,)
        ).fetchone()
        return None if row is None else cast(str, row[0])

    def _record(
        self, at: datetime, action: Action, filename: str, user: str, message: str
    ) -> Record:
        cursor = self._database.execute(
            "INSERT INTO audit (at, action, filename, user, message) VALUES (?, ?, ?, ?, ?)",
            (at.isoformat(), action, filename, user, message),
        )
        assert cursor.lastrowid is not None
        return Record(cursor.lastrowid, at, action, filename, user, message)


class _Transaction:
    """A write transaction, open from the start.

    `BEGIN IMMEDIATE` takes the write lock before the first read: two processes
    that both read "free" and then both write would otherwise be possible.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._database.execute("COMMIT" if kind is None else "ROLLBACK")
