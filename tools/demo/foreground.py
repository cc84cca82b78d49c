"""Lets Ctrl-C reach the demo without reaching `make`.

A terminal sends Ctrl-C to every process of its foreground group. `make` is in
that group too, and ends with an error on it whatever its child does, so a demo
that ends in good order would look like one that failed. Alone in a group of its
own, in the foreground, the demo gets Ctrl-C alone.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def taking_the_foreground() -> Iterator[None]:
    """Is the terminal's foreground group while it lasts, if there is a terminal.

    Without one, or in the background of one, nothing changes.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        group = os.getpgrp()
        if os.tcgetpgrp(terminal) != group or group == os.getpid():
            yield
            return
        # Whoever is in the background and changes the foreground is stopped,
        # unless this signal is ignored.
        ignored = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTTOU,)}
        # The shell does not see that a group which it did not start is stopped,
        # and would wait for ever after Ctrl-Z.
        ignored[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        os.setpgid(0, 0)
        os.tcsetpgrp(terminal, os.getpgrp())
        try:
            yield
        finally:
            sys.stdout.flush()
            os.tcsetpgrp(terminal, group)
            os.setpgid(0, group)
            for number, handler in ignored.items():
                signal.signal(number, handler)
    finally:
        os.close(terminal)
