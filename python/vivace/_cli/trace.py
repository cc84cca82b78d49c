"""`vivace trace`: records what a program does, and writes a timeline.

Only reads the command line and ends the trace; what is recorded is told in
``crates/vivace-see/src/trace``.
"""

from __future__ import annotations

import atexit
import json
import os
import shlex
import sys
from typing import Any

from vivace import _native
from vivace.see._sites import shown

from . import _quantities, fail
from ._quantities import grouped, shown_duration, shown_size

HELP = """usage: vivace trace [-o FILE] SCRIPT [ARGUMENT ...]
       vivace trace [-o FILE] -m MODULE [ARGUMENT ...]
       vivace trace [-o FILE] -c CODE [ARGUMENT ...]
       vivace trace [-o FILE] RECORDING.part
       vivace trace [-o FILE] --last 10s PID
       vivace trace [-o FILE] --for 5s PID

Run a program as `vivace run` does, record each step of each task, and write a timeline when the
program ends. While it runs, what is recorded goes to FILE.part; if the program is killed, make a
timeline of RECORDING.part. A process that runs, or the file that a killed one has left, tells of
its steps and callbacks that took 50 µs or longer, without having been asked to; with --for a
process that runs records each step from now on.

  -o FILE        where to: .html (a page that needs nothing else), .pftrace (ui.perfetto.dev),
                 .json (chrome://tracing); trace.html by default
  --limit SIZE   record at most so much: 500M, 2G; 1G by default. What is beyond it is counted
  --last TIME    so much of what another process has done: 10s, 500ms, 2m
  --for TIME     so much of what another process does from now on, an hour at most
  -h, --help     show this text

Everything after the program's name belongs to the program."""

PROGRAM = "vivace trace"

SUFFIXES = (".html", ".htm", ".pftrace", ".perfetto-trace", ".json")

#: What a recording begins with.
MAGIC = b"vivacetr"


class Mistake(Exception):
    """The command line is wrong; the text says how."""


class Options:
    """What stands before the program's name."""

    def __init__(self, arguments: list[str]) -> None:
        self.output = "trace.html"
        self.limit = 1 << 30
        self.last: float | None = None
        self.coming: float | None = None
        self.help = False
        self.program: list[str] = []
        rest = list(arguments)

        def value(flag: str, attached: str) -> str:
            if attached:
                return attached
            if not rest:
                raise Mistake(f"{flag} needs a value after it")
            return rest.pop(0)

        while rest:
            word = rest[0]
            name, _, attached = word.partition("=")
            if word in ("-h", "--help"):
                self.help = True
                return
            if name in ("-o", "--output"):
                del rest[0]
                self.output = value(name, attached)
            elif word.startswith("-o") and not word.startswith("--"):
                del rest[0]
                self.output = word[2:]
            elif name == "--limit":
                del rest[0]
                self.limit = limit(value(name, attached))
            elif name == "--last":
                del rest[0]
                self.last = seconds_of(name, value(name, attached))
            elif name == "--for":
                del rest[0]
                self.coming = seconds_of(name, value(name, attached))
            elif word.isdigit() and not self.program:
                # A process; its options may follow it.
                self.program = [rest.pop(0)]
            else:
                break
        self.program += rest
        if not self.output.endswith(SUFFIXES):
            raise Mistake(f"{self.output}: traces are .html, .pftrace or .json")


def limit(text: str) -> int:
    """What `--limit` takes."""
    try:
        found = _quantities.size(text)
    except ValueError:
        found = 0
    if not 0 < found < 1 << 63:
        raise Mistake(f"--limit {text}: it takes a size such as 500M or 2G")
    return found


