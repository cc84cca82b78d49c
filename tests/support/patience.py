"""How long tests wait: long, as a bound is only there to end a hang.

What is merely slow must not fail: machines that run the suite may have one core, other work, and
a sanitizer under the interpreter. ``VIVACE_TEST_PATIENCE`` is a factor on all of it.
"""

from __future__ import annotations

import os

FACTOR = float(os.environ.get("VIVACE_TEST_PATIENCE", "1"))

# For one thing that is about to happen: an answer, a line of a log, the start or end of a process.
SECONDS = 60.0 * FACTOR

# For a whole test, unless it says that it takes longer. What waits inside gives up before.
TEST_SECONDS = 150.0 * FACTOR

# How much later than it was told to something may come that has a deadline of its own.
SLACK = 20.0 * FACTOR
