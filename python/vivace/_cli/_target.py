"""What `vivace top`, `ps` and `doctor` share: their command lines, the look, and the errors."""

from __future__ import annotations

import argparse
import sys

from vivace import _native

from . import WRONG_USAGE, fail
from ._parser import Parser


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


def tell(
    program: str,
    given: str | None,
    what: str,
    *,
    files: bool,
    sort: str = "busy",
    word: str = "",
    interval: float = 0.5,
    failed: int = 1,
    wrong: int = 0,
) -> int:
    """Look at a process and print what is seen.

    Args:
        program: Who speaks when something is wrong with the command line.
        given: The process or file that the command line names, if it does.
        what: The kind of text, as in ``vivace._native.see_look``.
        files: Whether a file will do.
        sort: What tasks are sorted by.
        word: Only tasks with this word.
        interval: Seconds between two looks, for what is counted between them.
        failed: The exit status if the process cannot be looked at.
        wrong: The exit status if something is wrong with the process.

    Returns:
        The exit status.
    """
    target = given or only(program)
    if target is None:
        return WRONG_USAGE
    if mistake := is_target(program, target, files=files):
        return mistake
    try:
        text, is_wrong = _native.see_look(target, what, sort, word, interval)
    except LookupError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return failed
    except KeyboardInterrupt:
        return 130
    show(text)
    return wrong if is_wrong else 0


def show(text: str) -> None:
    """Print it, whatever the terminal's encoding has no characters for."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    if not text.endswith("\n"):
        sys.stdout.write("\n")
    sys.stdout.flush()
