"""What a loop reported to its exception handler during a test.

A report that the test did not expect fails it: an exception in a callback is an error even when
the test's own assertions hold.
"""

from __future__ import annotations

import asyncio
from typing import Any

Context = dict[str, Any]


class Reports:
    """An exception handler that keeps what it is told.

    ``take()`` hands the contexts to a test that expects some; what is left when the test ends
    is unexpected.
    """

    def __init__(self) -> None:
        self._contexts: list[Context] = []

    def __call__(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        self._contexts.append(context)

    def take(self) -> list[Context]:
        """Return the contexts so far and forget them."""
        contexts, self._contexts = self._contexts, []
        return contexts

    def take_one(self) -> Context:
        """Return the only context so far."""
        contexts = self.take()
        assert len(contexts) == 1, contexts
        return contexts[0]

    def check(self) -> None:
        """Fail if there are contexts that nobody took."""
        contexts = self.take()
        assert not contexts, f"the loop reported: {contexts}"
