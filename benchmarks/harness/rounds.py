"""The order of a round: each thing comes first, second, … equally often."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def rotated(items: Sequence[T], number: int) -> list[T]:
    """Returns the items starting with another one in each round."""
    shift = number % len(items)
    return [*items[shift:], *items[:shift]]
