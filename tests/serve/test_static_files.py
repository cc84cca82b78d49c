"""`--static ROUTE=DIR`: content, validators, ranges, variants, and what must not be served."""

from __future__ import annotations

import email.utils
import os
from pathlib import Path

import pytest
from support.http_service import Message, Receive, Send, exchange_bytes

from vivace.serve._static import StaticFiles

CONTENT = bytes(range(256)) * 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to serve, inside of one with a secret."""
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "public"
    (folder / "deep").mkdir(parents=True)
    (folder / "data.bin").write_bytes(CONTENT)
    (folder / "app.js").write_text("let a = 1;")
    (folder / "app.js.gz").write_bytes(b"gz")
    (folder / "app.js.br").write_bytes(b"br")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "deep" / "ä b.txt").write_text("deep")
    (folder / "large.bin").write_bytes(b"x" * 1_000_000)
    (folder / "out").symlink_to(tmp_path / "secret.txt")
    (folder / "up").symlink_to(tmp_path)
    (folder / "in").symlink_to(folder / "app.js")
    os.mkfifo(folder / "fifo")
    return folder


def ask(
    folder: Path, path: str, *headers: str, method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    """Status, header fields and content of the answer."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 299})
        await send({"type": "http.response.body", "body": b"app"})

    lines = "".join(f"{header}\r\n" for header in headers)
    request = f"{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{lines}\r\n"
    answer = exchange_bytes(StaticFiles(app, [("/static", str(folder))]), request.encode())
    head, _, content = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    parts = (field.partition(": ") for field in fields)
    return int(status.split()[1]), {name: value for name, _, value in parts}, content


def test_a_file_with_its_validators(folder: Path) -> None:
    status, headers, content = ask(folder, "/static/data.bin")
    assert (status, content) == (200, CONTENT)
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-length"] == "1024"
    assert headers["accept-ranges"] == "bytes"
    changed = email.utils.parsedate_to_datetime(headers["last-modified"]).timestamp()
    assert changed == int((folder / "data.bin").stat().st_mtime)


@pytest.mark.parametrize("name", ["large.bin", "empty.txt", "deep/%C3%A4%20b.txt", "in"])
def test_files_of_all_kinds(folder: Path, name: str) -> None:
    status, _, content = ask(folder, f"/static/{name}")
    expected = {"large.bin": b"x" * 1_000_000, "empty.txt": b"", "in": b"let a = 1;"}
    assert (status, content) == (200, expected.get(name, b"deep"))


def test_other_paths_are_the_applications(folder: Path) -> None:
    assert ask(folder, "/other")[0] == 299
    assert ask(folder, "/staticfile")[0] == 299


@pytest.mark.parametrize(
    "path",
    [
        "missing", "", "deep", "deep/", "../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt",
        "deep/../../secret.txt", "out", "up/secret.txt", "/etc/passwd", "%2fetc/passwd",
        "data.bin%00.txt", "fifo", "data.bin/", "\\..\\secret.txt",
    ],
)  # fmt: skip
def test_nothing_else_is_served(folder: Path, path: str) -> None:
    status, _, content = ask(folder, f"/static/{path}")
    assert status == 404
    assert b"secret" not in content


def test_only_reading(folder: Path) -> None:
    status, headers, _ = ask(folder, "/static/data.bin", method="DELETE")
    assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_head_is_get_without_content(folder: Path) -> None:
    got = ask(folder, "/static/data.bin")
    status, headers, content = ask(folder, "/static/data.bin", method="HEAD")
    assert (status, content) == (200, b"")
    # The second may have changed in between.
    assert {**headers, "date": ""} == {**got[1], "date": ""}


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=10-19", slice(10, 20)),
        ("bytes=1000-", slice(1000, 1024)),
        ("bytes=1000-5000", slice(1000, 1024)),
        ("bytes=-24", slice(1000, 1024)),
        ("bytes=-5000", slice(0, 1024)),
    ],
)
def test_a_range(folder: Path, asked: str, part: slice) -> None:
    status, headers, content = ask(folder, "/static/data.bin", f"range: {asked}")
    assert (status, content) == (206, CONTENT[part])
    assert headers["content-range"] == f"bytes {part.start}-{part.stop - 1}/1024"
    assert headers["content-length"] == str(part.stop - part.start)


