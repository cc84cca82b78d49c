"""The database: one holder at a time, and a trail that only grows."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sourcerevision.ledger import Conflict, Ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    ledger = Ledger(path)
    yield ledger
    ledger.close()


def test_out_and_in_again(ledger: Ledger) -> None:
    held = ledger.check_out("a.vnc", "ann", "new tool")
    assert ledger.held() == {"a.vnc": held}
    record = ledger.check_in("a.vnc", "ann", "done")
    assert ledger.held() == {}
    newest, oldest = ledger.audit()
    assert newest == record
    assert (oldest.action, oldest.user, oldest.message) == ("checkout", "ann", "new tool")
    assert oldest.at == held.since


def test_refusals_change_nothing(ledger: Ledger) -> None:
    with pytest.raises(Conflict, match="a.vnc is not checked out"):
        ledger.check_in("a.vnc", "ann", "")
    ledger.check_out("a.vnc", "ann", "")
    with pytest.raises(Conflict, match="a.vnc is checked out by ann"):
        ledger.check_out("a.vnc", "ann", "")
    with pytest.raises(Conflict, match="a.vnc is checked out by ann, not by bob"):
        ledger.check_in("a.vnc", "bob", "")
    assert len(ledger.audit()) == 1
    assert ledger.held()["a.vnc"].user == "ann"


def test_audit_of_one_file_and_the_newest_only(ledger: Ledger) -> None:
    for name in ("a.vnc", "b.vnc", "c.vnc"):
        ledger.check_out(name, "ann", "")
    assert [record.filename for record in ledger.audit("b.vnc")] == ["b.vnc"]
    assert [record.filename for record in ledger.audit(limit=2)] == ["c.vnc", "b.vnc"]


@pytest.mark.parametrize("statement", ["DELETE FROM audit", "UPDATE audit SET user = 'bob'"])
def test_audit_is_append_only(ledger: Ledger, path: Path, statement: str) -> None:
    ledger.check_out("a.vnc", "ann", "")
    database = sqlite3.connect(path)
    try:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(statement)
    finally:
        database.close()
    assert [record.user for record in ledger.audit()] == ["ann"]


def test_of_many_at_once_one_gets_the_file(ledger: Ledger, path: Path) -> None:
    """Half of the threads come through a connection of another process's kind."""
    other = Ledger(path)
    users = [f"user{number}" for number in range(8)]
    for round_number in range(25):
        name = f"{round_number}.vnc"
        together = threading.Barrier(len(users))

        def attempt(user: str, name: str = name, barrier: threading.Barrier = together) -> bool:
            barrier.wait(10)
            try:
                (ledger if user < "user4" else other).check_out(name, user, "")
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(len(users)) as pool:
            won = [user for user, got in zip(users, pool.map(attempt, users), strict=True) if got]
        assert [ledger.held()[name].user] == won
        assert [record.user for record in ledger.audit(name)] == won
    other.close()
