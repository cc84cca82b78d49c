"""The metadata of the distribution is complete, and is the same everywhere it is written."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from support.patience import SECONDS

import vivace

# Other interpreters and builders are started, which takes long on a busy machine.
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    """The table ``[project]`` of pyproject.toml."""
    table: dict[str, object] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return table


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of metadata that a wheel of this checkout would contain."""
    beside = Path(sys.executable).with_name("maturin")
    maturin = str(beside) if beside.exists() else shutil.which("maturin")
    if maturin is None:
        pytest.skip("maturin, which writes the metadata, is not installed")
    folder = tmp_path_factory.mktemp("metadata")
    command = [maturin, "pep517", "write-dist-info", "--metadata-directory", str(folder)]
    subprocess.run(
        [*command, "--interpreter", sys.executable],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        timeout=SECONDS,
    )
    (distribution,) = folder.glob("*.dist-info")
    return distribution


@pytest.fixture(scope="module")
def metadata(distribution: Path) -> Message:
    """The core metadata, as an index would read it."""
    return Parser().parsestr((distribution / "METADATA").read_text())


def test_version_is_the_extensions(metadata: Message) -> None:
    cargo = tomllib.loads((CHECKOUT / "Cargo.toml").read_text())
    assert vivace.__version__ == cargo["workspace"]["package"]["version"] == metadata["Version"]


def test_complete(metadata: Message) -> None:
    assert metadata["Name"] == "vivace"
    assert metadata["Summary"]
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT OR Apache-2.0"
    assert set(metadata.get_all("License-File", [])) == {"LICENSE-MIT", "LICENSE-APACHE"}
    assert metadata["Description-Content-Type"].startswith("text/markdown")
    assert metadata["Keywords"]
    # Nothing is needed but the standard library; what some flags need is extra.
    needed = metadata.get_all("Requires-Dist", [])
    assert all("; extra == " in line for line in needed)
    assert set(metadata.get_all("Provides-Extra", [])) == {"standard", "wsgi"}


def test_classifiers(metadata: Message) -> None:
    classifiers = metadata.get_all("Classifier", [])
    for version in ("3.11", "3.12", "3.13", "3.14"):
        assert f"Programming Language :: Python :: {version}" in classifiers
    assert "Operating System :: POSIX :: Linux" in classifiers
    assert "Framework :: AsyncIO" in classifiers
    assert "Typing :: Typed" in classifiers


def test_entry_point(distribution: Path, project: dict[str, object]) -> None:
    assert project["scripts"] == {"vivace": "vivace.__main__:main"}
    lines = (distribution / "entry_points.txt").read_text().split()
    assert lines == ["[console_scripts]", "vivace=vivace.__main__:main"]


def test_licences_are_the_standard_texts() -> None:
    mit = (CHECKOUT / "LICENSE-MIT").read_text()
    apache = (CHECKOUT / "LICENSE-APACHE").read_text()
    assert mit.startswith("MIT License")
    assert "Permission is hereby granted, free of charge" in mit
    assert "Apache License\n" in apache
    assert "Version 2.0, January 2004" in apache
    assert "END OF TERMS AND CONDITIONS" in apache
