"""`vivace doctor`: what is wrong with a process, also with one that was killed."""

from __future__ import annotations

from . import _target

PROGRAM = "vivace doctor"

SOMETHING_WRONG = 1
NOT_LOOKED_AT = 3


def main(arguments: list[str]) -> int:
    """Print the diagnosis."""
    parser = _target.parser(
        PROGRAM,
        "Say what is wrong with a process. Works without its help: while its loop is blocked, and\n"
        "after it was killed, from the file that it left.",
        "Exit status: 0 nothing is wrong, 1 something is, 2 the command line is wrong, 3 the\n"
        "process could not be looked at.",
    )
    parser.add_argument(
        "target",
        nargs="?",
        metavar="PID|FILE",
        help="the number of a process that runs or was killed, or the file that it left",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    what = "doctor-json" if options.json else "doctor"
    return _target.tell(
        PROGRAM, options.target, what, files=True, failed=NOT_LOOKED_AT, wrong=SOMETHING_WRONG
    )