@pytest.mark.parametrize(
    "asked", ["bytes=5-4", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=0-1,5-6", ""]
)
def test_what_is_no_single_range_gets_the_whole(folder: Path, asked: str) -> None:
    status, _, content = ask(folder, "/static/data.bin", f"range: {asked}")
    assert (status, content) == (200, CONTENT)


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_that_is_not_there(folder: Path, asked: str) -> None:
    status, headers, content = ask(folder, "/static/data.bin", f"range: {asked}")
    assert (status, headers["content-range"], content) == (416, "bytes */1024", b"")


def test_a_range_of_the_version_that_the_client_has(folder: Path) -> None:
    validators = ask(folder, "/static/data.bin")[1]
    for condition, expected in [
        (validators["etag"], 206),
        (validators["last-modified"], 206),
        ('"other"', 200),
        ("W/" + validators["etag"], 200),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 200),
    ]:
        asked = ask(folder, "/static/data.bin", "range: bytes=0-1", f"if-range: {condition}")
        assert asked[0] == expected, condition


def test_conditions(folder: Path) -> None:
    validators = ask(folder, "/static/data.bin")[1]
    etag, modified = validators["etag"], validators["last-modified"]
    old = "Mon, 01 Jan 2001 00:00:00 GMT"
    for conditions, expected in [
        ([f"if-none-match: {etag}"], 304),
        ([f"if-none-match: W/{etag}"], 304),
        (['if-none-match: "a", ' + etag], 304),
        (["if-none-match: *"], 304),
        (['if-none-match: "other"'], 200),
        ([f"if-modified-since: {modified}"], 304),
        ([f"if-modified-since: {old}"], 200),
        (["if-modified-since: nonsense"], 200),
        # The tag counts, and the date does not.
        (['if-none-match: "other"', f"if-modified-since: {modified}"], 200),
        ([f"if-match: {etag}"], 200),
        (["if-match: *"], 200),
        (['if-match: "other"'], 412),
        ([f"if-match: W/{etag}"], 412),
        ([f"if-unmodified-since: {old}"], 412),
        ([f"if-unmodified-since: {modified}"], 200),
    ]:
        status, headers, content = ask(folder, "/static/data.bin", *conditions)
        assert status == expected, conditions
        if expected == 304:
            assert headers["etag"] == etag
            assert content == b""


@pytest.mark.parametrize(
    ("accepted", "encoding", "content"),
    [
        ("gzip, br", "br", b"br"),
        ("gzip", "gzip", b"gz"),
        ("br;q=0, gzip;q=0.5", "gzip", b"gz"),
        ("GZIP", "gzip", b"gz"),
        ("zstd", None, b"let a = 1;"),
        ("identity", None, b"let a = 1;"),
        ("", None, b"let a = 1;"),
    ],
)
def test_variants_that_are_compressed_already(
    folder: Path, accepted: str, encoding: str | None, content: bytes
) -> None:
    status, headers, got = ask(folder, "/static/app.js", f"accept-encoding: {accepted}")
    assert (status, headers.get("content-encoding"), got) == (200, encoding, content)
    assert headers["vary"] == "accept-encoding"
    assert headers["content-type"].startswith("text/javascript")


def test_a_variant_of_an_older_version_is_not_served(folder: Path) -> None:
    os.utime(folder / "app.js.br", (1, 1))
    os.utime(folder / "app.js.gz", (1, 1))
    assert ask(folder, "/static/app.js", "accept-encoding: br, gzip")[2] == b"let a = 1;"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None: ...

    with pytest.raises(NotADirectoryError, match="is not a folder"):
        StaticFiles(app, [("/static", str(tmp_path / "missing"))])
