"""`vivace.diagnostics()`: what is known of this process, for a page of the program's own."""

from __future__ import annotations

import json
from typing import Any

from vivace import _native


def diagnostics() -> dict[str, Any]:
    """Tell what is known of this process: its loops, its tasks, what was found.

    For a page such as ``/debug`` of a program. It holds names of tasks and paths of files, so such
    a page must not be public.

    Returns:
        ``pid``, ``uptime``, ``loops``, ``tasks``, ``findings``, ``checks`` (what `vivace doctor`
        says) and more, as `vivace top --json` prints it. Empty if the diagnostics are off, or no
        loop has run yet.
    """
    from . import _snapshot

    _snapshot.take()
    text = _native.see_own()
    if text is None:
        return {}
    told: dict[str, Any] = json.loads(text)
    return {**told["process"], "checks": told["checks"]}
