"""What the environment has to say, and the one line when it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sourcerevision.settings import Settings, SettingsError


def test_database_is_in_the_repository_unless_told(repository: Path, tmp_path: Path) -> None:
    settings = Settings.from_environment({"REPO_PATH": str(repository)})
    assert settings.database.parent == settings.repository == repository.resolve()
    elsewhere = {"REPO_PATH": str(repository), "DATABASE_PATH": str(tmp_path / "x.db")}
    assert Settings.from_environment(elsewhere).database == tmp_path / "x.db"


@pytest.mark.parametrize("environ", [{}, {"REPO_PATH": ""}, {"REPO_PATH": "/no/such/folder"}])
def test_wrong_repository_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="REPO_PATH"):
        Settings.from_environment(environ)


def test_server_says_what_is_missing_in_one_line() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "REPO_PATH"}
    examples = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "--app-dir", str(examples), "sourcerevision.asgi:app"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert done.stderr == (
        "sourcerevision: set REPO_PATH to the folder with the .mcam and .vnc files\n"
    )
