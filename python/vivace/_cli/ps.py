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
    target = options.pid or _target.only(PROGRAM)
    if target is None:
        return 2
    if wrong := _target.is_target(PROGRAM, target, files=True):
        return wrong
    options.interval = 0.0
    looked = _target.look(PROGRAM, target, "ps-json" if options.json else "ps", options, 1)
    if isinstance(looked, int):
        return looked
    _target.show(looked[0])
    return 0
