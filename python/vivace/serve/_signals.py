"""Signals for one server: INT and TERM end it, HUP reads certificates again.

The handlers that were there are put back at the end, and then the signals that ended the server
are raised once more: whoever started the process sees why it ended (status -15 after TERM), and a
program around the server gets its KeyboardInterrupt.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

__all__ = ["captured_signals"]

Handler = Callable[[int, FrameType | None], Any]

_ENDING = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def captured_signals(
    handle_exit: Handler, handle_hangup: Handler | None = None, *, raise_again: bool = True
) -> Iterator[None]:
    """Have the signals handled; outside the main thread, where none arrive, do nothing.

    Args:
        handle_exit: Called on INT and TERM.
        handle_hangup: Called on HUP; None leaves that as it is, which normally ends the process
            with its terminal.
        raise_again: Whether to raise what was captured at the end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    captured: list[int] = []

    def ending(number: int, frame: FrameType | None) -> None:
        captured.append(number)
        handle_exit(number, frame)

    handlers: dict[int, Handler] = dict.fromkeys(_ENDING, ending)
    if handle_hangup is not None:
        handlers[signal.SIGHUP] = handle_hangup
    # Not by loop.add_signal_handler: that forgets the handlers there were before.
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: it was not Python that set it.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    if raise_again:
        for number in reversed(captured):
            signal.raise_signal(number)
