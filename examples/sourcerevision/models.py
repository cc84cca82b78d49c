"""What the API takes and answers, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, StringConstraints

Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
User = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Message = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]


class CheckoutRequest(BaseModel):
    """Who wants to check which file out or in, and why."""

    filename: Name
    user: User
    message: Message = ""


class Checkout(BaseModel):
    """A file that somebody holds."""

    filename: str
    user: str
    message: str
    since: datetime


class MachineFile(BaseModel):
    """A file of the repository, as it is on disk now."""

    name: str
    extension: str
    size: int
    mtime: datetime
    checkout: Checkout | None = None


class Summary(BaseModel):
    """How many files there are, by extension."""

    total: int
    by_extension: dict[str, int]


class AuditEntry(BaseModel):
    """One line of the audit trail; `id` grows by one with each."""

    id: int
    at: datetime
    action: Literal["checkout", "checkin"]
    filename: str
    user: str
    message: str


class Slept(BaseModel):
    """How long an endpoint slept, and in which way."""

    seconds: float
    how: Literal["blocking", "non-blocking"]
