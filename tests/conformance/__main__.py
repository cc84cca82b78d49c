"""The command line: `python -m tests.conformance`, run by the interpreter to be measured."""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from tests.conformance import candidate, comparison, report, rules, suite
from tests.conformance.identity import TestId
from tests.conformance.stock_results import StockResults
from tests.conformance.supervisor import Supervisor

_HERE = Path(__file__).parent
_RESULTS = _HERE.parent.parent / ".work" / "conformance"
_USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the suite and returns the exit status."""
    options = _parse(arguments)
    started = time.monotonic()
    try:
        measured = candidate.from_options(options.loop, options.task_class, options.future_class)
        loaded = suite.load(measured)
        version = sys.version_info[:3]
        excluded, stale = rules.match(rules.read(_HERE / "exclusions.toml", version), loaded.tests)
        known: dict[TestId, str] = {}
        if measured.label == "vivace":
            known, more = rules.match(
                rules.read(_HERE / "known_differences.toml", version), loaded.tests
            )
            stale += more
    except (ValueError, suite.NoSuiteError, rules.RuleError) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return _USAGE_ERROR
    if not measured.has_classes():
        # The patterns for generated classes have nothing to match where none are generated.
        stale = []
    tests = [test for test in loaded.tests if _chosen(test, options.patterns)]
    if options.list:
        report.print_list(sys.stdout, tests, excluded)
        return 0
    candidates_turn = [test for test in tests if test not in excluded]
    stock = StockResults(_RESULTS)
    progress = functools.partial(report.print_progress, sys.stdout)
    stock.complete(
        candidates_turn,
        options.jobs,
        functools.partial(progress, "stock", options.verbose),
        options.patience,
    )
    counted = [
        test for test in candidates_turn if comparison.does_not_count(test, stock[test]) is None
    ]
    outcomes = Supervisor(
        measured,
        options.jobs,
        stock.seconds(candidates_turn),
        functools.partial(progress, measured.label, options.verbose),
        options.patience,
    ).run(counted)
    judged = comparison.judge(tests, excluded, known, stock, outcomes)
    result = report.Report(
        measured.label, judged, stale, loaded.skipped_modules, time.monotonic() - started
    )
    result.print(sys.stdout, options.verbose)
    # A run of some tests must not stand where the result of all is looked for.
    part = "-part" if options.patterns else ""
    file_name = measured.label.replace(":", "-")
    name = f"{version[0]}.{version[1]}.{version[2]}-{file_name}{part}.json"
    result.write_json(_RESULTS / name)
    return 0 if result.ok else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance",
        description="Runs CPython's own test.test_asyncio, from the interpreter that runs this, on "
        "another event loop and on other Task and Future classes, and compares it with "
        "stock asyncio.",
    )
    parser.add_argument(
        "--loop",
        default="vivace",
        metavar="MODULE[:FACTORY]",
        help="the loop under test: a module with new_event_loop, or MODULE:FACTORY, "
        "or `stock` (default: %(default)s, with its Task and Future)",
    )
    parser.add_argument("--task-class", metavar="MODULE:CLASS", help="a Task class to test too")
    parser.add_argument("--future-class", metavar="MODULE:CLASS", help="a Future class to test too")
    parser.add_argument(
        "-k",
        dest="patterns",
        action="append",
        metavar="PATTERN",
        help="only tests whose module.Class.test contains or matches this; repeatable",
    )
    parser.add_argument(
        "-j",
        dest="jobs",
        type=int,
        default=2,
        metavar="N",
        help="processes at once (default: %(default)s)",
    )
    parser.add_argument(
        "-v",
        dest="verbose",
        action="store_true",
        help="a line for each class, and the end of the traceback of each failure",
    )
    parser.add_argument("--list", action="store_true", help="list the tests and run none")
    parser.add_argument(
        "--patience",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="factor on every time limit, for slow machines and sanitizers",
    )
    return parser.parse_args(arguments)


def _chosen(test: TestId, patterns: Sequence[str] | None) -> bool:
    name = str(test)
    return not patterns or any(
        fnmatchcase(name, pattern) if "*" in pattern else pattern in name for pattern in patterns
    )


if __name__ == "__main__":
    sys.exit(main())
