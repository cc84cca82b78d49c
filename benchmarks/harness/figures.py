"""Medians, ratios and their spread, from the samples of interleaved rounds."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """How many times one thing takes what another takes.

    Attributes:
        value: Median of the quotients of single rounds.
        low: Smallest quotient of a single round.
        high: Largest quotient of a single round.
    """

    value: float
    low: float
    high: float


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Ratio:
    """Returns the ratio of two series; samples at the same place were measured side by side."""
    quotients = [above / below for above, below in zip(numerators, denominators, strict=True)]
    return Ratio(median(quotients), min(quotients), max(quotients))


def median(samples: Sequence[float]) -> float:
    """Returns the median."""
    return statistics.median(samples)


def geometric_mean(values: Iterable[float]) -> float:
    """Returns the geometric mean, the only mean that ratios have."""
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms))


def relative_spread(samples: Sequence[float]) -> float:
    """Returns (largest - smallest) / median, in percent."""
    return (max(samples) - min(samples)) / median(samples) * 100
