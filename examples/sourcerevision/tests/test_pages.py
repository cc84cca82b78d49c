"""The page for people, and what it loads."""

from __future__ import annotations

from pathlib import Path

import httpx


def test_page_shows_files_and_holders(client: httpx.Client) -> None:
    request = {"filename": "drill.vnc", "user": "ann", "message": "longer drill"}
    client.post("/api/checkout", json=request).raise_for_status()
    answer = client.get("/").raise_for_status()
    assert answer.headers["content-type"].startswith("text/html")
    assert "bracket.mcam" in answer.text
    assert "notes.txt" not in answer.text
    assert 'data-action="checkin" data-filename="drill.vnc"' in answer.text
    assert 'data-action="checkout" data-filename="bracket.mcam"' in answer.text
    assert "longer drill" in answer.text


def test_page_escapes_what_users_and_files_say(client: httpx.Client, repository: Path) -> None:
    name = '"><script>alert(1)<#?%41.vnc'.replace("/", "")
    (repository / name).write_text("content")
    request = {"filename": name, "user": "<b>ann</b>", "message": "<script>x</script>"}
    client.post("/api/checkout", json=request).raise_for_status()
    page = client.get("/").text
    assert "<script>alert" not in page
    assert "<script>x" not in page
    assert "<b>ann" not in page
    start = page.index("/api/files/%22")
    link = page[start : page.index('"', start)]
    assert client.get(link).raise_for_status().text == "content"


def test_static_files(client: httpx.Client) -> None:
    style = client.get("/static/style.css").raise_for_status()
    assert style.headers["content-type"].startswith("text/css")
    script = client.get("/static/checkout.js").raise_for_status()
    assert "javascript" in script.headers["content-type"]
    assert client.get("/static/missing.css").status_code == 404


def test_empty_repository_has_a_page(client: httpx.Client, repository: Path) -> None:
    for path in repository.glob("*.*c*"):
        if not path.name.startswith("."):
            path.unlink()
    assert "no machine file" in client.get("/").raise_for_status().text
