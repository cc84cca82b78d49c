"""What `vivace top`, `ps` and `doctor` share: their command lines, and their errors."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

from vivace import _native

from . import WRONG_USAGE, fail


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """End with one line."""
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(WRONG_USAGE)


def parser(program: str, description: str, epilog: str = "") -> Parser:
    """Make the parser of a command that looks at a process."""
    return Parser(
        prog=program,
        description=description,
        epilog=epilog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def is_target(program: str, target: str, *, files: bool) -> int:
    """Complain about what is neither a number nor a path; 0 if it is one."""
    if target.isascii() and target.isdigit() and 0 < int(target) < 2**32:
        return 0
    if files and ("/" in target or target.endswith(".ring")):
        return 0
    wanted = "the number of a process" + (" or a file that ends with .ring" if files else "")
    return fail(program, f"{target!r} is not {wanted}")


def only(program: str) -> str | None:
    """The one process that runs, if the command line names none; says what is wrong otherwise."""
    alive = [known for known in _native.see_processes() if known[1] != "dead"]
    if len(alive) == 1:
        return str(alive[0][0])
    if not alive:
        fail(program, "no process of this user runs a loop of vivace, with diagnostics on")
        return None
    lines = "\n".join(f"  {pid:>8}  {command}" for pid, _, _, command in alive)
    fail(program, f"which process? Give its number:\n{lines}")
    return None


def look(program: str, target: str, what: str, options: Any, failed: int) -> tuple[str, bool] | int:
    """Look at a process: the text and whether something is wrong, or an exit status."""
    try:
        return _native.see_look(
            target,
            what,
            getattr(options, "sort", "busy"),
            getattr(options, "filter", ""),
            getattr(options, "interval", 0.5),
        )
    except LookupError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return failed
    except KeyboardInterrupt:
        return 130


def show(text: str) -> None:
    """Print it, whatever the terminal's encoding has no characters for."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    if not text.endswith("\n"):
        sys.stdout.write("\n")
    sys.stdout.flush()
