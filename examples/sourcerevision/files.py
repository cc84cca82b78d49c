"""The routes of the machine files: list, count, describe, download."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse

from sourcerevision.dependencies import LedgerOfApp, RepositoryOfApp
from sourcerevision.ledger import Held
from sourcerevision.models import Checkout, MachineFile, Summary
from sourcerevision.repository import Entry

router = APIRouter(prefix="/api/files", tags=["files"])


@router.get("")
def list_files(repository: RepositoryOfApp, ledger: LedgerOfApp) -> list[MachineFile]:
    """Every machine file, sorted by name."""
    held = ledger.held()
    return [machine_file(entry, held.get(entry.name)) for entry in repository.files()]


# Before "/{name}", which would take "summary" for the name of a file. No machine
# file is hidden by this: they all have an extension.
@router.get("/summary")
def summary(repository: RepositoryOfApp) -> Summary:
    """How many files there are, by extension."""
    counts = repository.count_by_extension()
    return Summary(total=sum(counts.values()), by_extension=counts)


@router.get("/{name}")
def describe(name: str, repository: RepositoryOfApp, ledger: LedgerOfApp) -> MachineFile:
    """Size, time of change and holder of one file."""
    entry = repository.locate(name)
    return machine_file(entry, ledger.held().get(entry.name))


@router.get("/{name}/download", response_class=FileResponse)
def download(name: str, repository: RepositoryOfApp) -> FileResponse:
    """The file itself."""
    entry = repository.locate(name)
    return FileResponse(entry.path, filename=entry.name, media_type="application/octet-stream")


def machine_file(entry: Entry, held: Held | None) -> MachineFile:
    """Returns what the API and the page say of a file."""
    return MachineFile(
        name=entry.name,
        extension=entry.extension,
        size=entry.size,
        mtime=entry.mtime,
        checkout=None if held is None else Checkout.model_validate(held, from_attributes=True),
    )
