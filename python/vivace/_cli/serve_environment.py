"""What the environment says about `vivace serve`: VIVACE_*, and UVICORN_* as a fallback.

A variable is named after its flag. Where one may be given several times, its variable holds
several values with white space between them. Empty variables say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .serve_flags import FLAGS, Flag, Kind, read_boolean

__all__ = ["is_closer", "read"]

# From the one that counts most.
SOURCES = ("the command line", "VIVACE_", "UVICORN_")


def read(environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Read the variables.

    Returns:
        The options, and for each of them the source it comes from.

    Raises:
        ValueError: The value of a variable cannot be read.
    """
    options: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for prefix in SOURCES[1:]:
        for flag in FLAGS:
            if flag.kind is Kind.HELP or not flag.in_environment or flag.field in options:
                continue
            name, text = _find(environment, prefix, flag)
            if text:
                options[flag.field] = _value(flag, name, text)
                sources[flag.field] = prefix
        if "app" not in options and environment.get(f"{prefix}APP"):
            options["app"] = environment[f"{prefix}APP"]
    return options, sources


def is_closer(one: str, other: str) -> bool:
    """Whether a source counts more than another.

    Raises:
        ValueError: They are the same.
    """
    if one == other:
        raise ValueError("BIND and HOST, PORT, UDS or FD contradict each other in the environment")
    return SOURCES.index(one) < SOURCES.index(other)


def _find(environment: Mapping[str, str], prefix: str, flag: Flag) -> tuple[str, str | None]:
    # uvicorn calls some variables by the name in its code: UVICORN_RELOAD_DIRS.
    names = (flag.spellings[0].removeprefix("--").replace("-", "_"), flag.field)
    for name in dict.fromkeys(f"{prefix}{name.upper()}" for name in names):
        if environment.get(name):
            return name, environment[name]
    return "", None


def _value(flag: Flag, name: str, text: str) -> Any:
    try:
        if flag.kind in (Kind.SWITCH, Kind.TOGGLE):
            return read_boolean(text)
        if flag.multiple:
            return [flag.read(part) for part in text.split(flag.separator)]
        return flag.read(text)
    except ValueError as error:
        raise ValueError(f"${name}: {error}") from None
