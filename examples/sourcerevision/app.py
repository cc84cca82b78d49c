"""Puts the application together.

The routes are plain `def` functions wherever they touch the disk or the
database: FastAPI runs those on worker threads, so that the event loop serves
other requests meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from sourcerevision import checkouts, files, pages, sleeping
from sourcerevision.ledger import Conflict, Ledger
from sourcerevision.repository import BadName, NoSuchFile, Repository
from sourcerevision.request_log import RequestLog, written_by_a_thread
from sourcerevision.settings import Settings

_HERE = Path(__file__).parent


def create_app(settings: Settings) -> FastAPI:
    """Returns the application for one repository and its database."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.repository = await asyncio.to_thread(Repository, settings.repository)
        app.state.ledger = await asyncio.to_thread(Ledger, settings.database)
        try:
            with written_by_a_thread():
                yield
        finally:
            await asyncio.to_thread(app.state.ledger.close)

    app = FastAPI(title="Source revision", lifespan=lifespan)
    app.add_middleware(RequestLog)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    for module in (pages, files, checkouts, sleeping):
        app.include_router(module.router)
    app.add_exception_handler(BadName, _answer(400, "not a file name"))
    app.add_exception_handler(NoSuchFile, _answer(404, "no such machine file"))
    app.add_exception_handler(Conflict, _answer(409))
    return app


def _answer(
    status: int, text: str | None = None
) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    """Returns an exception handler: this status, with a text or the exception's own."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": text or str(error)}, status)

    return answer
