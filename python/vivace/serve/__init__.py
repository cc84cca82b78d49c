"""The HTTP server: what ``vivace serve`` runs, and ``vivace.serve(app)``, as this can be called.

    import vivace

    vivace.serve("app:app", port=8080)

Nothing of it is imported by ``import vivace``. What lies where, in the order of a start:

    _main            serve(app): one process, several, or one that is restarted
    _config          Config: all that can be said; with _checks, _headers, _addresses,
                     _tls_context, _reload_paths for what needs more than a line
    _logging         uvicorn's loggers; _log_formatters their formatters, _ansi the colours
    _importer        import strings; _adapters ASGI 2, WSGI, factories
    _server          Server: start, serving, end; with _lifespan, _binding, _signals, _recycling
    _settings        what the native engine, `vivace._native.HttpService`, is told
    _supervisor      several workers; _child one of them as the parent sees it, _queues who
                     accepts from where
    _worker          a worker's own side; _channel the line between the two
    _reload          restarting when files change; _watching sees them change
    _static          --static; with _conditions. _files sends files for the engine
    _notify          systemd
    _uvicorn         H1Protocol: the engine under uvicorn's own server
"""

from __future__ import annotations

import sys
import types
from typing import Any

from ._addresses import parse_address
from ._config import Config
from ._errors import StartupError
from ._log_formatters import AccessFormatter, ColourizedFormatter, DefaultFormatter
from ._logging import LOG_LEVELS, default_log_config
from ._main import serve
from ._server import Server
from ._settings import Settings
from ._uvicorn import H1Protocol

__all__ = [
    "LOG_LEVELS",
    "AccessFormatter",
    "ColourizedFormatter",
    "Config",
    "DefaultFormatter",
    "H1Protocol",
    "Server",
    "Settings",
    "StartupError",
    "default_log_config",
    "parse_address",
    "serve",
]


class _CallableModule(types.ModuleType):
    """This module: `vivace.serve(app)` is `vivace.serve.serve(app)`."""

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        serve(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