def seconds_of(flag: str, text: str) -> float:
    """What `--last` and `--for` take."""
    try:
        seconds = _quantities.duration(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 1e6:
        raise Mistake(f"{flag} {text}: it takes a time such as 10s or 500ms")
    return seconds


def main(arguments: list[str]) -> int:
    """Trace the program that the arguments name."""
    try:
        options = Options(arguments)
    except Mistake as mistake:
        return fail(PROGRAM, str(mistake))
    if options.help:
        print(HELP)
        return 0
    if not options.program:
        return fail(PROGRAM, "no program; give a script, -m MODULE or -c CODE")
    first = options.program[0]
    if options.last is not None or options.coming is not None or first.isdigit():
        flag = "--last" if options.coming is None else "--for"
        if len(options.program) > 1:
            return fail(PROGRAM, f"{flag} is about one process, not {options.program[1]!r} besides")
        if options.coming is not None:
            if options.last is not None or not first.isdigit():
                return fail(PROGRAM, "--for takes the number of a process, and goes without --last")
            return coming(int(first), options.coming, options.output)
        return last(first, 10.0 if options.last is None else options.last, options.output)
    if is_recording(first):
        return convert(first, options.output, keep=True)
    from . import run

    command = shlex.join(options.program)
    return run.main(options.program, PROGRAM, lambda: begin(options.output, command, options.limit))


def last(process: str, seconds: float, output: str) -> int:
    """Write a timeline of what another process has kept."""
    try:
        summary = json.loads(_native.see_trace_last(process, seconds, output))
        size = os.stat(output).st_size
    except FileNotFoundError:
        what = f"process {process} runs no loop of vivace, or" if process.isdigit() else process
        return fail(PROGRAM, f"{what} has left no file to look at")
    except OSError as error:
        return fail(PROGRAM, f"{process}: {error.strerror or error}")
    print("\n".join(report(summary, output, size)), file=sys.stderr)
    return 0


def coming(process: int, seconds: float, output: str) -> int:
    """Write a timeline of what another process does from now on."""
    try:
        summary = json.loads(_native.see_trace_live(process, seconds, output))
        size = os.stat(output).st_size
    except LookupError as error:
        return fail(PROGRAM, str(error))
    except (OSError, OverflowError) as error:
        return fail(PROGRAM, f"cannot trace process {process}: {error}")
    print("\n".join(report(summary, output, size)), file=sys.stderr)
    return 0


def is_recording(path: str) -> bool:
    """Whether a file is what a trace is recorded into."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def begin(output: str, command: str, limit: int) -> int:
    """Begin to record; the program's end ends it. The answer is an exit status, 0 if it began."""
    output = os.path.abspath(output)
    recording = f"{output}.part"
    try:
        # What an earlier trace left behind: nobody can want both under one name.
        if is_recording(recording):
            os.unlink(recording)
        _native.see_trace_begin(recording, command, limit)
    except OSError as error:
        return fail(PROGRAM, f"cannot write {recording}: {error.strerror or error}")
    except RuntimeError as error:
        return fail(PROGRAM, str(error))
    process = os.getpid()

    def end() -> None:
        # A child that was forked ends without one.
        if os.getpid() == process:
            status = finish(recording, output)
            if status:
                sys.stderr.flush()
                os._exit(status)

    # Runs after everything that the program registers, and after its threads.
    atexit.register(end)
    os.register_at_fork(after_in_child=_native.see_trace_forget)
    return 0


def finish(recording: str, output: str) -> int:
    """Write the timeline of what was recorded."""
    try:
        _native.see_trace_end()
    except OSError as error:
        return fail(PROGRAM, f"cannot write {recording}: {error.strerror or error}")
    return convert(recording, output, keep=False)


def convert(recording: str, output: str, *, keep: bool) -> int:
    """Make a timeline of a recording, and say what is in it."""
    try:
        summary = json.loads(_native.see_trace_convert(recording, output))
        size = os.stat(output).st_size
        if not keep:
            os.unlink(recording)
    except OSError as error:
        return fail(PROGRAM, f"cannot make {output} of {recording}: {error.strerror or error}")
    print("\n".join(report(summary, output, size)), file=sys.stderr)
    return 0


def report(summary: dict[str, Any], output: str, size: int) -> list[str]:
    """Two lines about a trace."""
    counts = f"{grouped(summary['tasks'])} tasks, {grouped(summary['counted_steps'])} steps"
    hint = ", open it in any browser" if output.endswith((".html", ".htm")) else ""
    if output.endswith((".pftrace", ".perfetto-trace")):
        hint = ", open it in ui.perfetto.dev"
    lines = [
        f"traced {summary['seconds']:.3g} s: {counts}, {grouped(summary['dropped'])} events dropped"
        f" -> {shown(output)} ({shown_size(size)}){hint}"
    ]
    if summary["steps"]:
        longest, delay = summary["longest_step"], summary["longest_delay"]
        hit = summary["delayed_tasks"]
        lines.append(
            f"longest step {shown_duration(longest['seconds'])} {place(longest)} | "
            f"longest ready delay {shown_duration(delay['seconds'])} ({grouped(hit)} "
            f"task{'s' if hit != 1 else ''} hit) | loop {summary['utilisation']:.0%} busy"
        )
    else:
        lines.append("no task took a step on vivace's loop")
    return lines


def place(longest: dict[str, Any]) -> str:
    """A function and where it stands."""
    text = f"{longest['function'] or '?'}()"
    return f"{text} {longest['file']}:{longest['line']}" if longest["file"] else text
