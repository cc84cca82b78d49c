"""The scheduling benchmarks; importing the package registers them, in this order."""

from . import callbacks as callbacks
from . import tasks as tasks

from . import synchronization as synchronization  # isort: skip
from . import threads as threads
from .registry import BENCHMARKS as BENCHMARKS
