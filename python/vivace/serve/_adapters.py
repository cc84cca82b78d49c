"""Makes an ASGI 3 application of whatever was handed in: ASGI 2, WSGI, or a factory of one.

Which of them it is, is told by ``--interface`` or seen from what can be called how: an `async`
callable is ASGI 3, as uvicorn has it. Beyond that, what takes exactly the arguments of ASGI 3,
ASGI 2 or WSGI is taken for that.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal, cast

from ._asgi_types import Application, Message, Receive, Scope, Send
from ._errors import NotStarted
from ._log_formatters import TRACE_LOG_LEVEL
from ._logging import asgi_logger, error_logger

__all__ = ["Interface", "adapt", "as_coroutine_function", "called_if_factory"]

Interface = Literal["auto", "asgi3", "asgi2", "wsgi"]


def called_if_factory(app: Any, *, factory: bool) -> Any:
    """The application, if this is something that makes one, or else what was given.

    Args:
        app: What the import string named.
        factory: Whether the user says that it is a factory.

    Raises:
        NotStarted: It was said to be one and cannot be called like one.
    """
    if not factory and not (_takes(app, 0) and not inspect.iscoroutinefunction(app)):
        return app
    try:
        made = app()
    except TypeError as error:
        if not factory:
            return app
        error_logger.error("Error loading ASGI app factory: %s", error)
        raise NotStarted(f"{error}") from error
    if not factory:
        error_logger.warning(
            "ASGI app factory detected. Using it, "
            "but please consider setting the --factory flag explicitly."
        )
    return made


def adapt(app: Any, interface: Interface, name: Any = None) -> tuple[Application, Interface]:
    """The application as ASGI 3, and the interface that it has itself.

    Args:
        app: The application.
        interface: What it is, or ``auto``.
        name: What the user calls it.

    Raises:
        NotStarted: It needs a package that is not installed. That has been logged.
    """
    if not callable(app):
        called = name if isinstance(name, str) else repr(app)
        reason = f"{called} is of type {type(app).__qualname__}, which cannot be called."
        error_logger.error("Error loading ASGI app. %s", reason)
        raise NotStarted(reason)
    if interface == "auto":
        interface = interface_of(app)
    adapted: Application
    match interface:
        case "wsgi":
            adapted = _from_wsgi(app)
        case "asgi2":
            adapted = _from_asgi2(app)
        case _:
            adapted = as_coroutine_function(app)
    if logging.getLogger("uvicorn.error").getEffectiveLevel() <= TRACE_LOG_LEVEL:
        adapted = _traced(adapted)
    return adapted, interface


def interface_of(app: Any) -> Interface:
    """Which interface the application has."""
    while isinstance(app, functools.partial):
        app = app.func
    if inspect.isclass(app):
        return "asgi3" if hasattr(app, "__await__") else "asgi2"
    if _is_coroutine_function(app):
        return "asgi3"
    if _takes(app, 1) or not (_takes(app, 2) or _takes(app, 3)):
        return "asgi2"
    return "asgi3" if _takes(app, 3) else "wsgi"


def _is_coroutine_function(app: Any) -> bool:
    """Whether what a call of it returns can be made a task as it is."""
    if inspect.isclass(app):
        return False
    call = app if inspect.isroutine(app) else getattr(app, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(call)


def _takes(function: Any, count: int) -> bool:
    """Whether it can be called with so many arguments, as far as can be seen."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except (TypeError, ValueError):
        return False
    return True


def as_coroutine_function(app: Any) -> Application:
    """The application, also if it returns what can be awaited but is no coroutine.

    A class with `__await__` is one, such as the endpoints of Starlette.
    """
    if _is_coroutine_function(app):
        return cast("Application", app)

    async def asgi3(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return asgi3


def _from_asgi2(app: Any) -> Application:
    async def asgi3(scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope, "asgi": {**scope["asgi"], "version": "2.0"}}
        instance = cast("Callable[[Receive, Send], Awaitable[None]]", app(scope))
        await instance(receive, send)

    return asgi3


def _from_wsgi(app: Any) -> Application:
    """The application in a pool of threads, by a2wsgi."""
    try:
        from a2wsgi import WSGIMiddleware
    except ImportError:
        error_logger.error(
            "Error loading WSGI app. It needs the a2wsgi package: "
            "pip install a2wsgi, or pip install 'vivace[wsgi]'"
        )
        raise NotStarted("a2wsgi is not installed") from None
    served = cast("Application", WSGIMiddleware(app))

    async def asgi3(scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_in_coroutine() -> Message:
            # Called from the threads, through asyncio.run_coroutine_threadsafe, which takes
            # coroutines alone.
            return await receive()

        await served(scope, receive_in_coroutine, send)

    return asgi3


# What is too long, or nobody's business, to be in a log.
_LENGTH_ONLY = {"body": "bytes", "bytes": "bytes", "text": "chars"}


def _traced(app: Application) -> Application:
    """Logs each message of each call, at the level `trace`."""
    count = 0

    async def asgi3(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal count
        count += 1
        client = scope.get("client")
        peer = f"{client[0]}:{client[1]} - " if client else ""
        prefix = f"{peer}ASGI [{count}]"

        async def traced_receive() -> Message:
            message = await receive()
            asgi_logger.log(TRACE_LOG_LEVEL, "%s Receive %s", prefix, _abridged(message))
            return message

        async def traced_send(message: Message) -> None:
            asgi_logger.log(TRACE_LOG_LEVEL, "%s Send %s", prefix, _abridged(message))
            await send(message)

        asgi_logger.log(TRACE_LOG_LEVEL, "%s Started scope=%s", prefix, _abridged(scope))
        try:
            await app(scope, traced_receive, traced_send)
        except BaseException:
            asgi_logger.log(TRACE_LOG_LEVEL, "%s Raised exception", prefix)
            raise
        asgi_logger.log(TRACE_LOG_LEVEL, "%s Completed", prefix)

    return asgi3


def _abridged(message: Message) -> dict[str, Any]:
    short = dict(message)
    for key, unit in _LENGTH_ONLY.items():
        if short.get(key) is not None:
            short[key] = f"<{len(short[key])} {unit}>"
    if short.get("headers") is not None:
        short["headers"] = "<...>"
    return short
