"""`vivace metrics`: the numbers of a process, or of all of this user together, for Prometheus."""

from __future__ import annotations

import sys

from vivace import _native

from . import WRONG_USAGE, _target, fail

PROGRAM = "vivace metrics"

NOT_LOOKED_AT = 1


def main(arguments: list[str]) -> int:
    """Print the metrics."""
    parser = _target.parser(
        PROGRAM,
        "Print the numbers of a process's loops and tasks in Prometheus' text format: those of\n"
        "vivace.metrics_text(), read without the help of the process, also while it is blocked.",
        "With --all, counters, histograms and counts are summed over all processes of this user\n"
        "that run; shares of time stand once for each, with its pid.",
    )
    parser.add_argument("pid", nargs="?", metavar="PID", help="the number of the process")
    parser.add_argument(
        "--all", action="store_true", help="the sum over all processes of this user"
    )
    options = parser.parse_args(arguments)
    if options.all and options.pid is not None:
        return fail(PROGRAM, "give the number of a process, or --all, not both")
    pid = None
    if not options.all:
        target = options.pid or _target.only(PROGRAM)
        if target is None:
            return WRONG_USAGE
        if mistake := _target.is_target(PROGRAM, target, files=False):
            return mistake
        pid = int(target)
    try:
        text = _native.see_scrape(pid)
    except LookupError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return NOT_LOOKED_AT
    _target.show(text)
    return 0
