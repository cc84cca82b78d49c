"""The speed that vivace has set itself; the tables print it beside what was measured.

A test never looks at these numbers.
"""

# Times faster than uvloop, by scheduling benchmark; those that are not here have none of their own
# and count in the geometric mean.
SCHEDULING = {
    "call_soon": 2.5,
    "call_soon_args": 2.5,
    "timer_fire": 2.5,
    "timer_cancel": 2.5,
    "create_await": 6.0,
    "future": 4.5,
    "gather": 2.3,
    "task_group": 2.3,
    "sleep_zero": 1.8,
    "queue": 1.9,
    "event": 1.9,
    "lock": 1.9,
    "timeout": 1.9,
    "call_soon_threadsafe": 1.3,
}

# Geometric mean of all scheduling benchmarks over uvloop.
SCHEDULING_MEAN = 2.7

# Geometric mean of the fraction of the bare server's CPU efficiency, by interface.
ECHO = {"protocol": 0.90, "buffered": 0.87}

# Milliseconds that `import vivace` may add to `import asyncio`.
IMPORT_MS = 15.0

# How many times the CPU time of vivace a web server takes for a request, by cell.
SERVE = (
    ("hello", "uvicorn", 3.5),
    ("hello", "granian", 3.5),
    ("echo 10 KB", "uvicorn", 3.0),
    ("FastAPI JSON, access log", "uvicorn", 1.35),
    ("FastAPI JSON", "uvicorn", 1.15),
    ("FastAPI sync def", "uvicorn", 1.3),
    ("StreamingResponse, 4 chunks", "uvicorn", 2.0),
    ("FileResponse, 50 KB", "uvicorn", 3.0),
    ("WebSocket echo, 100 B", "uvicorn", 3.0),
    ("TLS hello", "uvicorn", 2.0),
    ("HTTP/2 hello", "granian", 1.0),
)

# How many times the CPU time of the bare server vivace may take for `hello`.
SERVE_OVER_LIMIT = 1.4

# How many times the memory of vivace uvicorn takes for an idle connection.
SERVE_MEMORY = 3.0
