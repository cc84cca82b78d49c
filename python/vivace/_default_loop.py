"""Makes vivace's loop the one that asyncio makes, for programs that do not know of vivace.

Used by `vivace run`. A policy would not do: it is deprecated, programs set their own or reset it
with None (test suites do so after every module), and servers name `asyncio.SelectorEventLoop`
outright when they mean "the normal loop" (uvicorn does). So the request for asyncio's own loop
is answered where all of these arrive, when that class is called without arguments.

What a program asks for explicitly it gets: another loop's factory or policy, a selector loop
with a selector of its own, a subclass.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from ._loop import EventLoop

ASYNCIO_LOOP: Any = asyncio.SelectorEventLoop


def make_vivace_the_default() -> None:
    """Let ``asyncio.SelectorEventLoop()`` make a `vivace.EventLoop`, which is a subclass of it.

    That covers asyncio.run, Runner, new_event_loop, the default policy, unittest and, where it
    exists, asyncio.EventLoop, in all threads, in forked children and in those of multiprocessing.
    """
    if ASYNCIO_LOOP.__new__ is not _new:
        ASYNCIO_LOOP.__new__ = staticmethod(_new)
        _tell_spawned_children()


def _new(cls: Any, *args: Any, **kwargs: Any) -> Any:
    """The ``__new__`` that asyncio's class gets."""
    if cls is ASYNCIO_LOOP and not args and not kwargs:
        # type.__call__ goes on to call __init__, as this is an instance of cls.
        return EventLoop.__new__(EventLoop)
    inherited = super(ASYNCIO_LOOP, cls).__new__
    if inherited is object.__new__:
        return inherited(cls)
    return inherited(cls, *args, **kwargs)


def _tell_spawned_children() -> None:
    """Have children that multiprocessing starts afresh (spawn, forkserver) do the same.

    uvicorn's workers and its reloader are such children.
    """
    loaded = sys.modules.get("multiprocessing.spawn")
    if loaded is not None:
        _extend_preparation_data(loaded)
    else:
        # Importing it here would cost every program, and register its exit handler too early.
        sys.meta_path.insert(0, _WhenSpawnIsImported())


def _extend_preparation_data(spawn: ModuleType) -> None:
    original: Callable[[str], dict[str, Any]] = spawn.get_preparation_data

    @functools.wraps(original)
    def get_preparation_data(name: str) -> dict[str, Any]:
        return original(name) | {"vivace": _MakesVivaceTheDefault()}

    spawn.get_preparation_data = get_preparation_data  # type: ignore[attr-defined]


class _MakesVivaceTheDefault:
    """Has its effect when a child unpickles it, which is before it imports the program."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return make_vivace_the_default, ()


class _WhenSpawnIsImported:
    """A finder that finds nothing, but sees `multiprocessing.spawn` being imported."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != "multiprocessing.spawn":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            _after_execution(spec.loader, _extend_preparation_data)
        return spec


def _after_execution(loader: Any, action: Callable[[ModuleType], None]) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module
        execute(module)
        action(module)

    loader.exec_module = exec_module
