"""`docs/dependencies.md` has a row for whatever the project asks for, at the version asked for."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from repository.checkout import files, read

PAGE = "docs/dependencies.md"


def rows() -> dict[str, str]:
    """Each name at the beginning of a row of a table, with its row."""
    found = {}
    for row in re.findall(r"^\| (`.*) \|$", read(PAGE), re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", row.partition(" | ")[0]):
            found[name] = row
    return found


def tables(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The tables of dependencies of a Cargo.toml, wherever they are in it."""
    for key, value in manifest.items():
        if key.endswith("dependencies"):
            yield value
        elif isinstance(value, dict):
            yield from tables(value)


def crates() -> dict[str, str]:
    """The crates asked for, with the version if one is given there."""
    found: dict[str, str] = {}
    for path in files("Cargo.toml"):
        for table in tables(tomllib.loads(read(path))):
            for name, wanted in table.items():
                version = wanted if isinstance(wanted, str) else wanted.get("version", "")
                found[name] = version or found.get(name, "")
    return {name: version for name, version in found.items() if not name.startswith("vivace-")}


def packages() -> dict[str, str]:
    """The packages asked for, with the version if it is pinned."""
    found = {}
    for path in files(".txt"):
        if path.parent.name != "requirements" and path.name != "requirements.txt":
            continue
        for line in read(path).splitlines():
            if wanted := re.match(r"(\w[\w-]*)(?:\[\w+\])?(?:==([\w.]+))?", line):
                found[wanted[1]] = wanted[2] or found.get(wanted[1], "")
    return found


def test_crates() -> None:
    asked = crates()
    assert len(asked) > 5, "the manifests were looked for in the wrong place"
    listed = rows()
    assert sorted(asked.keys() - listed.keys()) == []
    for name, version in asked.items():
        # The page gives the part of the version that says what is compatible.
        major_minor = ".".join(version.split(".")[:2])
        assert not version or major_minor in listed[name], f"{name} {version} in {PAGE}"


def test_packages() -> None:
    asked = packages()
    assert len(asked) > 15, "the requirements were looked for in the wrong place"
    listed = rows()
    assert sorted(asked.keys() - listed.keys()) == []
    for name in ("mypy", "ruff", "ziglang"):
        assert asked[name] in listed[name], f"{name} {asked[name]} in {PAGE}"
