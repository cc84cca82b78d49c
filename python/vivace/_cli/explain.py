"""`vivace explain`: tells what the code of a finding means."""

from __future__ import annotations

import difflib

from vivace import _native

from . import fail

HELP = """usage: vivace explain [CODE ...]

Tell what the code of a finding means, why it matters, and what to do. Without a code, list all.

options:
  -h, --help  show this text"""

PROGRAM = "vivace explain"


def main(arguments: list[str]) -> int:
    """Print the explanations of the codes."""
    if any(word in ("-h", "--help") for word in arguments):
        print(HELP)
        return 0
    entries = {code: (name, text) for code, name, text in _native.see_codes()}
    for word in arguments:
        if word.upper() not in entries:
            close = difflib.get_close_matches(word.upper(), entries, 1)
            hint = f"; did you mean {close[0]}?" if close else " (vivace explain lists them)"
            return fail(PROGRAM, f"no code {word!r}{hint}")
    if not arguments:
        for code, (name, _text) in entries.items():
            print(f"{code}  {name}")
    print("\n".join(entries[word.upper()][1] for word in arguments), end="")
    return 0
