"""A handler that blocks the loop until a FIFO, named by the query, is written to."""

from urllib.parse import unquote


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    fifo = unquote(scope["query_string"].decode())
    if fifo:
        print("blocked now", flush=True)
        with open(fifo, "rb") as file:
            file.read()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})
