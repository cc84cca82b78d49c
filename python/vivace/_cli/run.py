"""`vivace run`: runs a program as `python` would, on vivace's loop.

Only reads the command line. `vivace._default_loop` makes the loop asyncio's own one, and
`vivace._cli.program` becomes the program.
"""

from __future__ import annotations

from . import fail

HELP = """usage: vivace run SCRIPT [ARGUMENT ...]
       vivace run -m MODULE [ARGUMENT ...]
       vivace run -c CODE [ARGUMENT ...]
       vivace run - [ARGUMENT ...]

Run an asyncio program on vivace's loop, without changing it. Everything after the program's
name belongs to the program: sys.argv, sys.path, __main__, exit status and tracebacks are what
they are under python.

  SCRIPT      a file, or a folder or zip file with a __main__.py
  -m MODULE   a module or package, found as an import finds it
  -c CODE     the program itself
  -           the program from standard input

options:
  -h, --help  show this text

Options of the interpreter go to the interpreter: python -X dev -m vivace run SCRIPT"""

PROGRAM = "vivace run"


def main(arguments: list[str]) -> int:
    """Run the program that the arguments name."""
    if not arguments:
        return fail(PROGRAM, "no program; give a script, -m MODULE or -c CODE")
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
            return fail(PROGRAM, f"{flag} needs {'a module' if flag == '-m' else 'code'} after it")
    elif first.startswith("-") and first != "-":
        return fail(
            PROGRAM,
            f"no option {first} (see vivace run --help); the program's options go after its name",
        )

    from vivace import _default_loop

    from . import program

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
