"""`vivace run`: runs a program as `python` would, on vivace's loop.

Only reads the command line. `vivace._default_loop` makes the loop asyncio's own one, and
`vivace._cli.program` becomes the program.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from . import fail, web

HELP = """usage: vivace run [OPTION ...] SCRIPT [ARGUMENT ...]
       vivace run [OPTION ...] -m MODULE [ARGUMENT ...]
       vivace run [OPTION ...] -c CODE [ARGUMENT ...]
       vivace run [OPTION ...] - [ARGUMENT ...]

Run an asyncio program on vivace's loop, without changing it. Everything after the program's
name belongs to the program: sys.argv, sys.path, __main__, exit status and tracebacks are what
they are under python.

  SCRIPT      a file, or a folder or zip file with a __main__.py
  -m MODULE   a module or package, found as an import finds it
  -c CODE     the program itself
  -           the program from standard input

options:
  --dev       look for more, at a price: owners of locks taken by hand, where coroutines were made
  --races     tell of values that were read before an await and written over after it
              (Python 3.12 or later; slows the program's own functions)
  --fuzz-schedule[=SEED]
              run tasks that are ready at the same time in an order of chance; the seed that is
              printed repeats it
  --web=ADDRESS:PORT
              show what the tasks do in a page, for browsers on this machine; its address, with a
              token, is printed
  -h, --help  show this text

Options of the interpreter go to the interpreter: python -X dev -m vivace run SCRIPT"""

PROGRAM = "vivace run"


def main(arguments: list[str], name: str = PROGRAM, before: Callable[[], int] | None = None) -> int:
    """Run the program that the arguments name.

    Args:
        arguments: The program and what belongs to it.
        name: Who speaks when something is wrong with them.
        before: What to do before the program; unless it answers 0, that is the exit status.
    """
    given = arguments
    arguments, problem = _take_options(arguments)
    if problem:
        return fail(name, problem)
    if not arguments:
        return fail(name, "no program; give a script, -m MODULE or -c CODE")
    first, *rest = arguments
    if first in ("-h", "--help"):
        print(HELP)
        return 0
    # As python does, -m and -c end the options, and may have their value attached.
    flag, attached = first[:2], first[2:]
    if flag in ("-m", "-c"):
        if attached:
            rest.insert(0, attached)
        if not rest:
            return fail(name, f"{flag} needs {'a module' if flag == '-m' else 'code'} after it")
    elif first.startswith("-") and first != "-":
        return fail(
            name,
            f"no option {first} (see {name} --help); the program's options go after its name",
        )

    problem = _apply(given[: len(given) - len(arguments)])
    if problem:
        return fail(name, problem)

    from vivace import _default_loop
    from vivace.see import _begin

    from . import program

    # Not only with the first loop: whoever forgets asyncio.run() never makes one.
    _begin.begin()
    if before is not None and (status := before()):
        return status
    _default_loop.make_vivace_the_default()
    if flag == "-m":
        program.run_module(rest[0], rest[1:])
    elif flag == "-c":
        program.run_code(rest[0], rest[1:])
    elif first == "-":
        program.run_standard_input(rest)
    else:
        return program.run_path(first, rest)
    return 0


def _take_options(arguments: list[str]) -> tuple[list[str], str]:
    """What follows our own options, and what is wrong with them."""
    for index, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name == "--web":
            if problem := web.problem(value):
                return [], problem
        elif name == "--fuzz-schedule":
            from vivace import _loop

            if equals and _loop.seed_of(value) is None:
                return [], f"{word}: the seed is a whole number below 2**64"
        elif word not in ("--dev", "--races"):
            return arguments[index:], ""
    return [], ""


def _apply(options: list[str]) -> str:
    """Does what the options ask for; what cannot be done.

    They are left in the environment, so that child processes do the same.
    """
    if "--dev" in options and os.environ.get("VIVACE_DIAG") != "dev":
        # The extension has read its settings when it was loaded: begin again.
        sys.stdout.flush()
        environment = os.environ | {"VIVACE_DIAG": "dev"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    if "--races" in options:
        from vivace.see import _races

        if not _races.available():
            return _races.UNAVAILABLE
        os.environ["VIVACE_RACES"] = "1"
    for option in options:
        name, equals, value = option.partition("=")
        if name == "--web":
            web.set_address(value)
        if name == "--fuzz-schedule":
            from vivace import _loop

            seed = _loop.seed_of(value) if equals else int.from_bytes(os.urandom(4), "big")
            _loop.fuzz_schedule = seed
            os.environ["VIVACE_FUZZ_SCHEDULE"] = str(seed)
            print(f"{PROGRAM}: repeat this order by --fuzz-schedule={seed}", file=sys.stderr)
    return ""
