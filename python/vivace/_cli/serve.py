"""`vivace serve`: reads flags and environment, and serves.

The flags are in `serve_flags.py`, what the environment says in `serve_environment.py`; both
become the arguments of a `vivace.serve.Config`, where everything else is decided.
"""

from __future__ import annotations

import argparse
import difflib
import os
import platform
import re
from typing import Any

from . import serve_environment, web
from ._parser import Parser
from .serve_flags import FLAGS, Flag, Kind

PROGRAM = "vivace serve"

EPILOG = """\
Each flag can be given in the environment as well: --root-path is $VIVACE_ROOT_PATH, or
$UVICORN_ROOT_PATH where that is not set. $WEB_CONCURRENCY and $FORWARDED_ALLOW_IPS are the
defaults of --workers and --forwarded-allow-ips.

Exit status: 0 after serving, 2 if the command line is wrong, 3 if the server could not start."""


def main(arguments: list[str]) -> int:
    """Serve what the arguments name."""
    parser = ServeParser()
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(about_unknown(unknown[0]))
    values = vars(given)
    if values.pop("version", False):
        print(version())
        return 0
    checking = values.pop("check", False)
    page = values.pop("web", None)
    try:
        if page is not None:
            web.set_address(page)
        options = options_of(values)
    except ValueError as error:
        parser.error(f"{error}")

    from vivace.serve import _main
    from vivace.serve._config import Config

    try:
        config = Config(**options)
    except ValueError as error:
        parser.error(with_flags(f"{error}"))
    if checking:
        return _main.check(config)
    _main.run(config)
    return 0


def options_of(values: dict[str, Any]) -> dict[str, Any]:
    """The arguments of Config: what the command line says, then what the environment says.

    Raises:
        ValueError: Something is missing, contradicts something else, or cannot be read.
    """
    environment, sources = serve_environment.read(os.environ)
    sources |= dict.fromkeys(values, serve_environment.SOURCES[0])
    for name in serve_environment.overridden(sources):
        environment.pop(name, None)
    options = {"app_dir": "", **environment, **values}
    if "app" not in options:
        raise ValueError("no application: APP is missing, as MODULE:ATTRIBUTE")
    return options


def about_unknown(word: str) -> str:
    """Say what is wrong with a word that is no flag and no application."""
    if not word.startswith("-"):
        return f"one application is served, and {word!r} is a second one"
    name = word.partition("=")[0]
    names = [spelling for flag in FLAGS for spelling in flag.spellings]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]}?" if near else f" (see {PROGRAM} --help)"
    return f"no option {name}{hint}"


def with_flags(message: str) -> str:
    """Call options by the names of their flags, where a message begins with one."""
    name = re.match(r"\w+", message)
    flag = next((flag for flag in FLAGS if name and flag.field == name[0]), None)
    if flag is None or name is None:
        return message
    return f"{flag.spellings[0]}{message[name.end() :]}"


def version() -> str:
    """What --version prints, in uvicorn's form."""
    from vivace import __version__

    return (
        f"Running vivace {__version__} with {platform.python_implementation()} "
        f"{platform.python_version()} on {platform.system()}"
    )


class ServeParser(Parser):
    """The parser of the command line. What is not given is not in its result."""

    def __init__(self) -> None:
        super().__init__(
            prog=PROGRAM,
            usage=f"{PROGRAM} [OPTION ...] APP",
            description="Serve an ASGI application over HTTP/1.1, HTTP/2 and WebSocket.",
            epilog=EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=False,
            argument_default=argparse.SUPPRESS,
        )
        self.add_argument(
            "app",
            nargs="?",
            metavar="APP",
            help="The application to serve, as MODULE:ATTRIBUTE; $VIVACE_APP or $UVICORN_APP.",
        )
        groups: dict[str, Any] = {}
        for flag in FLAGS:
            if flag.group not in groups:
                groups[flag.group] = self.add_argument_group(flag.group)
            add(groups[flag.group], flag)


def add(group: Any, flag: Flag) -> None:
    """Add one flag to a group of the parser."""
    keywords: dict[str, Any] = {"help": flag.full_help, "dest": flag.field}
    match flag.kind:
        case Kind.HELP:
            keywords["action"] = "help"
        case Kind.SWITCH:
            keywords["action"] = "store_true"
        case Kind.TOGGLE:
            keywords["action"] = argparse.BooleanOptionalAction
        case _:
            keywords["type"] = flag.read
            keywords["metavar"] = "|".join(flag.choices) if flag.choices else flag.metavar
            if flag.multiple:
                keywords["action"] = "append"
    group.add_argument(*flag.spellings, default=argparse.SUPPRESS, **keywords)
