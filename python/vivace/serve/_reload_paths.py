"""Which files ``--reload`` watches: folders, and patterns that take in and leave out.

The defaults are uvicorn's: Python files, without hidden files, byte code and what editors leave
about. A pattern given on one side takes the default away from the other. A pattern that names
folders adds them, or leaves them out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ._logging import error_logger

__all__ = ["ReloadPaths"]

_INCLUDED = ("*.py",)
_EXCLUDED = (".*", ".py[cod]", ".sw.*", "~*")

Text = str | os.PathLike[str]


@dataclass(frozen=True)
class ReloadPaths:
    """What is watched. All folders are absolute."""

    folders: tuple[Path, ...]
    excluded_folders: tuple[Path, ...]
    included: tuple[str, ...]
    excluded: tuple[str, ...]

    @classmethod
    def resolve(
        cls,
        folders: Sequence[Text] | Text | None,
        includes: Sequence[str] | str | None,
        excludes: Sequence[str] | str | None,
    ) -> ReloadPaths:
        """Work out what the flags mean in the current folder, and say so in the log."""
        include_patterns, exclude_patterns = _listed(includes), _listed(excludes)
        wanted = [Path(folder) for folder in _listed(folders)]
        wanted += _folders_of(include_patterns)
        unwanted = [folder.resolve() for folder in _folders_of(exclude_patterns)]
        kept = [
            folder
            for folder in _without_nested(folder.resolve() for folder in wanted if _is_dir(folder))
            if not any(folder.is_relative_to(out) for out in unwanted)
        ]
        if not kept:
            if folders:
                error_logger.warning(
                    "Provided reload directories %s did not contain valid directories, "
                    "watching current working directory.",
                    [os.fspath(folder) for folder in _listed(folders)],
                )
            kept = [Path.cwd()]
        error_logger.info("Will watch for changes in these directories: %s", sorted(map(str, kept)))
        included = [pattern for pattern in _INCLUDED if pattern not in exclude_patterns]
        excluded = [pattern for pattern in _EXCLUDED if pattern not in include_patterns]
        return cls(
            folders=tuple(kept),
            excluded_folders=tuple(unwanted),
            included=(*included, *map(os.fspath, include_patterns)),
            excluded=(*excluded, *map(os.fspath, exclude_patterns)),
        )

    def matches(self, path: Path) -> bool:
        """Whether a change of this file is a reason to restart."""
        chosen = [pattern for pattern in self.included if path.match(pattern)]
        if not chosen:
            return False
        # A file that is included by its very name is meant, whatever it looks like.
        if any(str(path).endswith(pattern) for pattern in chosen):
            return True
        if any(path.is_relative_to(folder) for folder in self.excluded_folders):
            return False
        return not any(path.match(pattern) for pattern in self.excluded)


def _listed(value: Sequence[Text] | Text | None) -> list[str]:
    if value is None:
        return []
    if isinstance(value, (str, os.PathLike)):
        return [os.fspath(value)]
    return [os.fspath(item) for item in dict.fromkeys(value)]


def _folders_of(patterns: Iterable[str]) -> list[Path]:
    found: list[Path] = []
    for pattern in patterns:
        # This one would match every hidden folder, and means hidden files.
        if pattern == ".*":
            continue
        if _is_dir(Path(pattern)):
            found.append(Path(pattern))
        elif not Path(pattern).is_absolute():
            found.extend(path for path in Path.cwd().glob(pattern) if _is_dir(path))
    return found


def _without_nested(folders: Iterable[Path]) -> list[Path]:
    """The folders that are in none of the others."""
    unique = sorted(set(folders))
    return [
        folder
        for folder in unique
        if not any(folder != other and folder.is_relative_to(other) for other in unique)
    ]


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
