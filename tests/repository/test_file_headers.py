"""Every source file begins with what it is for."""

from __future__ import annotations

import ast
from pathlib import Path

from repository.checkout import ROOT, files, read


def says_what_it_is_for(path: Path) -> bool:
    source = read(path)
    if path.suffix == ".rs":
        header = source.partition("\n")[0]
        return header.startswith("//! ") and header[4:].strip() != ""
    if path.suffix in (".py", ".pyi"):
        return bool(ast.get_docstring(ast.parse(source)))
    # A script without a suffix: a comment below the line that names the interpreter.
    below = source.splitlines()[1:2]
    return bool(below) and below[0].startswith(("# ", '"""'))


def is_script(path: Path) -> bool:
    with (ROOT / path).open("rb") as file:
        return not path.suffix and file.read(2) == b"#!"


def test_each_source_file_has_a_header() -> None:
    sources = [*files(".rs", ".py", ".pyi"), *(path for path in files("") if is_script(path))]
    assert len(sources) > 100, "the files were looked for in the wrong place"
    assert [str(path) for path in sources if not says_what_it_is_for(path)] == []
