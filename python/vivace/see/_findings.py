"""Reports a finding: text for people, JSON for programs, at most one a minute for one place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from vivace import _native


def report(
    code: str,
    title: str = "",
    *,
    loop: int = 0,
    place: str = "",
    lines: Iterable[tuple[str, str]] = (),
    data: Mapping[str, Any] | None = None,
) -> bool:
    """Report a finding.

    Args:
        code: Its code, as in ``vivace explain``.
        title: What follows the name of the code on the first line.
        loop: The number of the loop that it is about.
        place: Of findings with this code and place, one a minute is reported. The empty place
            is not limited.
        lines: A label of one word (``task``, ``cause``, ``stack``, ``do``) and a text for each
            line of the report; an empty label goes on with the one before.
        data: What programs get. ``file``, ``line``, ``function`` name the user's line; ``task``
            is ``{"name", "coro", "created": {"file", "line", "function"}}``; ``stack`` a list of
            ``{"file", "line", "function", "source"}``, the innermost call last.

    Returns:
        Whether it was reported, not kept back as a repetition.

    Raises:
        ValueError: There is no such code.
    """
    finding = {
        "code": code,
        "title": title,
        "place": place,
        "lines": [list(line) for line in lines],
        "data": dict(data or {}),
    }
    return _native.see_report(json.dumps(finding, default=str), loop)
