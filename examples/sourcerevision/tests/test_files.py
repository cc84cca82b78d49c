"""The routes of the files, over HTTP from a real server."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import httpx
import pytest


def test_list(client: httpx.Client, repository: Path) -> None:
    files = client.get("/api/files").raise_for_status().json()
    assert [file["name"] for file in files] == ["bracket.mcam", "drill.vnc", "housing.mcam"]
    for file in files:
        status = (repository / file["name"]).stat()
        assert file["size"] == status.st_size
        assert datetime.fromisoformat(file["mtime"]).timestamp() == pytest.approx(
            status.st_mtime, abs=1e-6
        )
        assert file["checkout"] is None


def test_describe_follows_the_disk(client: httpx.Client, repository: Path) -> None:
    (repository / "drill.vnc").write_bytes(b"x" * 4321)
    file = client.get("/api/files/drill.vnc").raise_for_status().json()
    assert file["size"] == 4321
    assert file["extension"] == ".vnc"
    assert datetime.fromisoformat(file["mtime"]).timestamp() == pytest.approx(
        (repository / "drill.vnc").stat().st_mtime, abs=1e-6
    )
    (repository / "drill.vnc").unlink()
    assert client.get("/api/files/drill.vnc").status_code == 404


def test_summary(client: httpx.Client) -> None:
    summary = client.get("/api/files/summary").raise_for_status().json()
    assert summary == {"total": 3, "by_extension": {".mcam": 2, ".vnc": 1}}


def test_download(client: httpx.Client, repository: Path) -> None:
    content = bytes(range(256)) * 4096 * 3
    (repository / "big part.mcam").write_bytes(content)
    answer = client.get("/api/files/big%20part.mcam/download").raise_for_status()
    assert answer.content == content
    assert answer.headers["content-length"] == str(len(content))
    assert "attachment" in answer.headers["content-disposition"]


def test_nothing_outside_is_served(client: httpx.Client, repository: Path) -> None:
    outside = repository.parent / "outside.vnc"
    outside.write_text("secret")
    (repository / "escape.vnc").symlink_to(outside)
    (repository.parent / "folder").mkdir()
    paths = [
        "/api/files/escape.vnc",
        "/api/files/../outside.vnc",
        "/api/files/..%2Foutside.vnc",
        "/api/files/%2e%2e%2foutside.vnc",
        "/api/files/..%5Coutside.vnc",
        "/api/files/folder%2F..%2F..%2Foutside.vnc",
        "/api/files/" + str(outside).replace("/", "%2F"),
        "/api/files/%00.vnc",
        "/api/files/notes.txt",
        "/api/files/.sourcerevision.sqlite3",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
    ]
    for path in paths:
        for suffix in ("", "/download"):
            # As raw bytes: httpx would tidy the dots away before they are sent.
            url = client.base_url.copy_with(raw_path=(path + suffix).encode())
            answer = client.get(url)
            assert answer.status_code in (400, 404), (path + suffix, answer.text)
            assert "secret" not in answer.text
