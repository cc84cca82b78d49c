"""asyncio with a Rust engine, and an HTTP server on it.

    import vivace

    vivace.run(main())
    vivace.serve("app:app")

What is public is here; where it lives:

    _requirements   refuses interpreters that cannot be served, loads the extension
    _native         the extension: loop, Future, Task, transports
    _loop           the event loop: native hot paths over asyncio's cold ones
    _run            run
    _policy         EventLoopPolicy, install
    serve           serve, Server; imported when first asked for
    see             diagnostics, metrics_text; imported when the first loop is made
    _cli            the `vivace` command; imported by it alone
"""

from __future__ import annotations

import typing as _typing

from . import _requirements as _requirements
from ._loop import EventLoop, new_event_loop
from ._native import Future, Task
from ._policy import EventLoopPolicy, install
from ._run import run

if _typing.TYPE_CHECKING:
    from .see._diagnostics import diagnostics as diagnostics
    from .see._metrics import metrics_text as metrics_text
    from .serve._main import serve as serve
    from .serve._server import Server as Server

__all__ = [
    "EventLoop",
    "EventLoopPolicy",
    "Future",
    "Server",
    "Task",
    "diagnostics",
    "install",
    "metrics_text",
    "new_event_loop",
    "run",
    "serve",
]

__version__ = "0.1.0"


#: What is imported when it is first asked for.
_LATER = {
    "Server": ".serve",
    "diagnostics": ".see._diagnostics",
    "metrics_text": ".see._metrics",
    "serve": ".serve",
}


def __getattr__(name: str) -> object:
    # What a program that only wants the loop does not pay for.
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(_LATER[name], __name__)
    # Importing it sets `vivace.serve`, a module that can be called.
    return module if name == "serve" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
