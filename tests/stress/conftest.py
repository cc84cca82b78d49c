"""What stock asyncio is forgiven under stress."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # A server of the standard library that is closed, or whose handshake is cancelled, in the
    # wrong moment leaves an accepted socket to the collector, and its early 3.13 trips over its
    # own clean-up there. vivace gets no such leave.
    for item in items:
        callspec = getattr(item, "callspec", None)
        if item.path.parent.name == "stress" and callspec is not None:
            if callspec.params.get("loop_name") == "asyncio":
                for category in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
                    item.add_marker(pytest.mark.filterwarnings(f"ignore::{category}"))
