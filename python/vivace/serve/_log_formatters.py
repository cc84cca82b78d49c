"""The formatters of the default log: level in front, colours on a terminal, the access line.

They do what `uvicorn.logging` does under the same names, so that an existing `--log-config`
gets these where it names those, whether or not uvicorn is installed (`_logging.py`).
"""

from __future__ import annotations

import http
import logging
import sys
from copy import copy
from typing import Literal

from ._ansi import styled

__all__ = ["TRACE_LOG_LEVEL", "AccessFormatter", "ColourizedFormatter", "DefaultFormatter"]

TRACE_LOG_LEVEL = 5

_LEVEL_COLOURS = {
    TRACE_LOG_LEVEL: "blue",
    logging.DEBUG: "cyan",
    logging.INFO: "green",
    logging.WARNING: "yellow",
    logging.ERROR: "red",
    logging.CRITICAL: "bright_red",
}

# By the first digit of the status.
_STATUS_COLOURS = {1: "bright_white", 2: "green", 3: "yellow", 4: "red", 5: "bright_red"}


class ColourizedFormatter(logging.Formatter):
    """A formatter that offers ``%(levelprefix)s``, and colours if wanted.

    A record may bring a message with colours of its own: ``extra={"color_message": …}``.

    Args:
        fmt: As for `logging.Formatter`.
        datefmt: As for `logging.Formatter`.
        style: As for `logging.Formatter`.
        use_colors: None asks whether standard output is a terminal.
    """

    def __init__(
        self,
        fmt: str | None = None,
        datefmt: str | None = None,
        style: Literal["%", "{", "$"] = "%",
        use_colors: bool | None = None,
    ) -> None:
        self.use_colors = sys.stdout.isatty() if use_colors is None else use_colors
        super().__init__(fmt=fmt, datefmt=datefmt, style=style)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Fill in the line; the record itself stays as it was, for other handlers."""
        record = copy(record)
        level = record.levelname
        padding = " " * (8 - len(level))
        if self.use_colors:
            colour = _LEVEL_COLOURS.get(record.levelno)
            level = styled(level, colour) if colour else level
            if "color_message" in record.__dict__:
                record.msg = record.__dict__["color_message"]
                record.message = record.getMessage()
        record.__dict__["levelprefix"] = f"{level}:{padding}"
        return super().formatMessage(record)


class DefaultFormatter(ColourizedFormatter):
    """The formatter of everything but the access log."""


class AccessFormatter(ColourizedFormatter):
    """The formatter of the access log: ``client_addr``, ``request_line``, ``status_code``.

    It takes records whose arguments are client, method, path with query, HTTP version, status.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Fill in the line from the record's five arguments."""
        client, method, path, version, status = record.args  # type: ignore[misc]
        record = copy(record)
        request_line = f"{method} {path} HTTP/{version}"
        record.__dict__.update(
            client_addr=client,
            request_line=styled(request_line, bold=True) if self.use_colors else request_line,
            status_code=self._status(int(status)),  # type: ignore[arg-type]
        )
        return super().formatMessage(record)

    def _status(self, status: int) -> str:
        try:
            text = f"{status} {http.HTTPStatus(status).phrase}"
        except ValueError:
            text = f"{status} "
        colour = _STATUS_COLOURS.get(status // 100)
        return styled(text, colour) if self.use_colors and colour else text
