"""What is asked of web servers in the suite `serve`: a cell for each kind of traffic."""

from dataclasses import dataclass

# The name of the bare server among the servers of a record.
LIMIT = "bare server"
SERVERS = ("vivace", "uvicorn", "granian", "hypercorn")

CHUNKS = b"a" * 100 + b"b" * 100 + b"c" * 100 + b"d" * 100
JSON = b'{"message":"Hello, world!","numbers":[1,2,3]}'
FILE = bytes(range(256)) * 200


@dataclass(frozen=True)
class Cell:
    """One kind of traffic.

    Attributes:
        name: In records and tables.
        application: `module:name` in `workers/`.
        answer: The body that a request must be answered with.
        path: Of the request.
        body: Bytes of the request's body; of a message of a WebSocket.
        log: Whether servers write an access log.
        protocol: "http/1.1", "h2" or "websocket".
        tls: Whether it is encrypted.
        limit: Whether the bare server can stand in.
        alone: Whether to measure what the application costs without any server.
        servers: Who takes part.
    """

    name: str
    application: str
    answer: bytes = b""
    path: str = "/"
    body: int = 0
    log: bool = False
    protocol: str = "http/1.1"
    tls: bool = False
    limit: bool = False
    alone: bool = False
    servers: tuple[str, ...] = SERVERS


CELLS = (
    Cell("hello", "serve_raw:hello", b"Hello, world!", limit=True, alone=True),
    Cell("echo 10 KB", "serve_raw:echo", b"x" * 10_240, body=10_240),
    Cell("FastAPI JSON, access log", "serve_fastapi:app", JSON, "/json", log=True, alone=True),
    Cell("FastAPI JSON", "serve_fastapi:app", JSON, "/json", alone=True),
    Cell("FastAPI sync def", "serve_fastapi:app", JSON, "/sync", alone=True),
    Cell("StreamingResponse, 4 chunks", "serve_raw:stream", CHUNKS, alone=True),
    Cell("the same in FastAPI", "serve_fastapi:app", CHUNKS, "/stream", alone=True),
    Cell("FileResponse, 50 KB", "serve_raw:file", FILE),
    Cell("the same file in FastAPI", "serve_fastapi:app", FILE, "/file"),
    Cell("WebSocket echo, 100 B", "serve_raw:websocket", body=100, protocol="websocket"),
    Cell("TLS hello", "serve_raw:hello", b"Hello, world!", tls=True),
    Cell(
        "HTTP/2 hello",
        "serve_raw:hello",
        b"Hello, world!",
        protocol="h2",
        servers=("vivace", "granian", "hypercorn"),
    ),
)
