"""The `vivace` command: finds the subcommand and hands it the rest of the line.

A subcommand is a module of this package with ``main(arguments) -> exit status`` and a line in
`COMMANDS`. Its module is imported only when it is called, and it reads its own arguments: `run`
must leave the program's alone, and other commands have flags of other tools to copy.
"""

from __future__ import annotations

import importlib
import sys

COMMANDS = {
    "run": "run an asyncio program on vivace's loop, without changing it",
    "serve": "serve an ASGI application, with uvicorn's flags and more",
    "trace": "run a program and write a timeline of what its tasks did",
    "top": "show what the loops and tasks of a process do, live",
    "ps": "print the tasks of a process, as a tree of who waits for whom",
    "doctor": "say what is wrong with a process, also with one that was killed",
    "metrics": "print the numbers of a process, or of all together, for Prometheus",
    "explain": "tell what the code of a finding means",
}

USAGE = "usage: vivace COMMAND [ARGUMENT ...]"

# What shells and argparse use for "called in the wrong way".
WRONG_USAGE = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The words after ``vivace``; by default those of the process.

    Returns:
        The exit status.
    """
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    if command in COMMANDS:
        module = importlib.import_module(f"{__name__}.{command}")
        return int(module.main(rest))
    if command in ("-h", "--help"):
        print(help_text())
        return 0
    if command in ("-V", "--version"):
        from vivace import __version__

        print(f"vivace {__version__}")
        return 0
    return fail("vivace", reason(command))


def fail(program: str, message: str) -> int:
    """Print one line on standard error and return the status of a wrong call."""
    print(f"{program}: {message}", file=sys.stderr)
    return WRONG_USAGE


def help_text() -> str:
    """What ``vivace --help`` prints."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:{width}}  {summary}" for name, summary in COMMANDS.items())
    return f"""{USAGE}

asyncio with a Rust engine.

commands:
{commands}

options:
  -h, --help     show this text
  -V, --version  show the version

vivace COMMAND --help tells more about a command."""


def reason(command: str) -> str:
    """Say what is wrong with a word that is no command."""
    if not command:
        return f"no command; the commands are: {', '.join(COMMANDS)} (see vivace --help)"
    if command.startswith("-"):
        return f"no option {command} (see vivace --help)"
    if command.endswith(".py"):
        return f"no command {command!r}; to run a program: vivace run {command}"
    import difflib

    near = difflib.get_close_matches(command, COMMANDS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else " (see vivace --help)"
    return f"no command {command!r}{hint}"
