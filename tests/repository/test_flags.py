"""`docs/serve.md` has a row for each flag of `vivace serve`, with its default."""

from __future__ import annotations

import re

from repository.checkout import read

from vivace._cli.serve_flags import FLAGS, Kind


def rows() -> dict[str, tuple[str, str]]:
    """Each flag of the table, with its default and what is said about it."""
    table = read("docs/serve.md").partition("\n## Every flag\n")[2].partition("\n## ")[0]
    found = {}
    for line in table.splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 3 and (name := re.match(r"`(--[\w-]+)`", cells[0])):
            found[name[1]] = (cells[1], cells[2])
    return found


def test_each_flag_has_a_row() -> None:
    wanted = {}
    for flag in FLAGS:
        if flag.kind is not Kind.HELP:
            text, _, default = flag.full_help.replace("%%", "%").partition(" [default: ")
            wanted[flag.spellings[0]] = (default.removesuffix("]"), text)
    assert rows() == wanted
