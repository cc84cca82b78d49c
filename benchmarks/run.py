#!/usr/bin/env python3
"""Measures vivace side by side with asyncio, uvloop and other loops: `make bench`.

    python benchmarks/run.py                          everything, on Python 3.13
    python benchmarks/run.py --only scheduling,echo   some suites
    python benchmarks/run.py --quick                  fewer and shorter rounds
    python benchmarks/run.py --loops asyncio,vivace   some loops
    python benchmarks/run.py --show                   print again what was measured last

Runs under any Python from 3.11, with the standard library alone. How it measures and how to read
the tables is in README.md beside this file.
"""

import argparse
import datetime
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from harness import machine, report
from harness.environment import (
    SUBJECT,
    Environment,
    PreparationError,
    default_loops,
    default_version,
    prepare,
)
from harness.plan import FULL, QUICK, Plan
from harness.table import Table
from suites import (
    diagnostics,
    echo,
    echo_tables,
    fairness,
    imports,
    scheduling,
    serve,
    serve_tables,
    sleep,
    traffic,
)


@dataclass(frozen=True)
class Suite:
    """A suite as the command line knows it.

    Attributes:
        measure: Returns the data of a record.
        tables: Makes tables of a record.
        usual: Whether it runs when no suite is named.
    """

    measure: Callable[[Environment, Plan], dict[str, Any]]
    tables: Callable[[dict[str, Any]], list[Table]]
    usual: bool = True


SUITES = {
    scheduling.NAME: Suite(scheduling.measure, scheduling.tables),
    fairness.NAME: Suite(fairness.measure, fairness.tables),
    sleep.NAME: Suite(sleep.measure, sleep.tables),
    imports.NAME: Suite(imports.measure, imports.tables),
    diagnostics.NAME: Suite(diagnostics.measure, diagnostics.tables, usual=False),
}
for kind in (traffic.TCP, traffic.UNIX, traffic.UDP, traffic.TLS):
    SUITES[kind.name] = Suite(
        partial(echo.measure, kind), partial(echo_tables.tables, kind), usual=kind is traffic.TCP
    )

SUITES[serve.NAME] = Suite(serve.measure, serve_tables.tables)


def main() -> int:
    """Runs the command line; returns 1 if vivace or a suite could not be measured."""
    options = _parse_arguments()
    if options.show:
        return _show(options)
    try:
        loops = options.loops or default_loops(options.python)
        environment = prepare(options.python, loops, build=not options.no_build)
    except PreparationError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    described = machine.describe(environment.python)
    announced: set[str] = set()
    prepared = True
    for name in options.only:
        suite = SUITES[name]
        _announce_left_out(environment, announced)
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        others = machine.OtherLoad()
        try:
            data = suite.measure(environment, options.plan)
        except PreparationError as error:
            print(f"{name}: not measured ({error})", file=sys.stderr, flush=True)
            prepared = False
            continue
        record = {
            "suite": name,
            "python": options.python,
            "date": datetime.date.today().isoformat(),
            "machine": described,
            "loops": environment.loops,
            "left_out": environment.left_out,
            "subject": environment.subject,
            "other_load": others.percent_of_a_cpu(),
            "plan": asdict(options.plan),
            "data": data,
        }
        tables = suite.tables(record)
        path = report.save(record, tables)
        print(report.to_text(record, tables), f"\n({path})\n", flush=True)
        if options.write_readme:
            report.write_readme(record, tables)
    _announce_left_out(environment, announced)
    return 0 if prepared and SUBJECT not in environment.left_out else 1


def _show(options: argparse.Namespace) -> int:
    for name in options.only:
        record = report.load(options.python, name)
        if record is None:
            print(f"{name}: nothing measured on {options.python} yet\n")
            continue
        tables = SUITES[name].tables(record)
        print(report.to_text(record, tables), end="\n\n")
        if options.write_readme:
            report.write_readme(record, tables)
    return 0


def _announce_left_out(environment: Environment, announced: set[str]) -> None:
    for loop, reason in environment.left_out.items():
        if loop not in announced:
            announced.add(loop)
            print(f"{loop}: left out ({reason})", file=sys.stderr, flush=True)


def _parse_arguments() -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return [name.strip() for name in text.split(",") if name.strip()]

    def suites(text: str) -> list[str]:
        chosen = list(SUITES) if text == "all" else names(text)
        unknown = [name for name in chosen if name not in SUITES]
        if unknown or not chosen:
            raise argparse.ArgumentTypeError(f"suites are all, {', '.join(SUITES)}")
        return chosen

    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.RawTextHelpFormatter
    )
    usual = [name for name, suite in SUITES.items() if suite.usual]
    parser.add_argument(
        "--only",
        type=suites,
        default=usual,
        metavar="SUITES",
        help=f"of {', '.join(SUITES)}, or all",
    )
    parser.add_argument("--python", metavar="VERSION", help="such as 3.13 (the default)")
    parser.add_argument(
        "--loops", type=names, metavar="LOOPS", help="packages, separated by commas"
    )
    parser.add_argument(
        "--quick",
        dest="plan",
        action="store_const",
        const=QUICK,
        default=FULL,
        help=f"{QUICK.rounds} shorter rounds instead of {FULL.rounds}",
    )
    parser.add_argument(
        "--no-build", action="store_true", help="measure the vivace that was built before"
    )
    parser.add_argument(
        "--show", action="store_true", help="measure nothing, print the last records"
    )
    parser.add_argument(
        "--write-readme", action="store_true", help="put the tables into benchmarks/README.md"
    )
    options = parser.parse_args()
    options.python = options.python or default_version()
    return options


if __name__ == "__main__":
    sys.exit(main())
