"""The engine as the server sees it: what `vivace._native.HttpService` promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from .. import _native
from ._asgi_types import Application
from ._settings import Settings

__all__ = ["Service", "make_service"]


class Service(Protocol):
    """What the connections of one server share, and what makes their protocols."""

    connections: int
    """How many connections are open."""

    requests: int
    """How many requests are in flight."""

    served: int
    """How many requests have been answered since the beginning."""

    on_served: Callable[[int], None] | None
    """Called once, when `served` reaches the settings' limit_max_requests."""

    def __call__(self) -> asyncio.Protocol:
        """The protocol of one more connection."""

    def drain(self) -> None:
        """Let idle connections close, and the others once they have answered."""

    def disconnect(self) -> None:
        """Let running handlers see ``http.disconnect``, and close WebSockets with 1012."""

    def cancel(self) -> int:
        """Cancel the tasks of the requests that still run; tells how many."""

    def abort(self) -> None:
        """Close what is still open."""

    async def wait_closed(self) -> None:
        """Wait until no connection and no request is left."""


def make_service(app: Application, settings: Settings, state: dict[str, Any] | None) -> Service:
    """The engine's service for an application."""
    service: Service = _native.HttpService(app, settings, state)  # type: ignore[attr-defined]
    return service
