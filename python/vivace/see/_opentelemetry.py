"""The numbers of the loops for OpenTelemetry, if that package is there.

Instruments are observable: they are read when the reader of the program asks, and cost nothing
else. Histograms have no observable instrument; they are in `vivace.metrics_text` only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from vivace import _native

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

#: By the name in Prometheus: the name, the unit.
INSTRUMENTS = {
    "asyncio_eventloop_time_seconds_total": ("asyncio.eventloop.time", "s"),
    "asyncio_eventloop_utilization_ratio": ("asyncio.eventloop.utilization", "1"),
    "asyncio_eventloop_blocks_total": ("asyncio.eventloop.blocks", "{block}"),
    "asyncio_eventloop_iterations_total": ("asyncio.eventloop.iterations", "{iteration}"),
    "asyncio_eventloop_ready_count": ("asyncio.eventloop.ready.count", "{callback}"),
    "asyncio_eventloop_timer_count": ("asyncio.eventloop.timer.count", "{timer}"),
    "asyncio_eventloop_fd_count": ("asyncio.eventloop.fd.count", "{descriptor}"),
    "asyncio_executor_thread_count": ("asyncio.executor.thread.count", "{thread}"),
    "asyncio_executor_queue_count": ("asyncio.executor.queue.count", "{job}"),
    "asyncio_task_deadlocked": ("asyncio.task.deadlocked", "{task}"),
    "asyncio_task_count": ("asyncio.task.count", "{task}"),
    "asyncio_task_created_total": ("asyncio.task.created", "{task}"),
    "asyncio_task_completed_total": ("asyncio.task.completed", "{task}"),
    "asyncio_task_unobserved_errors_total": ("asyncio.task.unobserved_errors", "{task}"),
    "asyncio_task_orphaned_total": ("asyncio.task.orphaned", "{task}"),
    "asyncio_coroutine_unawaited_total": ("asyncio.coroutine.unawaited", "{coroutine}"),
}

#: What gauges of Prometheus are that add up over processes.
SUMS = {
    "asyncio_eventloop_fd_count",
    "asyncio_eventloop_ready_count",
    "asyncio_eventloop_timer_count",
    "asyncio_executor_queue_count",
    "asyncio_executor_thread_count",
    "asyncio_task_count",
    "asyncio_task_deadlocked",
}


def instrument(meter: Meter | None = None) -> None:
    """Have the numbers of this process's loops observed.

    Args:
        meter: Who makes the instruments; by default ``vivace``'s of the global provider.

    Raises:
        ImportError: OpenTelemetry is not installed.
    """
    if meter is None:
        from opentelemetry.metrics import get_meter

        from vivace import __version__

        meter = get_meter("vivace", __version__)
    makers: dict[str, Callable[..., Any]] = {
        "counter": meter.create_observable_counter,
        "gauge": meter.create_observable_gauge,
        "sum": meter.create_observable_up_down_counter,
    }
    for source, kind, description, _samples in _native.see_metrics():
        name, unit = INSTRUMENTS[source]
        maker = makers["sum" if source in SUMS else kind]
        maker(name, callbacks=[observer(source)], unit=unit, description=description)


def observer(source: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """What reads one number."""
    from opentelemetry.metrics import Observation

    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        for name, _kind, _description, samples in _native.see_metrics():
            if name == source:
                return [
                    Observation(value, {attribute(key): text for key, text in labels})
                    for labels, value in samples
                ]
        return []

    return observe


def attribute(label: str) -> str:
    """The name of an attribute by that of the label."""
    return "asyncio.loop.id" if label == "loop" else label
