"""A Quart application: HTTP and a WebSocket."""

from quart import Quart, request, websocket

app = Quart(__name__)


@app.before_serving
async def start():
    app.config["STARTED"] = True


@app.get("/hello")
async def hello():
    return {"started": app.config["STARTED"], "a": request.args.get("a")}


@app.post("/echo")
async def echo():
    return await request.get_data()


@app.get("/stream")
async def stream():
    async def parts():
        for number in range(10):
            yield f"{number}\n".encode()

    return parts()


@app.get("/fail")
async def fail():
    raise LookupError("on purpose")


@app.websocket("/socket")
async def socket():
    while True:
        await websocket.send((await websocket.receive()).upper())
