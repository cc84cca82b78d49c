"""``--reload``: which files are watched, and that changes are seen."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.patience import SECONDS

from vivace.serve._reload_paths import ReloadPaths
from vivace.serve._watching import StatWatcher, Watcher, WatchFilesWatcher, new_watcher


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders and files, with the project as the current folder."""
    for name in (
        "main.py",
        ".hidden",
        "app/views.py",
        "app/app.css",
        "app/sub/deep.py",
        "app_first/other.py",
        "docs/page.md",
        "~draft.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def matched(paths: ReloadPaths, project: Path) -> set[str]:
    """The files of the project that are in a watched folder and match."""
    return {
        str(path.relative_to(project))
        for path in project.rglob("*")
        if path.is_file()
        and any(path.is_relative_to(folder) for folder in paths.folders)
        and paths.matches(path)
    }


class TestPatterns:
    def test_default(self, project):
        paths = ReloadPaths.resolve(None, None, None)
        assert paths.folders == (project,)
        assert matched(paths, project) == {
            "main.py",
            "app/views.py",
            "app/sub/deep.py",
            "app_first/other.py",
        }

    def test_one_folder(self, project):
        paths = ReloadPaths.resolve(["app"], None, None)
        assert paths.folders == (project / "app",)
        assert matched(paths, project) == {"app/views.py", "app/sub/deep.py"}

    def test_folders_within_folders_are_named_once(self, project):
        paths = ReloadPaths.resolve(["app", project / "app" / "sub", "app_first"], None, None)
        assert paths.folders == (project / "app", project / "app_first")

    def test_more_patterns(self, project):
        paths = ReloadPaths.resolve(None, ["*.css", "*.md"], None)
        assert {"app/app.css", "docs/page.md", "main.py"} <= matched(paths, project)

    def test_a_pattern_that_names_a_folder(self, project):
        paths = ReloadPaths.resolve(None, ["docs", "*.md"], None)
        assert paths.folders == (project / "docs",)
        assert matched(paths, project) == {"docs/page.md"}

    def test_excluded_pattern(self, project):
        paths = ReloadPaths.resolve(None, "*", ["*.css"])
        assert "app/app.css" not in matched(paths, project)
        assert "docs/page.md" in matched(paths, project)

    def test_excluded_folder(self, project):
        paths = ReloadPaths.resolve(None, None, ["app/sub"])
        assert matched(paths, project) == {"main.py", "app/views.py", "app_first/other.py"}

    def test_excluded_folder_that_was_asked_for(self, project):
        paths = ReloadPaths.resolve(["app", "docs"], ["*.md"], ["app"])
        assert paths.folders == (project / "docs",)

    def test_defaults_can_be_turned_round(self, project):
        paths = ReloadPaths.resolve(None, [".*", "*.md"], ["*.py"])
        assert matched(paths, project) == {".hidden", "docs/page.md"}

    def test_a_file_by_its_name(self, project):
        assert ".hidden" in matched(ReloadPaths.resolve(None, [".hidden"], None), project)

    def test_folders_that_are_not_there(self, project, caplog):
        caplog.set_level(logging.INFO, "uvicorn.error")
        paths = ReloadPaths.resolve(["nowhere"], None, None)
        assert paths.folders == (project,)
        assert caplog.messages == [
            "Provided reload directories ['nowhere'] did not contain valid directories, "
            "watching current working directory.",
            f"Will watch for changes in these directories: ['{project}']",
        ]


WATCHERS = [StatWatcher, WatchFilesWatcher]


class TestWatchers:
    @pytest.fixture(params=WATCHERS)
    def watch(self, request, project) -> Iterator[Callable[[ReloadPaths], Callable[[], set[Path]]]]:
        """Start the watcher in a thread; gives a function that waits for the next changes."""
        if request.param is WatchFilesWatcher:
            pytest.importorskip("watchfiles")
        started: list[tuple[Watcher, threading.Thread]] = []

        def watch(paths):
            watcher = request.param(paths, 0.01)
            batches: list[set[Path]] = []
            seen = threading.Semaphore(0)

            def collect():
                for batch in watcher.changes():
                    batches.append(batch)
                    seen.release()

            thread = threading.Thread(target=collect)
            thread.start()
            started.append((watcher, thread))

            def following(touch):
                # The kernel is asked to watch in the thread: a change may come too early for it.
                for _ in range(200):
                    touch()
                    if seen.acquire(timeout=0.1):
                        return batches[-1]
                raise AssertionError("the change was not seen")

            return following

        before = set(os.listdir("/proc/self/fd"))
        yield watch
        for watcher, thread in started:
            watcher.stop()
            thread.join(SECONDS)
            assert not thread.is_alive()
        del watcher, started[:]
        # watchfiles has a thread of its own, which closes what it has opened when it ends.
        while set(os.listdir("/proc/self/fd")) - before:
            time.sleep(0.01)

    def test_a_change(self, watch, project):
        changes = watch(ReloadPaths.resolve(None, None, None))
        written = iter(range(1000))
        path = project / "main.py"
        assert changes(lambda: path.write_text(f"x = {next(written)}")) == {path}

    def test_a_new_file(self, watch, project):
        changes = watch(ReloadPaths.resolve(None, None, None))
        names = iter(range(1000))
        assert changes(lambda: (project / "app" / f"new{next(names)}.py").touch())

    def test_other_files_are_no_reason(self, watch, project):
        changes = watch(ReloadPaths.resolve(None, None, None))
        written = iter(range(1000))

        def both():
            (project / "app" / "app.css").write_text(f"{next(written)}")
            (project / "main.py").write_text(f"{next(written)}")

        assert changes(both) == {project / "main.py"}


def test_without_watchfiles(project, monkeypatch):
    import builtins

    original = builtins.__import__

    def refuse(name, *rest):
        if name == "watchfiles":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert new_watcher(ReloadPaths.resolve(None, None, None), 0.25).name == "StatReload"
