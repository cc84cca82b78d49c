"""Writes down the tasks, for `vivace top` and its kin, which read them without our help.

What is written is there when nobody can answer any more: while the loop is blocked, after the
process was killed. So it is done before it is asked for: every second while somebody looks, else
every five seconds, and before the loop goes to sleep. Of many tasks a part is described each time.
"""

from __future__ import annotations

import json
import os
import threading
from time import monotonic, perf_counter
from typing import Any

from vivace import _native

from . import _sites

#: Seconds between two snapshots while nobody looks.
PERIOD = 5.0
#: Who looked so many seconds ago still looks.
LOOKING = 3.0
#: Seconds that describing tasks may take; the others keep what was last known of them.
BUDGET = 0.0008
#: More tasks than this are only counted.
MOST = 1000

# Of each task: how many steps it had taken when it was described, and its row. A task that has
# taken no step since waits for what it waited for.
_rows: dict[int, tuple[int, str]] = {}
_taken = 0.0
_callbacks: dict[int, int] = {}
_changed = True
_one = threading.Lock()


def _begin_in_child() -> None:
    """After a fork, whoever was at it is not there."""
    global _one
    _one = threading.Lock()


os.register_at_fork(after_in_child=_begin_in_child)


def watch(loop: Any) -> None:
    """Take a snapshot if it is time for one."""
    global _changed, _taken
    callbacks = loop._see_counters.get("callbacks", 0)
    idle = _callbacks.get(loop._see_number) == callbacks
    _callbacks[loop._see_number] = callbacks
    _changed = _changed or not idle
    now = monotonic()
    looking = 0 <= _native.see_watched() < LOOKING
    if _changed and (looking or idle or now - _taken >= PERIOD or not _taken):
        whole = take()
        _changed = not idle or not whole
        _taken = now if whole else 0.0


def take() -> bool:
    """Take a snapshot of the tasks of all loops; whether all are described as they are now."""
    if not _one.acquire(blocking=False):
        return False  # another loop's thread is at it
    try:
        rows, left_out, whole = _describe_all()
        _native.see_snapshot(rows, left_out)
        return whole
    finally:
        _one.release()


def _describe_all() -> tuple[list[str], int, bool]:
    """The rows, how many tasks are left out, and whether there was time for all."""
    global _rows
    tasks, count = _native.see_tasks(MOST)
    rows: dict[int, tuple[int, str]] = {}
    end = perf_counter() + BUDGET
    late = False
    for task in tasks:
        number, steps, age, busy, delay, _ready, parent = task._see_numbers
        known = _rows.get(number)
        if known is None or known[0] != steps or steps == 0:
            if not late:
                known = (steps, _row(task, number, steps, age, busy, delay, parent))
                late = perf_counter() > end
            elif known is None:
                continue
        rows[number] = known
    _rows = rows
    return [row for _, row in rows.values()], count - len(rows), not late


def _row(task: Any, number: int, steps: int, age: int, busy: int, delay: int, parent: int) -> str:
    from . import _owners, _waits

    wait = _waits.describe(task)
    try:
        held = [id(holding.thing) for holding in _owners.holdings(wait.frames)]
    except Exception:  # a task that changes in another thread
        held = []
    state = wait.kind if wait.awake else "waiting"
    return json.dumps(
        {
            "id": number,
            "name": _waits.task_name(task)[:200],
            "coro": _sites.coro_name(task)[:200],
            "state": "new" if state == "ready" and not steps else state,
            "created": monotonic() - age / 1e9,
            "busy": busy / 1e9,
            "steps": steps,
            "delay": delay / 1e9,
            "file": wait.file[-300:],
            "line": wait.line,
            "function": wait.function[:200],
            "kind": "" if wait.awake else wait.kind,
            "waits": "" if wait.awake else wait.text[:300],
            "awaits": [
                other._see_numbers[0] for other in wait.on if isinstance(other, _native.Task)
            ][:50],
            "wants": id(wait.object) if wait.kind.endswith("Lock") else 0,
            "holds": held[:50],
            "parent": parent,
            "request": task._see_request,
            "loop": getattr(task.get_loop(), "_see_number", 0),
        }
    )
