"""Where the machine files and the database are, taken from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsError(Exception):
    """The environment does not say where the files are, or says it wrongly."""


@dataclass(frozen=True)
class Settings:
    """The two places that the application works with.

    Attributes:
        repository: The folder with the machine files.
        database: The SQLite file of checkouts and the audit trail.
    """

    repository: Path
    database: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Reads `REPO_PATH` and, if it is set, `DATABASE_PATH`.

        Without `DATABASE_PATH` the database is a hidden file in the repository,
        so that the audit trail is copied with the files that it is about.

        Raises:
            SettingsError: `REPO_PATH` is missing or is no folder.
        """
        value = environ.get("REPO_PATH")
        if not value:
            raise SettingsError("set REPO_PATH to the folder with the .mcam and .vnc files")
        repository = Path(value)
        if not repository.is_dir():
            raise SettingsError(f"REPO_PATH is not a folder: {value}")
        database = environ.get("DATABASE_PATH")
        return cls(
            repository.resolve(),
            Path(database) if database else repository.resolve() / ".sourcerevision.sqlite3",
        )
