"""`vivace ps`: the tasks of a process, as a tree of who waits for whom."""

from __future__ import annotations

from . import _target

PROGRAM = "vivace ps"


def main(arguments: list[str]) -> int:
    """Print the tree."""
    parser = _target.parser(
        PROGRAM,
        "Print the tasks of a process as a tree: below each task those that it waits for, or made.",
    )
    parser.add_argument(
        "pid", nargs="?", metavar="PID", help="the number of the process, or the file it left"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    what = "ps-json" if options.json else "ps"
    return _target.tell(PROGRAM, options.pid, what, files=True, interval=0.0)
