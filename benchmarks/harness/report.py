"""Where measured records go: the terminal, files of JSON and Markdown, and the README.

A record is what a suite measured together with when, where and on which versions.
"""

import json
import re
from pathlib import Path
from typing import Any

from .checkout import BENCHMARKS, WORK
from .table import Table

README = BENCHMARKS / "README.md"


def save(record: dict[str, Any], tables: list[Table]) -> Path:
    """Writes a record and its tables below `.work/bench/`; returns the JSON file."""
    folder = WORK / str(record["python"])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record['suite']}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    path.with_suffix(".md").write_text(to_markdown(record, tables) + "\n")
    return path


def load(python: str, suite: str) -> dict[str, Any] | None:
    """Returns the last record of a suite, if there is one."""
    path = WORK / python / f"{suite}.json"
    if not path.exists():
        return None
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def circumstances(record: dict[str, Any]) -> list[str]:
    """Returns lines that say what was measured, where, and how quiet it was there."""
    used = record["data"].get("versions", record["loops"])
    versions = ", ".join(f"{name} {version}" for name, version in used.items() if name != "asyncio")
    lines = [f"{record['date']}, {record['machine']}; {versions}."]
    others = record["other_load"]
    if others >= 10:
        lines.append(
            f"The machine was not quiet: other programs used {others:.0f} % of a processor "
            "meanwhile."
        )
    else:
        lines.append(f"Other programs used {others:.0f} % of a processor meanwhile.")
    lines += [f"Left out: {loop} ({reason})." for loop, reason in record["left_out"].items()]
    return lines


def to_text(record: dict[str, Any], tables: list[Table]) -> str:
    """Returns what is printed on a terminal."""
    return "\n\n".join([*[table.to_text() for table in tables], "\n".join(circumstances(record))])


def to_markdown(record: dict[str, Any], tables: list[Table]) -> str:
    """Returns the same for a page."""
    lines = "\n".join(f"* {line}" for line in circumstances(record))
    return "\n\n".join([*[table.to_markdown() for table in tables], lines])


def write_readme(record: dict[str, Any], tables: list[Table]) -> None:
    """Replaces what stands between the suite's markers in `benchmarks/README.md`.

    Raises:
        ValueError: If the page has no such markers.
    """
    name = f"{record['suite']} {record['python']}"
    pattern = re.compile(
        rf"(<!-- measured {re.escape(name)} -->\n).*?(<!-- end of {re.escape(name)} -->)", re.DOTALL
    )
    text = f"\n{to_markdown(record, tables)}\n\n"
    page, count = pattern.subn(
        lambda found: found.group(1) + text + found.group(2), README.read_text()
    )
    if not count:
        raise ValueError(f"{README} has no place for {name}")
    README.write_text(page)
