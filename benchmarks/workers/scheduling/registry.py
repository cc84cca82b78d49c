"""The list of scheduling benchmarks, filled by the decorator `benchmark`."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

Clock = Literal["cpu", "wall"]
Body = Callable[[asyncio.AbstractEventLoop, int], Awaitable[None]]


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: Its function's name.
        meaning: What one operation is, in a line.
        operations: How many of them make one measurement, the same for every loop.
        clock: What is reported: CPU time of the process, or elapsed time where a second
            thread takes part and the hand-over between the threads is what counts.
        body: Does the given number of operations on the given (running) loop.
    """

    name: str
    meaning: str
    operations: int
    clock: Clock
    body: Body


BENCHMARKS: list[Benchmark] = []


def benchmark(operations: int, clock: Clock = "cpu") -> Callable[[Body], Body]:
    """Registers the decorated coroutine function; its docstring says what one operation is."""

    def register(body: Body) -> Body:
        name = str(getattr(body, "__name__", body))
        meaning = (body.__doc__ or "").strip()
        BENCHMARKS.append(Benchmark(name, meaning, operations, clock, body))
        return body

    return register
