"""Which exceptions of an application say only that its client has gone.

Who calls it: the native engine, before it logs what an application has raised after that.
"""

from __future__ import annotations

__all__ = ["tells_of_disconnect"]


def tells_of_disconnect(exception: BaseException) -> bool:
    """Whether there is nothing in an exception but that the client has gone.

    `send` raises an `OSError` then. Task groups put that into a group; Starlette puts its own
    `ClientDisconnect` in its place, which is none.

    Args:
        exception: What an application has raised whose client has gone.
    """
    if isinstance(exception, BaseExceptionGroup):
        return all(map(tells_of_disconnect, exception.exceptions))
    if isinstance(exception, OSError):
        return True
    kind = type(exception)
    return kind.__name__ == "ClientDisconnect" and kind.__module__.partition(".")[0] == "starlette"
