"""The page for people: the files, who holds them, what happened last."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from sourcerevision.dependencies import LedgerOfApp, RepositoryOfApp
from sourcerevision.files import machine_file

router = APIRouter(include_in_schema=False)
_templates = Jinja2Templates(Path(__file__).parent / "templates")


@router.get("/", response_class=HTMLResponse)
def index(request: Request, repository: RepositoryOfApp, ledger: LedgerOfApp) -> HTMLResponse:
    """Renders the page."""
    held = ledger.held()
    return _templates.TemplateResponse(
        request,
        "index.html",
        {
            "files": [machine_file(entry, held.get(entry.name)) for entry in repository.files()],
            "counts": repository.count_by_extension(),
            "audit": ledger.audit(limit=10),
        },
    )
