"""Shows an exception that ends a program as if `python` had started the program.

The exception goes on to the interpreter, which knows how to end the process (a KeyboardInterrupt
becomes death by SIGINT, for one). Only what it shows is shortened: the frames of the launcher
stand before the program's own, and they are not the program's business.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable

LAUNCHER = __package__


def end_with(error: BaseException) -> None:
    """Arrange how this exception, which the caller raises on, will be shown."""
    traceback = without_launcher(error.__traceback__)
    program_hook = sys.excepthook

    def excepthook(
        kind: type[BaseException],
        value: BaseException,
        whole: types.TracebackType | None,
    ) -> None:
        sys.excepthook = program_hook
        # What post-mortem tools look at.
        value.__traceback__ = sys.last_traceback = traceback
        try:
            program_hook(kind, value, traceback)
        except SystemExit:
            raise
        except BaseException as failure:
            # The interpreter's words for this, which would show this function too.
            print("Error in sys.excepthook:", file=sys.stderr)
            failure.__traceback__ = without_launcher(failure.__traceback__)
            show(failure)
            print("\nOriginal exception was:", file=sys.stderr)
            show(value)

    sys.excepthook = excepthook


def show(error: BaseException) -> None:
    """Print an exception the interpreter's way."""
    sys.__excepthook__(type(error), error, error.__traceback__)


def without_launcher(traceback: types.TracebackType | None) -> types.TracebackType | None:
    """The traceback from the first frame that does not belong to the launcher."""
    while traceback and traceback.tb_frame.f_globals.get("__package__") == LAUNCHER:
        traceback = traceback.tb_next
    return traceback


def show_source_of(code: types.CodeType, source: str) -> None:
    """Let tracebacks quote source that is in no file, as they do for ``python -c``.

    Python 3.13 began to, with a private function whose key changed since; before, they did not.
    """
    if sys.version_info < (3, 13):
        return
    import linecache

    register: Callable[[object, str, str], None] | None
    register = getattr(linecache, "_register_code", None)
    if register is not None:
        by_code = hasattr(linecache, "_interactive_cache")
        register(code if by_code else code.co_filename, source, code.co_filename)
