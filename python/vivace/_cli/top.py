"""`vivace top`: what the tasks of a process do, live."""

from __future__ import annotations

import os
import sys

from vivace import _native

from . import _target, fail

PROGRAM = "vivace top"


def main(arguments: list[str]) -> int:
    """Show a process."""
    parser = _target.parser(
        PROGRAM,
        "Show what the loops and tasks of a process do, live. Without PID: pick one from a list.",
        "It reads a file that the process keeps, and needs no help from a process that is stuck.\n"
        "Keys: q quit, enter task, t tree, / filter, s sort, d doctor, ? help. Obeys $NO_COLOR.",
    )
    parser.add_argument("pid", nargs="?", metavar="PID", help="the number of the process")
    parser.add_argument("--once", action="store_true", help="print it once, as text")
    parser.add_argument("--json", action="store_true", help="print it once, as JSON")
    parser.add_argument(
        "--sort", choices=_native.see_sorts(), default="busy", help="the column to sort by"
    )
    parser.add_argument("--filter", default="", metavar="WORD", help="only tasks with this word")
    parser.add_argument(
        "--interval",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="between two looks (default: 1)",
    )
    options = parser.parse_args(arguments)
    if not 0.1 <= options.interval <= 3600:
        return fail(PROGRAM, f"--interval takes 0.1 to 3600 seconds, not {options.interval:g}")
    if options.once or options.json:
        return _target.tell(
            PROGRAM,
            options.pid,
            "top-json" if options.json else "top",
            files=False,
            sort=options.sort,
            word=options.filter,
            interval=min(options.interval, 0.5),
        )
    if options.pid is not None and (wrong := _target.is_target(PROGRAM, options.pid, files=False)):
        return wrong
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return fail(PROGRAM, "this is no terminal; give --once or --json")
    try:
        _native.see_top(
            options.pid,
            options.sort,
            options.filter,
            not os.environ.get("NO_COLOR"),
            options.interval,
        )
    except (LookupError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    return 0
