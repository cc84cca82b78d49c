"""`docs/unsafe.md` names every file with unsafe code, and such code is nowhere else.

That each block says why it is sound is for clippy to check (`undocumented_unsafe_blocks`).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from repository.checkout import ROOT, files, read

# The folders where unsafe code may be; everywhere else the compiler refuses it as well.
ALLOWED = (Path("crates/vivace-sys/src"), Path("crates/vivace-python/src/ffi"))

INVENTORY = "docs/unsafe.md"

# What is no code: strings (raw ones first) and comments. Character literals must not be taken
# for the beginning of a string, nor lifetimes for character literals.
NO_CODE = re.compile(
    r"""
      r(?P<hashes>\#*)".*?"(?P=hashes)
    | "(?:\\.|[^"\\])*"
    | '(?:\\.[^']*|[^'\\])'
    | //[^\n]*
    | /\*.*?\*/
    """,
    re.VERBOSE | re.DOTALL,
)


def has_unsafe(source: str) -> bool:
    return re.search(r"\bunsafe\b", NO_CODE.sub(" ", source)) is not None


def rust_files() -> list[Path]:
    return [path for path in files(".rs") if path.parts[0] == "crates"]


def listed() -> set[Path]:
    """The files that have a heading in the inventory."""
    headings = re.findall(r"^### `([^`]+)`$", read(INVENTORY), re.MULTILINE)
    assert len(headings) == len(set(headings)), "a file is listed twice"
    files: set[Path] = set()
    sources = rust_files()
    for heading in headings:
        # The heading of a folder is that of its files.
        inside = {path for path in sources if heading in f"{path}" and heading.endswith("/")}
        files |= {path for path in inside if has_unsafe(read(path))} or {Path(heading)}
    return files


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("unsafe { call() }", True),
        ("let c = '\"'; unsafe { call() } // \"", True),
        ("fn f<'a>(x: &'a u8) -> &'a u8 { unsafe { g(x) } }", True),
        ("unsafe impl Send for T {}", True),
        ("#![forbid(unsafe_code)]", False),
        ("//! all the unsafe code is in ffi", False),
        ("/* unsafe { call() } */", False),
        ('let text = "unsafe { \\"call\\" }";', False),
        ('let text = r#"an "unsafe" word"#;', False),
    ],
)
def test_unsafe_code_is_recognised(source: str, expected: bool) -> None:
    assert has_unsafe(source) is expected


def test_unsafe_code_is_where_it_may_be() -> None:
    sources = rust_files()
    assert len(sources) > 30, "the files were looked for in the wrong place"
    outside = [
        str(path)
        for path in sources
        if has_unsafe(read(path)) and not any(path.is_relative_to(folder) for folder in ALLOWED)
    ]
    assert outside == []


def test_each_file_with_unsafe_code_is_in_the_inventory() -> None:
    with_unsafe = {path for path in rust_files() if has_unsafe(read(path))}
    assert sorted(map(str, with_unsafe - listed())) == [], f"not in {INVENTORY}"
    assert sorted(map(str, listed() - with_unsafe)) == [], f"in {INVENTORY} for nothing"


def test_the_inventory_names_tests_that_exist() -> None:
    named = set(re.findall(r"`((?:tests|fuzz|crates|tools)/[\w./-]+)`", read(INVENTORY)))
    assert len(named) > 20, "the inventory names no tests"
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_compiler_refuses_it_elsewhere() -> None:
    for crate in sorted((ROOT / "crates").glob("*/src/lib.rs")):
        source = crate.read_text(encoding="utf-8")
        if crate.parent.relative_to(ROOT) in ALLOWED:
            continue
        assert re.search(r"^#!\[(deny|forbid)\(unsafe_code\)\]$", source, re.MULTILINE), crate
    workspace = read("Cargo.toml")
    assert 'undocumented_unsafe_blocks = "deny"' in workspace
    assert 'unsafe_op_in_unsafe_fn = "deny"' in workspace
