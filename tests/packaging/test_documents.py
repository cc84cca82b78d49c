"""The documents point to what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vivace import _native

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "crates/*.md", "tests/**/*.md")
    for path in CHECKOUT.glob(pattern)
)
CODE = re.compile(r"^\| \[(V\d+)\]\(\.\./crates/vivace-see/codes/\1\.md\)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]*)?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(document: Path) -> set[str]:
    """What the headings of a document are called in links."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {
        "#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(text)
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target, anchor in LINK.findall(document.read_text()):
        path = (document.parent / target) if target else document
        assert path.exists(), f"{target} is not there"
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{target} has no heading for {anchor}"


def test_every_code_is_in_the_tour() -> None:
    tour = (CHECKOUT / "docs" / "see.md").read_text()
    linked = CODE.findall(tour)
    assert linked == [code for code, _name, _explanation in _native.see_codes()]
