"""The routes that check files out and in, and the audit trail of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from sourcerevision.dependencies import LedgerOfApp, RepositoryOfApp
from sourcerevision.models import AuditEntry, Checkout, CheckoutRequest

router = APIRouter(prefix="/api", tags=["checkouts"])


@router.post("/checkout", responses={409: {"description": "somebody holds the file"}})
def check_out(
    request: CheckoutRequest, repository: RepositoryOfApp, ledger: LedgerOfApp
) -> Checkout:
    """Gives a file to one user; of several who ask at once, one gets it."""
    entry = repository.locate(request.filename)
    held = ledger.check_out(entry.name, request.user, request.message)
    return Checkout.model_validate(held, from_attributes=True)


@router.post("/checkin", responses={409: {"description": "the user does not hold the file"}})
def check_in(request: CheckoutRequest, ledger: LedgerOfApp) -> AuditEntry:
    """Takes a file back from the user who holds it."""
    # The file may be gone from the disk by now; whoever holds it can still
    # give it back, so only the ledger is asked.
    record = ledger.check_in(request.filename, request.user, request.message)
    return AuditEntry.model_validate(record, from_attributes=True)


@router.get("/audit")
def audit(
    ledger: LedgerOfApp,
    filename: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> list[AuditEntry]:
    """The newest checkouts and checkins, the newest first."""
    return [
        AuditEntry.model_validate(record, from_attributes=True)
        for record in ledger.audit(filename, limit)
    ]
