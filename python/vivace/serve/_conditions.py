"""Conditional requests and byte ranges (RFC 9110, sections 13 and 14), for static files.

Pure functions over header values: no file, no connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

__all__ = ["Validators", "is_not_modified", "precondition_fails", "requested_range"]

_ENTITY_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_RANGE = re.compile(r"bytes[ \t]*=[ \t]*(\d*)-(\d*)[ \t]*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one version of a file from another.

    Attributes:
        etag: A strong entity tag, quotes included.
        modified: When the file changed last, in whole seconds since 1970.
    """

    etag: str
    modified: int

    @property
    def last_modified(self) -> str:
        """The value of `Last-Modified`."""
        return format_datetime(datetime.fromtimestamp(self.modified, UTC), usegmt=True)


def _tags(value: str) -> list[str]:
    """The entity tags of a list, or `*`, without the mark of weakness."""
    if value.strip() == "*":
        return ["*"]
    return [match.group().removeprefix("W/") for match in _ENTITY_TAG.finditer(value)]


def _seconds(date: str) -> int | None:
    """An HTTP date in seconds since 1970; None for what is no date, which is ignored."""
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (TypeError, ValueError, OverflowError):
        return None


def precondition_fails(headers: Mapping[str, str], validators: Validators) -> bool:
    """Whether `If-Match` or `If-Unmodified-Since` forbid an answer with content (412)."""
    if (wanted := headers.get("if-match")) is not None:
        # Compared strongly: a weak tag never matches.
        strong = [tag for tag in _tags(wanted) if f"W/{tag}" not in wanted]
        return "*" not in strong and validators.etag not in strong
    if (date := headers.get("if-unmodified-since")) is not None:
        seconds = _seconds(date)
        return seconds is not None and validators.modified > seconds
    return False


def is_not_modified(headers: Mapping[str, str], validators: Validators) -> bool:
    """Whether the client has this version already (304)."""
    if (known := headers.get("if-none-match")) is not None:
        tags = _tags(known)
        return "*" in tags or validators.etag in tags
    if (date := headers.get("if-modified-since")) is not None:
        seconds = _seconds(date)
        return seconds is not None and validators.modified <= seconds
    return False


def _range_applies(headers: Mapping[str, str], validators: Validators) -> bool:
    """Whether `If-Range` lets a range be sent: only of the very version that the client has."""
    condition = headers.get("if-range")
    if condition is None:
        return True
    if condition.startswith(('"', "W/")):
        return condition == validators.etag
    return _seconds(condition) == validators.modified


def requested_range(
    headers: Mapping[str, str], validators: Validators, size: int
) -> tuple[int, int] | bool | None:
    """The part of a file that is asked for.

    Several ranges at once are answered with the whole file, as RFC 9110 allows.

    Args:
        headers: The header fields of the request, names in lower case.
        validators: Of the file as it is.
        size: Its size in bytes.

    Returns:
        `(start, end)`, the end not included; None for the whole file; False if nothing of the
        range is there (416).
    """
    match = _RANGE.match(headers.get("range", ""))
    if match is None or not _range_applies(headers, validators):
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        length = min(int(last), size)
        return (size - length, size) if length else False
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        return False
    return start, min(int(last) + 1, size) if last else size
