"""The server's logs: uvicorn's logger names, default configuration and ways to change it.

``uvicorn.error`` is the server's own log (on standard error), ``uvicorn.access`` has a line for
each request (on standard output), ``uvicorn`` is the parent of both. A configuration written for
uvicorn works as it is: where it names `uvicorn.logging`, ours are taken (`_log_formatters.py`).

`access_log_of` decides who writes the access log. The engine can format and write a line at a
fraction of what `logging` takes, so it does where nobody could tell the difference.
"""

from __future__ import annotations

import configparser
import copy
import json
import logging
import logging.config
import os
import sys
from dataclasses import dataclass
from typing import IO, Any, TypeAlias

from ._log_formatters import TRACE_LOG_LEVEL, AccessFormatter

__all__ = [
    "LOG_LEVELS",
    "AccessLog",
    "LogConfig",
    "access_log_of",
    "access_logger",
    "asgi_logger",
    "configure",
    "default_log_config",
    "error_logger",
    "level_of",
]

LogConfig: TypeAlias = (
    "dict[str, Any] | str | os.PathLike[str] | configparser.RawConfigParser | IO[Any]"
)

error_logger = logging.getLogger("uvicorn.error")
access_logger = logging.getLogger("uvicorn.access")
asgi_logger = logging.getLogger("uvicorn.asgi")

LOG_LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE_LOG_LEVEL,
}

_ACCESS_LINE = '%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s'

_DEFAULT: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "default": {
            "()": "vivace.serve.DefaultFormatter",
            "fmt": "%(levelprefix)s %(message)s",
            "use_colors": None,
        },
        "access": {"()": "vivace.serve.AccessFormatter", "fmt": _ACCESS_LINE},
    },
    "handlers": {
        "default": {
            "formatter": "default",
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stderr",
        },
        "access": {
            "formatter": "access",
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
        },
    },
    "loggers": {
        "uvicorn": {"handlers": ["default"], "level": "INFO", "propagate": False},
        "uvicorn.error": {"level": "INFO"},
        "uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
    },
}

_UVICORNS_FORMATTERS = "uvicorn.logging."


def default_log_config() -> dict[str, Any]:
    """A copy of the default configuration, for `logging.config.dictConfig`."""
    return copy.deepcopy(_DEFAULT)


def level_of(level: str | int) -> int:
    """The number of a level given by name or number.

    Raises:
        ValueError: There is no level of that name.
    """
    if isinstance(level, int):
        return level
    number = LOG_LEVELS.get(level.lower())
    if number is None:
        names = ", ".join(LOG_LEVELS)
        raise ValueError(f"log_level must be one of {names}, not {level!r}")
    return number


def configure(
    log_config: LogConfig | None,
    log_level: str | int | None,
    *,
    access_log: bool,
    use_colors: bool | None,
) -> None:
    """Set the logs up.

    Args:
        log_config: A dictionary, the path of a .json, .yaml or .ini file, or what
            `logging.config.fileConfig` takes. None leaves the logs as they are.
        log_level: The level of the server's loggers; None leaves the configuration's.
        access_log: Whether there is an access log.
        use_colors: Whether the two formatters of the default configuration use colours; None
            leaves it to them.

    Raises:
        ValueError: The configuration cannot be read or used.
    """
    logging.addLevelName(TRACE_LOG_LEVEL, "TRACE")
    if log_config is not None:
        try:
            _apply(log_config, use_colors)
        except Exception as error:
            # What logging.config raises tells the place; the cause of it tells what is wrong.
            reason = f"{error}: {error.__cause__}" if error.__cause__ else f"{error}"
            name = (
                f"{os.fspath(log_config)}: " if isinstance(log_config, (str, os.PathLike)) else ""
            )
            raise ValueError(f"log_config: {name}{reason or type(error).__name__}") from error
    if log_level is not None:
        level = level_of(log_level)
        for logger in (error_logger, access_logger, asgi_logger):
            logger.setLevel(level)
    if not access_log:
        access_logger.handlers = []
        access_logger.propagate = False


@dataclass(frozen=True)
class AccessLog:
    """Who writes the access log: nobody, the engine, or a logger."""

    enabled: bool
    colours: bool = False
    logger: logging.Logger | None = None


