"""Refuses, in one sentence, an interpreter that vivace cannot run in.

Imported first by the package, so that nobody has to guess from what would fail later. It must
stay readable for the oldest Python 3 around, or that Python shows a SyntaxError instead.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import sys

OLDEST_PYTHON = (3, 11)


def check_interpreter() -> None:
    """Check platform, implementation, version and interpreter.

    Raises:
        ImportError: One of them is not served.
    """
    running = ".".join(map(str, sys.version_info[:3]))
    if sys.platform != "linux":
        raise ImportError(f"vivace runs on Linux only, and this is {sys.platform}")
    if sys.implementation.name != "cpython":
        raise ImportError(f"vivace runs on CPython only, and this is {sys.implementation.name}")
    if tuple(sys.version_info[:2]) < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise ImportError(f"vivace needs Python {oldest} or newer, and this is Python {running}")
    if not in_main_interpreter():
        raise ImportError(
            "vivace cannot be used in a subinterpreter: import it in the main interpreter "
            "or in a process of its own"
        )


def in_main_interpreter() -> bool:
    """Whether this is the first interpreter of the process.

    The extension has state that belongs to one interpreter. Left alone, PyO3 gives it to
    whichever interpreter imports it first and refuses the others, the main one among them.
    """
    import _thread

    is_main_interpreter = getattr(_thread, "_is_main_interpreter", None)
    if is_main_interpreter is not None:
        return bool(is_main_interpreter())
    try:
        # Python 3.11 says it only here.
        interpreters = importlib.import_module("_xxsubinterpreters")
    except ImportError:
        return True
    return bool(interpreters.get_current() == interpreters.get_main())


def load_extension() -> None:
    """Load the native part.

    Raises:
        ImportError: It is missing, was built for another Python, or does not load.
    """
    name = f"{__package__}._native"
    # The extension uses _asyncio. Whoever imports that before asyncio leaves asyncio with the
    # Python versions of Task, Future and current_task, as the two import each other.
    importlib.import_module("asyncio")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ImportError(_why_missing()) from None
    except ImportError as error:
        raise ImportError(f"vivace's extension module does not load: {error}") from None


def _why_missing() -> str:
    wanted = importlib.machinery.EXTENSION_SUFFIXES[0].strip(".").partition(".")[0]
    present = sorted(
        entry.split(".")[1]
        for entry in os.listdir(os.path.dirname(__file__))
        if entry.startswith("_native.") and entry.endswith(".so")
    )
    found = f"only one for {' and '.join(present)}" if present else "none at all"
    return (
        f"vivace has no extension module for this Python ({wanted}), {found}: "
        f"install vivace with {sys.executable}"
    )


check_interpreter()
load_extension()
