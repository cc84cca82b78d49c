"""Makes `asyncio.all_tasks()` see the tasks of the native engine.

asyncio finds tasks in a WeakSet. Adding every task to it would cost more than making the task,
so the engine links its pending tasks in a list of its own, and the WeakSet is taught to give
them out as well: its class is exchanged for a subclass. The object stays the same one, so that
everybody who holds it, C code included, sees them.
"""

from __future__ import annotations

import asyncio.tasks
import itertools
import weakref
from typing import TYPE_CHECKING, Any

from . import _native

if TYPE_CHECKING:
    from collections.abc import Iterator


class _AllTasks(weakref.WeakSet[Any]):
    """asyncio's set of tasks, and those of the engine."""

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain(super().__iter__(), _native._all_tasks())

    def __len__(self) -> int:
        return super().__len__() + len(_native._all_tasks())

    def __contains__(self, item: object) -> bool:
        return super().__contains__(item) or any(item is task for task in _native._all_tasks())


def install() -> None:
    """Exchanges the class of asyncio's set; a second time does nothing."""
    # Named _all_tasks up to CPython 3.11.
    tasks: Any = getattr(asyncio.tasks, "_scheduled_tasks", None)
    if tasks is None:
        tasks = asyncio.tasks._all_tasks  # type: ignore[attr-defined]
    if type(tasks) is weakref.WeakSet:
        tasks.__class__ = _AllTasks
