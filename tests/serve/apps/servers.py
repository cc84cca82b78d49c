"""What tests of the command line serve: plain applications, factories, broken names."""

import os

from apps import probe
from apps.paths import Paths, answer

app = Paths()


@app.handler
async def environment(scope, receive, send, record):
    """A variable of the process, as Python writes it."""
    name = scope["path"].rpartition("/")[2]
    await answer(send, repr(os.environ.get(name)).encode())


@app.handler
async def path(scope, receive, send, record):
    import sys

    await answer(send, repr((sys.path, os.getcwd())).encode())


class Endpoint:
    """An application that is awaited, and is no coroutine function."""

    def __init__(self, scope, receive, send):
        self.arguments = (scope, receive, send)

    def __await__(self):
        return probe.app(*self.arguments).__await__()


def factory():
    return probe.app


async def coroutine_factory():
    return probe.app


def broken_factory():
    raise LookupError("the factory broke")


def factory_with_arguments(needed):
    return probe.app


class Namespace:
    app = probe.app


not_an_application = 5


class Asgi2:
    """An application of ASGI 2: called with the scope, then with receive and send."""

    def __init__(self, scope):
        self.scope = scope

    async def __call__(self, receive, send):
        await answer(send, f"asgi2 {self.scope['type']} {self.scope['asgi']['version']}".encode())


def wsgi(environ, start_response):
    """An application of WSGI."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Path", environ["PATH_INFO"])])
    return [b"wsgi ", environ["REQUEST_METHOD"].encode(), b" ", body]
