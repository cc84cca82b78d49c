"""What Starlette documents, in one application: every kind of response, route and middleware."""

import asyncio
import contextlib
import json
import pathlib
import threading

from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

HERE = pathlib.Path(__file__).parent
notes = []


@contextlib.asynccontextmanager
async def lifespan(app):
    app.state.of_app = "of the application"
    yield {"of_lifespan": ["from the start"]}
    print("starlette: the lifespan ended", flush=True)


async def plain(request):
    return PlainTextResponse("text", headers={"x-a": "1"})


async def html(request):
    return HTMLResponse("<p>é</p>")


async def echo_json(request):
    return JSONResponse({"json": await request.json(), "query": dict(request.query_params)})


async def form(request):
    async with request.form(max_files=5) as form:
        told = {}
        for name, value in form.items():
            if hasattr(value, "filename"):
                told[name] = [value.filename, value.content_type, len(await value.read())]
            else:
                told[name] = value
    return JSONResponse(told)


async def stream_in(request):
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return PlainTextResponse(str(size))


async def stream_out(request):
    async def chunks():
        for number in range(100):
            yield f"{number}\n"
            if number % 10 == 0:
                await asyncio.sleep(0)

    return StreamingResponse(chunks(), media_type="text/plain")


def stream_out_of_a_thread(request):
    return StreamingResponse((f"{number}\n" for number in range(50)), media_type="text/plain")


async def endless(request):
    """A stream that notes how it ends."""
    name = request.query_params["name"]

    async def chunks():
        try:
            while True:
                yield b"data: x\n\n"
                await asyncio.sleep(0.005)
        finally:
            notes.append(f"{name} closed")

    return StreamingResponse(
        chunks(),
        media_type="text/event-stream",
        background=BackgroundTask(notes.append, f"{name} background"),
    )


async def until_disconnect(request):
    name = request.query_params["name"]
    notes.append(f"{name} waits")
    while not await request.is_disconnected():
        await asyncio.sleep(0.005)
    notes.append(f"{name} disconnected")
    return PlainTextResponse("never seen")


async def disconnected_body(request):
    name = request.query_params["name"]
    notes.append(f"{name} reads")
    try:
        await request.body()
    except ClientDisconnect:
        notes.append(f"{name} disconnected")
        raise
    return PlainTextResponse("read")


async def told(request):
    return JSONResponse(notes)


async def file(request):
    return FileResponse(request.query_params["path"], filename="download.bin")


async def background(request):
    name = request.query_params["name"]
    tasks = BackgroundTasks()

    async def later():
        await asyncio.sleep(0.01)
        notes.append(f"{name} async")

    def in_a_thread():
        assert threading.current_thread() is not threading.main_thread()
        notes.append(f"{name} sync")

    tasks.add_task(later)
    tasks.add_task(in_a_thread)
    return PlainTextResponse("answered", background=tasks)


def synchronous(request):
    main = threading.current_thread() is threading.main_thread()
    return PlainTextResponse(str(main))


async def state(request):
    request.state.of_lifespan.append("a request")
    return JSONResponse([request.app.state.of_app, len(request.state.of_lifespan)])


async def fail(request):
    raise LookupError("on purpose")


async def refuse(request):
    raise HTTPException(status_code=418, detail="a teapot", headers={"x-tea": "green"})


async def handled(request):
    raise ZeroDivisionError


async def cookies(request):
    response = JSONResponse(dict(request.cookies))
    response.set_cookie("one", "1", httponly=True)
    response.set_cookie("two", "2", max_age=5)
    response.delete_cookie("three")
    return response


async def redirect(request):
    return RedirectResponse(request.url_for("plain"))


async def url(request):
    return JSONResponse([str(request.url), request.client.host, request.url.scheme])


async def no_content(request):
    return Response(status_code=204)


async def early_hints(request):
    return PlainTextResponse("x" * 5000)


class Methods(HTTPEndpoint):
    async def get(self, request):
        return PlainTextResponse("get")

    async def post(self, request):
        return PlainTextResponse("post")


class Socket(WebSocketEndpoint):
    encoding = "json"

    async def on_connect(self, websocket):
        await websocket.accept(subprotocol="one", headers=[(b"x-socket", b"yes")])

    async def on_receive(self, websocket, data):
        await websocket.send_json({"got": data})

    async def on_disconnect(self, websocket, close_code):
        notes.append(f"socket {close_code}")


async def refuse_socket(websocket):
    await websocket.send_denial_response(JSONResponse({"no": "entry"}, status_code=401))


async def close_socket(websocket):
    await websocket.accept()
    await websocket.close(code=4001, reason="enough")


class Timing(BaseHTTPMiddleware):
    """The middleware that people write, with a request and a response."""

    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-base"] = "passed"
        return response


class Pure:
    """The other kind: an application around an application."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def send_more(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-pure", b"passed")]
            await send(message)

        await self.app(scope, receive, send_more)


async def raw(scope, receive, send):
    """An application without a framework, mounted."""
    told = [scope["root_path"], scope["path"], scope["raw_path"].decode()]
    body = json.dumps(told).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def division(request, exc):
    return PlainTextResponse("handled", status_code=400)


routes = [
    Route("/plain", plain, name="plain"),
    Route("/html", html),
    Route("/json", echo_json, methods=["POST"]),
    Route("/form", form, methods=["POST"]),
    Route("/stream-in", stream_in, methods=["POST"]),
    Route("/stream-out", stream_out),
    Route("/stream-thread", stream_out_of_a_thread),
    Route("/endless", endless),
    Route("/until-disconnect", until_disconnect),
    Route("/disconnected-body", disconnected_body, methods=["POST"]),
    Route("/told", told),
    Route("/file", file),
    Route("/background", background),
    Route("/synchronous", synchronous),
    Route("/state", state),
    Route("/fail", fail),
    Route("/refuse", refuse),
    Route("/handled", handled),
    Route("/cookies", cookies),
    Route("/redirect", redirect),
    Route("/url", url),
    Route("/no-content", no_content),
    Route("/large", early_hints),
    Route("/methods", Methods),
    WebSocketRoute("/socket", Socket),
    WebSocketRoute("/refuse-socket", refuse_socket),
    WebSocketRoute("/close-socket", close_socket),
    Mount("/raw", app=raw),
    Mount("/static", app=StaticFiles(directory=HERE, html=False), name="static"),
    Mount("/sub", routes=[Route("/plain", plain), Mount("/deep", app=raw)]),
    Host("other.example", app=Router([Route("/plain", html)])),
    Mount(
        "/middleware",
        routes=[Route("/plain", plain), Route("/stream", stream_out), Route("/fail", fail)],
        middleware=[
            Middleware(Timing),
            Middleware(Pure),
            Middleware(GZipMiddleware, minimum_size=50),
        ],
    ),
]
# The host is asked for first: the other routes would take its path.
routes.insert(0, routes.pop(-2))

app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={ZeroDivisionError: division})
