"""What others ask of the loop: done on its thread, just before it waits."""

from __future__ import annotations

from vivace import _native

from . import _snapshot, _tasks


def run() -> None:
    """Do what was asked for."""
    for number, what, task in _native.see_take_jobs():
        try:
            answer = _cancel(task) if what == "cancel" else _take()
        except Exception as error:  # whoever asked is told, and the loop goes on
            answer = f"that failed: {type(error).__name__}: {error}"
        _native.see_answer(number, answer)


def _take() -> str:
    _snapshot.take()
    return "taken"


def _cancel(number: int) -> str:
    for task in _tasks.pending():
        if task._see_numbers[0] == number:
            # On the loop that it belongs to, which may be another one.
            task.get_loop().call_soon_threadsafe(task.cancel, "cancelled from outside")
            return f"asked {task.get_name()} to cancel"
    return f"no task has the number {number} (any more)"
