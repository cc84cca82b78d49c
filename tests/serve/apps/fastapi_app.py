"""What FastAPI documents, in one application: parameters, dependencies, security, sub-apps."""

import asyncio
import contextlib
import threading
from typing import Annotated

from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
)
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

notes = []


@contextlib.asynccontextmanager
async def lifespan(app):
    app.state.database = {"rows": 3}
    yield
    app.state.database = None
    print("fastapi: the lifespan ended", flush=True)


app = FastAPI(lifespan=lifespan, title="a test")
app.add_middleware(CORSMiddleware, allow_origins=["http://allowed"], allow_methods=["*"])


class Item(BaseModel):
    name: str
    price: float = 1.5
    tags: list[str] = []


@app.middleware("http")
async def count(request: Request, call_next):
    response = await call_next(request)
    response.headers["x-counted"] = "yes"
    return response


@app.get("/items/{number}")
async def read_item(
    number: int,
    wanted: Annotated[list[str] | None, Query()] = None,
    x_name: Annotated[str | None, Header()] = None,
    session: Annotated[str | None, Cookie()] = None,
):
    return {"number": number, "wanted": wanted, "name": x_name, "session": session}


@app.post("/items", status_code=201)
async def make_item(item: Item, extra: Annotated[int, Body()] = 0) -> Item:
    return Item(name=item.name.upper(), price=item.price + extra, tags=item.tags)


@app.get("/paths/{path:path}")
async def read_path(path: str):
    return path


@app.get("/synchronous")
def synchronous():
    return {"main": threading.current_thread() is threading.main_thread()}


meeting = threading.Barrier(10)


@app.get("/meet")
def meet():
    """Wait until there are ten, each in a thread of its own."""
    meeting.wait(50)
    return {}


async def opened(name: str):
    """A dependency with an end, which comes after the handler."""
    notes.append(f"{name} opened")
    try:
        yield f"resource {name}"
    except LookupError:
        notes.append(f"{name} saw LookupError")
        raise
    finally:
        notes.append(f"{name} closed")


def opened_in_a_thread(name: str):
    assert threading.current_thread() is not threading.main_thread()
    yield f"thread {name}"
    notes.append(f"{name} thread closed")


@app.get("/dependencies")
async def dependencies(
    one: Annotated[str, Depends(opened)], two: Annotated[str, Depends(opened_in_a_thread)]
):
    return [one, two]


@app.get("/dependencies/fail")
async def failing(one: Annotated[str, Depends(opened)]):
    raise LookupError("on purpose")


@app.get("/dependencies/refuse")
async def refusing(one: Annotated[str, Depends(opened)]):
    raise HTTPException(status_code=409, detail={"why": "busy"}, headers={"x-why": "busy"})


@app.get("/told")
async def told():
    return notes


@app.post("/form")
async def form(name: Annotated[str, Form()], file: Annotated[bytes, File()]):
    return {"name": name, "size": len(file)}


@app.post("/uploads")
async def uploads(files: list[UploadFile]):
    return [[file.filename, file.size, len(await file.read())] for file in files]


@app.get("/stream")
async def stream():
    async def rows():
        for number in range(20):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0)

    return StreamingResponse(rows(), media_type="text/event-stream")


@app.get("/background")
async def background(tasks: BackgroundTasks, name: str):
    tasks.add_task(notes.append, f"{name} ran")
    return {"queued": True}


@app.get("/database")
async def database(request: Request):
    return request.app.state.database


@app.get("/response")
async def response(response: Response):
    response.headers["x-own"] = "1"
    response.set_cookie("a", "b")
    response.status_code = 202
    return {}


@app.websocket("/socket/{room}")
async def socket(websocket: WebSocket, room: int, token: str | None = None):
    if token == "bad":
        raise WebSocketException(code=1008, reason="bad token")
    await websocket.accept()
    try:
        while True:
            text = await websocket.receive_text()
            await websocket.send_json({"room": room, "text": text})
    except WebSocketDisconnect as exc:
        notes.append(f"room {room} closed with {exc.code}")


router = APIRouter(prefix="/router", tags=["router"])


@router.get("/one")
async def one():
    return 1


app.include_router(router)

sub = FastAPI()


@sub.get("/where")
async def where(request: Request):
    return [request.scope["root_path"], request.url.path]


app.mount("/sub", sub)
