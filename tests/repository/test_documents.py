"""What the documents name is there: files, folders, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from repository.checkout import ROOT, files, read

DOCUMENTS = list(files(".md"))

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
QUOTED = re.compile(r"`([^`\n]+)`")
# A file by its ending, or a folder by the slash at its end.
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*(?:\.(?:rs|py|pyi|md|toml|txt)|/)$")


def anchors(text: str) -> set[str]:
    """The names under which the headings of a document can be linked to."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for target in LINK.findall(read(document)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / document.parent / name) if name else ROOT / document
        if not file.exists() or (
            anchor and anchor not in anchors(file.read_text(encoding="utf-8"))
        ):
            broken.append(target)
    assert broken == []


def everything() -> set[str]:
    """All files and folders, folders with a slash at the end, each with one in front."""
    found = set()
    for path in files(""):
        found.add(f"/{path}")
        found.update(f"/{folder}/" for folder in path.parents if folder != Path("."))
    return found


def named(document: str) -> set[str]:
    """The paths in a document: quoted, or at the beginning of a line of a drawn tree."""
    text = read(document)
    words = set(QUOTED.findall(text))
    for block in re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        words.update(line.split()[0] for line in block.splitlines() if line.strip())
    return {word for word in words if PATH.fullmatch(word)}


def test_the_map_names_what_is_there() -> None:
    there = everything()
    names = named("ARCHITECTURE.md")
    assert len(names) > 20, "the map names nothing"
    # The map leaves out the folders that its headings have named.
    missing = [name for name in names if not any(path.endswith(f"/{name}") for path in there)]
    assert sorted(missing) == []
