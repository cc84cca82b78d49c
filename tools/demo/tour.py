"""Requests every endpoint of the example once, prints the answers, judges them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

_ANN = {"filename": "bracket.mcam", "user": "ann", "message": "new fixture"}
_BOB = {"filename": "bracket.mcam", "user": "bob", "message": "me too"}


@dataclass(frozen=True)
class _Stop:
    """One request, and what makes its answer a right one."""

    method: str
    path: str
    right: Callable[[httpx.Response], bool]
    body: dict[str, str] | None = None
    status: int = 200
    parameters: dict[str, Any] = field(default_factory=dict)


_STOPS = [
    _Stop("GET", "/", lambda answer: "bracket.mcam" in answer.text),
    _Stop("GET", "/static/style.css", lambda answer: "body" in answer.text),
    _Stop("GET", "/api/files", lambda answer: len(answer.json()) == 4),
    _Stop(
        "GET",
        "/api/files/summary",
        lambda answer: answer.json()["by_extension"] == {".mcam": 2, ".vnc": 2},
    ),
    _Stop("GET", "/api/files/bracket.mcam", lambda answer: answer.json()["size"] == 12294),
    _Stop("GET", "/api/files/bracket.mcam/download", lambda answer: len(answer.content) == 12294),
    _Stop("GET", "/api/files/README.txt", lambda answer: True, status=404),
    _Stop("POST", "/api/checkout", lambda answer: answer.json()["user"] == "ann", _ANN),
    _Stop("POST", "/api/checkout", lambda answer: "ann" in answer.json()["detail"], _BOB, 409),
    _Stop("POST", "/api/checkin", lambda answer: answer.json()["action"] == "checkin", _ANN),
    _Stop("GET", "/api/audit", lambda answer: len(answer.json()) == 2),
    _Stop(
        "GET",
        "/sync-slow",
        lambda answer: answer.json()["how"] == "blocking",
        parameters={"seconds": 0.1},
    ),
    _Stop("GET", "/async-fast", lambda answer: answer.json()["how"] == "non-blocking"),
]


def tour(url: str) -> list[str]:
    """Returns one sentence for each answer that is wrong."""
    wrong = []
    with httpx.Client(base_url=url, timeout=30) as client:
        for stop in _STOPS:
            request = client.build_request(
                stop.method, stop.path, json=stop.body, params=stop.parameters
            )
            name = f"{stop.method} {request.url.raw_path.decode()}"
            try:
                answer = client.send(request)
            except httpx.HTTPError as error:
                wrong.append(f"{name}: {error!r}")
                continue
            print(f"{name} -> {answer.status_code} {_short(answer)}")
            if answer.status_code != stop.status:
                wrong.append(f"{name} answered {answer.status_code} instead of {stop.status}")
            elif not stop.right(answer):
                wrong.append(f"{name} answered wrongly: {_short(answer)}")
    return wrong


def _short(answer: httpx.Response) -> str:
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind == "application/json":
        return answer.text if len(answer.text) <= 200 else f"{answer.text[:200]}…"
    return f"{kind}, {len(answer.content)} bytes"
