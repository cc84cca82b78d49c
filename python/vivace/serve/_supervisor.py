"""The parent of several workers: starts them, replaces them, ends them.

Each worker has a place, and a task here that keeps the place taken:

    vacant ──start──► serving ──asked to, or too old──► successor starts ─► ready ─► old one ends
       ▲                 └──died──► a neighbour takes its queue ──┐
       └────────────────────────── after a while ◄────────────────┘

Nobody accepts connections before all workers of the first start are ready, and a worker is ended
only when its successor is. A worker that dies is replaced at once the first time, and later the
longer it keeps dying. One that says that it cannot start ends the parent if that happens in the
first start, and is tried again otherwise: the others serve.

Signals: INT and TERM end everything, a second INT without waiting, a third by force; HUP replaces
all workers one after the other; TTIN adds a place, TTOU takes one away.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import _run
from .._native import Metrics
from . import _notify
from ._addresses import TcpAddress
from ._ansi import styled
from ._binding import BindError, Binding, Bound, another, bind_all
from ._child import Child, first_of, written_orders
from ._config import Config
from ._errors import STARTUP_FAILURE, NotStarted
from ._logging import error_logger
from ._metrics import answer_for_workers
from ._queues import Change, Queues
from ._server import log_running

__all__ = ["Supervisor", "delay_after_deaths", "log_parent", "seconds_to_end"]

# A worker that has lived so long was all right; what it died of is new.
_SECONDS_OF_A_GOOD_LIFE = 10.0
_LONGEST_DELAY = 30.0

# Beyond the time that a worker takes for itself, before it is killed.
_MARGIN = 10.0

# The queue of what cannot be multiplied; each worker accepts from it.
_SHARED = 0

# Caught, as they would otherwise end the parent and leave the workers behind.
_IGNORED = ("SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")


@dataclass
class _Place:
    """One of the workers that there are to be."""

    number: int
    child: Child | None = None
    successor: Child | None = None
    deaths: int = 0
    # Somebody wants this worker replaced, and to know how that went.
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    askers: list[asyncio.Future[bool]] = field(default_factory=list)
    keeper: asyncio.Future[None] | None = None

    @property
    def children(self) -> list[Child]:
        """Whoever runs for this place."""
        return [child for child in (self.child, self.successor) if child is not None]

    def answer(self, replaced: bool) -> None:
        """Tell those who asked."""
        self.asked.clear()
        for asker in self.askers:
            if not asker.done():
                asker.set_result(replaced)
        self.askers.clear()


class Supervisor:
    """Runs `config.processes` workers until it is told to end."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._places: list[_Place] = []
        self._binding = Binding()
        # The sockets of each queue.
        self._sockets: dict[int, list[Bound]] = {}
        self._queues = Queues()
        self._replacing = asyncio.Lock()
        self._ending = asyncio.Event()
        self._interrupts = 0
        # Workers that have been told to end and have no place any more.
        self._leaving: set[Child] = set()
        self._tasks: set[asyncio.Future[None]] = set()
        self._last_number = 0
        self._metrics: Metrics | None = None

    def run(self) -> int:
        """Run until told to end.

        Returns:
            The exit status.
        """
        try:
            self._orders = written_orders(self.config, self._start_metrics())
            self._binding = bind_all(self.config.addresses, reuse_port=True)
        except (BindError, ValueError) as error:
            error_logger.error(error)
            return STARTUP_FAILURE
        except NotStarted:
            return STARTUP_FAILURE
        try:
            return _run.run(self._main())
        finally:
            if self._metrics is not None:
                self._metrics.close()
            for bounds in self._sockets.values():
                for bound in bounds:
                    bound.close()
            self._binding.close()
            self._binding.remove_paths()

    def _start_metrics(self) -> str | None:
        """Where workers report their numbers, if these are wanted."""
        if self.config.metrics is None:
            return None
        self._metrics, address = answer_for_workers(self.config.metrics)
        return address

    async def _main(self) -> int:
        log_parent("Started parent")
        self._handle_signals()
        self._share_out_sockets()
        for _ in range(self.config.processes):
            self._add_place()
        self._do(self._watch_health())
        try:
            if not await self._first_start():
                return STARTUP_FAILURE
            await self._ending.wait()
            return 0
        finally:
            await self._end_all()
            log_parent("Stopping parent")

    # Starting.

    def _share_out_sockets(self) -> None:
        """Sort what is bound: TCP addresses are the first queue, the rest is for all."""
        multiplied = [b for b in self._binding.bound if isinstance(b.address, TcpAddress)]
        shared = [b for b in self._binding.bound if not isinstance(b.address, TcpAddress)]
        self._sockets[_SHARED] = shared
        self._sockets[1] = multiplied

    def _add_place(self) -> _Place:
        """Make a place, and a queue for it unless one is left over."""
        self._last_number += 1
        place = _Place(self._last_number)
        if self._queues.hire(place.number) is None:
            queue = place.number
            if queue not in self._sockets:
                self._sockets[queue] = [another(bound) for bound in self._sockets[1]]
            self._queues.add(queue, place.number)
        self._places.append(place)
        return place

    def _start_child(self) -> Child:
        return Child(self._orders, f"{self.config.app}")

    async def _first_start(self) -> bool:
        """Start all workers, and let them accept when all are ready.

        Those that die before are left to their keepers. False if one cannot start at all.
        """
        children = []
        for place in self._places:
            place.child = self._start_child()
            children.append(place.child)
        waiting: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(_all_decided(children)),
            asyncio.ensure_future(self._ending.wait()),
            *(asyncio.ensure_future(self._fails_to_start(child)) for child in children),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
        if self._ending.is_set():
            return True
        for child in children:
            if child.status == STARTUP_FAILURE and not child.ready.is_set():
                error_logger.error(
                    "Child process [%d] failed to start, stopping the parent process.", child.pid
                )
                return False
        ready = [place for place in self._places if place.child and place.child.serving]
        self._apply(self._queues.up(*(place.number for place in ready)))
        for place in ready:
            self._give_shared(place)
        for place in self._places:
            place.keeper = asyncio.ensure_future(self._keep(place))
        log_running(self.config, self._binding)
        _notify.notify_ready()
        return True

    async def _fails_to_start(self, child: Child) -> None:
        """Wait until it ends, saying that it could not start; for ever otherwise."""
        await child.ended.wait()
        if child.ready.is_set() or child.status != STARTUP_FAILURE:
            await asyncio.get_running_loop().create_future()

    # Sockets.

    def _apply(self, changes: list[Change]) -> None:
        for change in changes:
            place = self._place(change.worker)
            if place is None or place.child is None:
                continue
            if change.action == "accept":
                self._give(place.child, change.queue)
            else:
                place.child.release(change.queue)

    def _give(self, child: Child, queue: int) -> None:
        sockets = [sock for bound in self._sockets[queue] for sock in bound.sockets]
        for sock in sockets:
            # Here already, so that "running" is true when it is said.
            sock.listen(self.config.backlog)
        if sockets:
            child.accept(queue, [sock.fileno() for sock in sockets], shared=queue == _SHARED)

    def _give_shared(self, place: _Place) -> None:
        if place.child is not None:
            self._give(place.child, _SHARED)

    def _place(self, number: int) -> _Place | None:
        return next((place for place in self._places if place.number == number), None)

    # Keeping.

    async def _keep(self, place: _Place) -> None:
        """Keep a worker in this place."""
        while True:
            child = place.child
            if child is None or not child.ready.is_set():
                # A new place, or one whose first worker has died.
                if child is not None:
                    self._report_death(place, child)
                await self._fill(place)
                continue
            await first_of(child.ended, child.retiring, place.asked)
            if child.ended.is_set():
                self._apply(self._queues.down(place.number))
                self._report_death(place, child)
                await self._fill(place)
            elif not await self._replace(place):
                # It goes on serving. If it wants to go, it will want so again.
                await asyncio.sleep(delay_after_deaths(place.deaths))

    async def _fill(self, place: _Place) -> None:
        """Start workers for a place that has none, until one serves."""
        while True:
            await asyncio.sleep(delay_after_deaths(place.deaths))
            place.child = child = self._start_child()
            if await child.is_ready():
                self._apply(self._queues.up(place.number))
                self._give_shared(place)
                return
            self._report_death(place, child)

    async def _replace(self, place: _Place) -> bool:
        """Start a successor, and let the worker go when it serves. False if it does not."""
        async with self._replacing:
            old = place.child
            assert old is not None
            place.successor = self._start_child()
            ready = await place.successor.is_ready()
            new, place.successor = place.successor, None
            if ready:
                # A successor takes over whatever its predecessor accepts from.
                place.child, place.deaths = new, 0
                for queue in (_SHARED, *self._queues.of(place.number)):
                    self._give(new, queue)
                old.terminate()
                self._leaving.add(old)
                await old.join(seconds_to_end(self.config))
                self._leaving.discard(old)
            else:
                self._count_death(place, new)
                error_logger.error(
                    "New child process [%d] was not ready; keeping worker [%d].", new.pid, old.pid
                )
            place.answer(ready)
            return ready

    def _report_death(self, place: _Place, child: Child) -> None:
        if child.status == STARTUP_FAILURE:
            error_logger.error("Child process [%d] failed to start.", child.pid)
        else:
            error_logger.info("Child process [%d] died", child.pid)
        self._count_death(place, child)

    def _count_death(self, place: _Place, child: Child) -> None:
        lived = time.monotonic() - child.started_at
        # The one that has just died does not count against its successor if it lived long.
        place.deaths = 0 if lived > _SECONDS_OF_A_GOOD_LIFE else place.deaths + 1

    async def _watch_health(self) -> None:
        """Kill workers whose loop does not answer, if that is wanted."""
        limit = self.config.timeout_worker_healthcheck
        while limit is not None:
            pinged = [place.child for place in self._places if place.child and place.child.serving]
            for child in pinged:
                child.ping()
            await asyncio.sleep(limit)
            for child in pinged:
                if child.serving and not child.answers:
                    error_logger.error(
                        "Child process [%d] has not answered for %g seconds. Killing it.",
                        child.pid,
                        limit,
                    )
                    child.send_signal(signal.SIGKILL)

    # Signals.

    def _handle_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        handlers: dict[str, Callable[[], None]] = {
            "SIGINT": self._interrupted,
            "SIGTERM": self._terminated,
            "SIGHUP": self._hung_up,
            "SIGTTIN": self._one_more,
            "SIGTTOU": self._one_less,
            **dict.fromkeys(_IGNORED, lambda: None),
        }
        for name, handler in handlers.items():
            loop.add_signal_handler(getattr(signal, name), handler)

    def _interrupted(self) -> None:
        self._interrupts += 1
        if self._interrupts == 1 and not self._ending.is_set():
            error_logger.info("Received SIGINT, exiting.")
            self._ending.set()
            return
        for child in self._all_children():
            child.send_signal(signal.SIGINT if self._interrupts < 3 else signal.SIGKILL)

    def _terminated(self) -> None:
        error_logger.info("Received SIGTERM, exiting.")
        self._ending.set()

    def _hung_up(self) -> None:
        error_logger.info("Received SIGHUP, restarting processes.")
        self._do(self._restart_all())

    def _one_more(self) -> None:
        error_logger.info("Received SIGTTIN, increasing the number of processes.")
        if self._ending.is_set():
            return
        try:
            place = self._add_place()
        except BindError as error:
            error_logger.error(error)
            return
        place.keeper = asyncio.ensure_future(self._keep(place))

    def _one_less(self) -> None:
        error_logger.info("Received SIGTTOU, decreasing number of processes.")
        if len(self._places) <= 1:
            error_logger.info(
                "Already reached one process, cannot decrease the number of processes anymore."
            )
            return
        place = self._places.pop()
        if place.keeper is not None:
            place.keeper.cancel()
        place.answer(True)
        self._apply(self._queues.dismiss(place.number))
        for child in place.children:
            self._do(self._dismiss(child))

    async def _restart_all(self) -> None:
        """Replace each worker, unless one of the new ones does not start."""
        _notify.notify_reloading()
        for place in list(self._places):
            replaced: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            if place not in self._places:
                continue
            place.askers.append(replaced)
            place.asked.set()
            if not await replaced:
                error_logger.error("Aborting the restart.")
                break
        _notify.notify_ready()

    # Ending.

    async def _dismiss(self, child: Child) -> None:
        self._leaving.add(child)
        child.terminate()
        await child.join(seconds_to_end(self.config))
        self._leaving.discard(child)

    async def _end_all(self) -> None:
        if self._metrics is not None:
            self._metrics.set_readiness("draining")
        _notify.notify_stopping()
        running = [place.keeper for place in self._places if place.keeper is not None]
        running += self._tasks
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        children = self._all_children()
        for child in children:
            child.terminate(last=True)
        # While they are open here, the kernel goes on queueing connections.
        for bounds in self._sockets.values():
            for bound in bounds:
                bound.close()
        await asyncio.gather(*(child.join(seconds_to_end(self.config)) for child in children))

    def _all_children(self) -> list[Child]:
        return [*self._leaving, *(child for place in self._places for child in place.children)]

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _all_decided(children: Sequence[Child]) -> None:
    """Wait until each worker is ready or has ended."""
    for child in children:
        await child.is_ready()


def delay_after_deaths(deaths: int) -> float:
    """Seconds to wait before a worker is started again that has died so often at once."""
    return 0.0 if deaths <= 1 else min(_LONGEST_DELAY, 0.5 * 2.0 ** (deaths - 2))


def seconds_to_end(config: Config) -> float | None:
    """How long a worker that was told to end may take before it is killed."""
    requests, application = config.timeout_graceful_shutdown, config.shutdown_timeout
    if requests is None or application is None:
        return None
    return requests + application + _MARGIN


def log_parent(what: str) -> None:
    """Say what happens to this process, in uvicorn's words."""
    error_logger.info(
        f"{what} process [%d]",
        os.getpid(),
        extra={"color_message": f"{what} process [{styled('%d', 'cyan', bold=True)}]"},
    )
