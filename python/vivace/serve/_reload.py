"""``--reload``: a parent that restarts the server when files change.

The parent holds the sockets, which listen from the beginning: a browser that asks while the
server restarts waits and is answered. A server that fails (a syntax error, say) stays away until
the next change.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path

from .. import _run
from ._ansi import styled
from ._binding import BindError, Binding, bind_all
from ._child import Child, first_of, written_orders
from ._config import Config
from ._errors import STARTUP_FAILURE
from ._logging import error_logger
from ._server import log_running
from ._supervisor import log_parent, seconds_to_end
from ._watching import Watcher, new_watcher

__all__ = ["Reloader"]


class Reloader:
    """Runs one worker, again and again."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._ending = asyncio.Event()
        self._changed = asyncio.Event()
        self._changes: set[Path] = set()
        self._binding = Binding()
        self._child: Child | None = None
        self._interrupts = 0

    def run(self) -> int:
        """Run until told to end.

        Returns:
            The exit status.
        """
        try:
            self._orders = written_orders(self.config)
            self._binding = bind_all(self.config.addresses)
        except (BindError, ValueError) as error:
            error_logger.error(error)
            return STARTUP_FAILURE
        try:
            for sock in self._binding.sockets:
                sock.listen(self.config.backlog)
            log_running(self.config, self._binding)
            _run.run(self._main())
            return 0
        finally:
            self._binding.close()
            self._binding.remove_paths()

    async def _main(self) -> None:
        self._handle_signals()
        watcher = new_watcher(self.config.reload_paths, self.config.reload_delay)
        number, name = styled("%d", "cyan", bold=True), styled("%s", "cyan", bold=True)
        error_logger.info(
            "Started reloader process [%d] using %s",
            os.getpid(),
            watcher.name,
            extra={"color_message": f"Started reloader process [{number}] using {name}"},
        )
        thread = threading.Thread(
            target=self._watch, args=(watcher, asyncio.get_running_loop()), daemon=True
        )
        thread.start()
        try:
            while not self._ending.is_set():
                await self._serve_until_change(watcher)
        finally:
            watcher.stop()
            await self._end_child(last=True)
            log_parent("Stopping reloader")

    async def _serve_until_change(self, watcher: Watcher) -> None:
        self._child = child = Child(self._orders, f"{self.config.app}")
        starting = asyncio.ensure_future(self._open(child))
        try:
            await first_of(self._changed, self._ending)
        finally:
            starting.cancel()
        if self._ending.is_set():
            return
        self._changed.clear()
        names = ", ".join(sorted(map(_shown, self._changes)))
        self._changes.clear()
        error_logger.warning("%s detected changes in %s. Reloading...", watcher.name, names)
        await self._end_child(last=False)

    async def _open(self, child: Child) -> None:
        if await child.is_ready():
            fds = [sock.fileno() for sock in self._binding.sockets]
            child.accept(0, fds, shared=False)

    async def _end_child(self, *, last: bool) -> None:
        child = self._child
        if child is not None and not child.ended.is_set():
            child.terminate(last=last)
            await child.join(seconds_to_end(self.config))

    def _watch(self, watcher: Watcher, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: pass on what changes."""
        for changes in watcher.changes():
            try:
                loop.call_soon_threadsafe(self._noted, changes)
            except RuntimeError:
                # The loop has been closed.
                return

    def _noted(self, changes: set[Path]) -> None:
        self._changes |= changes
        self._changed.set()

    def _handle_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupted)
        loop.add_signal_handler(signal.SIGTERM, self._ending.set)

    def _interrupted(self) -> None:
        self._interrupts += 1
        self._ending.set()
        if self._interrupts > 1 and self._child is not None:
            self._child.send_signal(signal.SIGINT if self._interrupts < 3 else signal.SIGKILL)


def _shown(path: Path) -> str:
    try:
        return f"'{path.relative_to(Path.cwd())}'"
    except ValueError:
        return f"'{path}'"
