"""What a task waits for, as a value; and what those who describe it may ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import _frames
from ._frames import Frame

#: Waits that need no other task: something outside the loop ends them.
OUTSIDE = frozenset({"io", "sleep", "executor", "process"})

#: The task does not wait.
AWAKE = frozenset({"running", "ready", "done"})


@dataclass(slots=True)
class Wait:
    """What a task waits for, and where.

    `kind` is one of: Lock, Semaphore, Event, Condition, Queue.get, Queue.put, Queue.join, Barrier,
    TaskGroup, gather, wait, as_completed, wait_for, shield, task, future, sleep, io, executor,
    process, the same with ``anyio`` in front (``anyio Lock``), and if it does not wait at all:
    running, ready, done.
    """

    kind: str
    #: One line: ``Lock "b"``, ``queue "jobs" 0/100``.
    text: str
    #: The lock, queue, future ... that it waits for.
    object: Any = None
    #: Where the program itself is suspended.
    file: str = ""
    line: int = 0
    function: str = ""
    #: The descriptor that it waits for, if there is one.
    fd: int | None = None
    #: The loop's time at which it goes on in any case: of a sleep, or of the nearest timeout.
    until: float | None = None
    #: The futures and tasks that it waits for, as far as they are known.
    on: tuple[Any, ...] = ()
    #: Any one of `on` is enough.
    any_of: bool = False
    #: It goes away if the task is cancelled, and what it waits for is cancelled with it.
    cancels: bool = True
    #: The frames that were read, the task's own coroutine first.
    frames: list[Frame] = field(default_factory=list, repr=False)

    @property
    def outside(self) -> bool:
        """Whether something outside the loop ends the wait."""
        return self.kind in OUTSIDE or self.fd is not None

    @property
    def awake(self) -> bool:
        """Whether the task does not wait at all."""
        return self.kind in AWAKE


class Context:
    """What a describer may ask for: its frame, the ones around, and what is awaited in the end."""

    __slots__ = ("frames", "future", "index", "look", "named")

    def __init__(
        self, frames: list[Frame], index: int, future: Any, named: bool, look: Look
    ) -> None:
        self.frames = frames
        self.index = index
        self.future = future
        self.named = named
        self.look = look

    def at(self, index: int) -> Context:
        """The same, of another frame."""
        return Context(self.frames, index, self.future, self.named, self.look)

    def inside(self) -> Wait:
        """What is waited for further inwards."""
        return self.look(self, self.index + 1)

    @property
    def frame(self) -> Frame:
        return self.frames[self.index]

    def titled(self, word: str, thing: Any) -> str:
        """``Lock "b"``: a word, and what the program calls the thing."""
        name = self.name(thing)
        return f'{word} "{name}"' if name else word

    def name(self, thing: Any) -> str:
        """What the code that asked for it calls a thing."""
        if not self.named:
            return ""
        return _frames.name_in(thing, self.frames[: self.index])


#: What describes the wait of the frame of a context.
Describe = Callable[[Context], Wait]
#: What is waited for from a frame inwards.
Look = Callable[[Context, int], Wait]
