"""The folder of machine files: what counts, and what a name may lead to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sourcerevision.repository import BadName, NoSuchFile, Repository


def names(repository: Path) -> list[str]:
    return [entry.name for entry in Repository(repository).files()]


def test_only_machine_files_count(repository: Path) -> None:
    (repository / ".mcam").touch()
    (repository / "folder.vnc").mkdir()
    os.mkfifo(repository / "pipe.vnc")
    assert names(repository) == ["bracket.mcam", "drill.vnc", "housing.mcam"]
    assert Repository(repository).count_by_extension() == {".mcam": 2, ".vnc": 1}


def test_extension_is_read_in_any_case(repository: Path) -> None:
    (repository / "LATHE.VNC").touch()
    assert "LATHE.VNC" in names(repository)
    assert Repository(repository).locate("LATHE.VNC").extension == ".vnc"


def test_size_and_time_are_those_on_disk(repository: Path) -> None:
    path = repository / "drill.vnc"
    os.utime(path, ns=(0, 1_700_000_000_250_000_000))
    entry = Repository(repository).locate("drill.vnc")
    assert entry.size == path.stat().st_size == 13
    assert entry.mtime.timestamp() == 1_700_000_000.25


@pytest.mark.parametrize("name", ["", ".", "..", "../x.vnc", "/etc/x.vnc", "a/b.vnc", "a\0.vnc"])
def test_a_path_is_no_name(repository: Path, name: str) -> None:
    with pytest.raises(BadName):
        Repository(repository).locate(name)


@pytest.mark.parametrize("name", ["gone.vnc", "notes.txt", "x" * 300 + ".vnc", "\udcff.vnc"])
def test_no_such_machine_file(repository: Path, name: str) -> None:
    with pytest.raises(NoSuchFile):
        Repository(repository).locate(name)


def test_link_within_the_repository_is_followed(repository: Path) -> None:
    (repository / "newest.vnc").symlink_to("drill.vnc")
    assert Repository(repository).locate("newest.vnc").size == 13


def test_link_out_of_the_repository_is_not(repository: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.vnc"
    outside.write_text("secret")
    (repository / "escape.vnc").symlink_to(outside)
    (repository / "notes.vnc").symlink_to("notes.txt")
    (repository / "circle.vnc").symlink_to("circle.vnc")
    assert names(repository) == ["bracket.mcam", "drill.vnc", "housing.mcam"]
    for name in ("escape.vnc", "notes.vnc", "circle.vnc"):
        with pytest.raises(NoSuchFile):
            Repository(repository).locate(name)


def test_repository_may_itself_be_a_link(repository: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(repository)
    assert Repository(link).locate("drill.vnc").size == 13


def test_name_that_is_not_utf8_is_left_out(repository: Path) -> None:
    Path(os.fsdecode(os.fsencode(repository) + b"/\xff.vnc")).touch()
    assert names(repository) == ["bracket.mcam", "drill.vnc", "housing.mcam"]
