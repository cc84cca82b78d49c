"""The types of the ASGI specification, as far as the server's Python side names them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

__all__ = ["Application", "Message", "Receive", "Scope", "Send"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

# ASGI 3: what the engine calls. What a user hands in may be something else; see `_adapters.py`.
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
