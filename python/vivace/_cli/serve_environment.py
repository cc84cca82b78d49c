"""What the environment says about `vivace serve`: VIVACE_*, and UVICORN_* as a fallback.

A variable is named after its flag. Where one may be given several times, its variable holds
several values with white space between them. Empty variables say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .serve_flags import FLAGS, Flag, Kind, read_boolean

__all__ = ["SOURCES", "overridden", "read"]

# Options that say where to listen; those of one line belong together.
WAYS_TO_LISTEN = (("host", "port"), ("uds",), ("fd",), ("bind",))

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


def overridden(sources: Mapping[str, str]) -> set[str]:
    """The options that do not count, as it is said closer by that the server listens elsewhere.

    Args:
        sources: Where each option comes from.

    Raises:
        ValueError: Two places are said in the same way.
    """
    given = [
        (min(SOURCES.index(sources[name]) for name in names if name in sources), names)
        for names in WAYS_TO_LISTEN
        if any(name in sources for name in names)
    ]
    closest = min((rank for rank, _ in given), default=0)
    chosen = [names for rank, names in given if rank == closest]
    # uvicorn prefers a socket to host and port, silently.
    exclusive = [names for names in chosen if names != ("host", "port") or ("bind",) in chosen]
    if len(exclusive) > 1:
        here = SOURCES[closest]
        said = [next(name for name in names if sources.get(name) == here) for names in exclusive]
        one, other = (_spelled(name, closest) for name in said[:2])
        raise ValueError(f"give {one} or {other}, not both")
    return {name for rank, names in given if rank > closest for name in names}


def _spelled(name: str, rank: int) -> str:
    return f"${SOURCES[rank]}{name.upper()}" if rank else f"--{name}"


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
