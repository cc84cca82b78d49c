"""Checking out and in over HTTP, alone and with others at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from server import Server


def body(filename: str, user: str, message: str = "a reason") -> dict[str, str]:
    return {"filename": filename, "user": user, "message": message}


def test_out_and_in_again(client: httpx.Client) -> None:
    out = client.post("/api/checkout", json=body("drill.vnc", "ann", "longer drill"))
    assert out.status_code == 200
    assert out.json() | {"since": None} == body("drill.vnc", "ann", "longer drill") | {
        "since": None
    }
    assert client.get("/api/files/drill.vnc").json()["checkout"] == out.json()

    refused = client.post("/api/checkout", json=body("drill.vnc", "bob"))
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "drill.vnc is checked out by ann",
    )
    assert client.post("/api/checkin", json=body("drill.vnc", "bob")).status_code == 409

    assert client.post("/api/checkin", json=body("drill.vnc", "ann")).status_code == 200
    assert client.post("/api/checkin", json=body("drill.vnc", "ann")).status_code == 409
    assert client.get("/api/files/drill.vnc").json()["checkout"] is None
    actions = [(line["action"], line["user"]) for line in client.get("/api/audit").json()]
    assert actions == [("checkin", "ann"), ("checkout", "ann")]


def test_file_that_is_gone_can_still_be_checked_in(client: httpx.Client, repository: Path) -> None:
    client.post("/api/checkout", json=body("drill.vnc", "ann")).raise_for_status()
    (repository / "drill.vnc").unlink()
    assert client.post("/api/checkin", json=body("drill.vnc", "ann")).status_code == 200


@pytest.mark.parametrize(
    ("filename", "user", "status"),
    [
        ("gone.vnc", "ann", 404),
        ("notes.txt", "ann", 404),
        ("../drill.vnc", "ann", 400),
        ("/etc/passwd", "ann", 400),
        ("", "ann", 422),
        ("drill.vnc", "   ", 422),
    ],
)
def test_wrong_requests(client: httpx.Client, filename: str, user: str, status: int) -> None:
    assert client.post("/api/checkout", json=body(filename, user)).status_code == status
    assert client.get("/api/audit").json() == []


def test_of_many_users_at_once_one_wins(repository: Path, command: str) -> None:
    """Two server processes over one database, as two workers would be."""
    users = [f"user{number}" for number in range(6)]

    async def race(urls: list[str]) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            for round_number in range(20):
                name = f"{round_number}.vnc"
                (repository / name).touch()
                answers = await asyncio.gather(
                    *(
                        client.post(f"{urls[i % 2]}/api/checkout", json=body(name, user))
                        for i, user in enumerate(users)
                    )
                )
                codes = [answer.status_code for answer in answers]
                assert sorted(codes) == [200] + [409] * (len(users) - 1)
                trail = await client.get(f"{urls[0]}/api/audit", params={"filename": name})
                assert [line["user"] for line in trail.json()] == [users[codes.index(200)]]

    with Server(repository, command) as first, Server(repository, command) as second:
        asyncio.run(race([first.url, second.url]))
