"""What was answered stays true when the server is killed with `kill -9`."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
from server import Server

_CLIENTS = 4
_BEFORE_THE_KILL = 40


def test_audit_trail_survives_kill_9(repository: Path, command: str) -> None:
    """Clients check out as fast as they can while the server is killed."""
    acknowledged: set[str] = set()
    lock = threading.Lock()
    enough = threading.Event()

    def check_out_until_the_server_is_gone(url: str, number: int) -> None:
        with httpx.Client(base_url=url, timeout=30) as client:
            for count in range(100_000):
                name = f"{number}-{count}.vnc"
                (repository / name).touch()
                request = {"filename": name, "user": f"user{number}", "message": "busy"}
                try:
                    answer = client.post("/api/checkout", json=request)
                except httpx.TransportError:
                    return
                assert answer.status_code == 200, answer.text
                with lock:
                    acknowledged.add(name)
                    if len(acknowledged) >= _BEFORE_THE_KILL:
                        enough.set()

    with Server(repository, command) as server:
        clients = [
            threading.Thread(target=check_out_until_the_server_is_gone, args=(server.url, number))
            for number in range(_CLIENTS)
        ]
        for client_thread in clients:
            client_thread.start()
        try:
            assert enough.wait(60), f"only {len(acknowledged)} checkouts:\n{server.output}"
        finally:
            assert server.kill() == -9
            for client_thread in clients:
                client_thread.join(60)

    with Server(repository, command) as server, httpx.Client(base_url=server.url) as client:
        trail = client.get("/api/audit", params={"limit": 10_000}).raise_for_status().json()
        files = client.get("/api/files").raise_for_status().json()
        recorded = {line["filename"] for line in trail}
        held = {file["name"] for file in files if file["checkout"]}
        assert acknowledged <= recorded
        # A checkout that was cut short left both of its rows or neither.
        assert recorded == held
        # At most the one request of each client that was never answered.
        assert len(recorded - acknowledged) <= _CLIENTS
        refused = {"filename": min(acknowledged), "user": "late", "message": ""}
        assert client.post("/api/checkout", json=refused).status_code == 409
