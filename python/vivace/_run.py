"""`vivace.run`: how a program of one's own is started on vivace's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ._loop import new_event_loop

_T = TypeVar("_T")


def run(
    main: Coroutine[Any, Any, _T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = new_event_loop,
) -> _T:
    """Run a coroutine to its end on vivace's loop, as `asyncio.run` does on asyncio's.

    Args:
        main: The coroutine.
        debug: Whether the loop is in debug mode; None leaves the loop's own default.
        loop_factory: What makes the loop.

    Returns:
        What the coroutine returned.

    Raises:
        RuntimeError: A loop is running in this thread.

    Example:
        >>> vivace.run(main())
    """
    # asyncio.run takes a loop_factory only from Python 3.12 on; this is what it does there.
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("vivace.run() cannot be called from a running event loop")
    with asyncio.Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(main)
