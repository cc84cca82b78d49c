"""A FastAPI application, for the suite `serve`."""

from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, StreamingResponse
from serve_raw import CHUNKS, FILE

app = FastAPI()


@app.get("/json")
async def answer_json() -> dict[str, Any]:
    """Answers with a small object, the way most endpoints do."""
    return {"message": "Hello, world!", "numbers": [1, 2, 3]}


@app.get("/sync")
def answer_from_thread() -> dict[str, Any]:
    """Answers with the same from a thread of the pool."""
    return {"message": "Hello, world!", "numbers": [1, 2, 3]}


@app.get("/stream")
async def answer_in_chunks() -> StreamingResponse:
    """Answers with four chunks."""
    return StreamingResponse(_chunks())


@app.get("/file")
async def answer_with_file() -> FileResponse:
    """Answers with a file."""
    return FileResponse(FILE)


async def _chunks() -> AsyncIterator[bytes]:
    for chunk in CHUNKS:
        yield chunk