def access_log_of(wanted: bool, line_format: str) -> AccessLog:
    """Look at what has become of ``uvicorn.access``, by configuration and by the application.

    Args:
        wanted: Whether an access log is wanted.
        line_format: The format of the lines. Any other than ``text`` was asked for explicitly,
            and is what the engine writes, whatever handlers there are.
    """
    # Level, and whether anybody listens.
    if not wanted or not access_logger.isEnabledFor(logging.INFO):
        return AccessLog(enabled=False)
    formatter = _formatter_of_plain_handler()
    if line_format != "text":
        return AccessLog(enabled=True, colours=formatter is not None and formatter.use_colors)
    if formatter is not None:
        return AccessLog(enabled=True, colours=formatter.use_colors)
    if not access_logger.hasHandlers():
        return AccessLog(enabled=False)
    return AccessLog(enabled=True, logger=access_logger)


def _formatter_of_plain_handler() -> AccessFormatter | None:
    """The formatter, if all is as in the default configuration and the engine can do the same."""
    handlers = access_logger.handlers
    if (
        type(access_logger) is not logging.Logger
        or access_logger.propagate
        or access_logger.filters
        or len(handlers) != 1
        or logging.getLogRecordFactory() is not logging.LogRecord
    ):
        return None
    handler = handlers[0]
    if (
        type(handler) is not logging.StreamHandler
        or handler.filters
        or handler.level > logging.INFO
        or handler.stream is not sys.stdout
        or sys.stdout is not sys.__stdout__
    ):
        return None
    formatter = handler.formatter
    if type(formatter) is not AccessFormatter or formatter._fmt != _ACCESS_LINE:
        return None
    return formatter


def _apply(log_config: LogConfig, use_colors: bool | None) -> None:
    if isinstance(log_config, os.PathLike):
        log_config = os.fspath(log_config)
    if isinstance(log_config, dict):
        _apply_dictionary(log_config, use_colors)
    elif isinstance(log_config, str) and log_config.endswith(".json"):
        with open(log_config, encoding="utf-8") as file:
            _apply_dictionary(json.load(file))
    elif isinstance(log_config, str) and log_config.endswith((".yaml", ".yml")):
        try:
            import yaml
        except ImportError:
            raise ImportError(
                "YAML needs the PyYAML package: "
                "pip install pyyaml, or pip install 'vivace[standard]'"
            ) from None
        with open(log_config, encoding="utf-8") as file:
            _apply_dictionary(yaml.safe_load(file))
    else:
        _apply_ini(log_config)


def _apply_dictionary(log_config: Any, use_colors: bool | None = None) -> None:
    if not isinstance(log_config, dict):
        raise TypeError(f"a configuration is a dictionary, not a {type(log_config).__name__}")
    log_config = copy.copy(log_config)
    formatters = {
        name: _with_our_class(formatter, "()", "class")
        for name, formatter in log_config.get("formatters", {}).items()
    }
    for name in ("default", "access"):
        if use_colors is not None and "()" in formatters.get(name, {}):
            formatters[name] = {**formatters[name], "use_colors": use_colors}
    if formatters:
        log_config["formatters"] = formatters
    logging.config.dictConfig(log_config)


def _apply_ini(source: Any) -> None:
    if isinstance(source, configparser.RawConfigParser):
        parser = source
    else:
        parser = configparser.ConfigParser()
        if hasattr(source, "readline"):
            parser.read_file(source)
        elif not parser.read(source, encoding="utf-8"):
            raise FileNotFoundError("there is no such file")
    for section in parser.sections():
        if section.startswith("formatter_") and parser.has_option(section, "class"):
            name = parser.get(section, "class", raw=True)
            parser.set(section, "class", _ours(name))
    logging.config.fileConfig(parser, disable_existing_loggers=False)


def _with_our_class(formatter: Any, *keys: str) -> Any:
    if not isinstance(formatter, dict):
        return formatter
    return formatter | {
        key: _ours(formatter[key]) for key in keys if isinstance(formatter.get(key), str)
    }


def _ours(name: str) -> str:
    if name.startswith(_UVICORNS_FORMATTERS):
        return f"vivace.serve.{name.removeprefix(_UVICORNS_FORMATTERS)}"
    return name
