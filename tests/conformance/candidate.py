"""What is measured: a loop factory and, if wanted, a Task and a Future class, by name.

Both sides use it: the command line makes one from its options, the worker resolves its names. Names
travel as `module:attribute`, so that nothing of the candidate is imported where nothing runs on it.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An implementation of asyncio's loop, Task and Future.

    Attributes:
        label: How reports call it.
        factory: `module:attribute` of a callable that makes a loop from no arguments.
        task: `module:attribute` of a Task class, or None where only the loop is measured.
        future: The same for a Future class.
    """

    label: str
    factory: str
    task: str | None = None
    future: str | None = None

    def on_stock_loop(self) -> Candidate:
        """The same Task and Future classes, but on asyncio's own loop."""
        return dataclasses.replace(self, factory=STOCK.factory)

    def has_classes(self) -> bool:
        """Whether there are Task and Future classes to measure."""
        return self.task is not None and self.future is not None


STOCK = Candidate("stock", "asyncio:SelectorEventLoop", "asyncio:Task", "asyncio:Future")


def from_options(loop: str, task: str | None, future: str | None) -> Candidate:
    """Makes a candidate from the values of --loop, --task-class and --future-class.

    Raises:
        ValueError: One class was given without the other.
    """
    if (task is None) != (future is None):
        raise ValueError("--task-class and --future-class go together")
    if loop == "stock":
        base = STOCK
    else:
        base = Candidate(loop, loop if ":" in loop else f"{loop}:new_event_loop")
    if loop == "vivace" and task is None:
        task, future = "vivace:Task", "vivace:Future"
    return dataclasses.replace(base, task=task or base.task, future=future or base.future)


def resolve(name: str) -> Any:
    """Imports the object that `module:attribute` names."""
    module, _, attribute = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found
