"""How a route gets at the repository and the ledger of its application."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from sourcerevision.ledger import Ledger
from sourcerevision.repository import Repository


async def _repository(request: Request) -> Repository:
    return cast(Repository, request.app.state.repository)


async def _ledger(request: Request) -> Ledger:
    return cast(Ledger, request.app.state.ledger)


RepositoryOfApp = Annotated[Repository, Depends(_repository)]
LedgerOfApp = Annotated[Ledger, Depends(_ledger)]
