"""How much is measured: the number of rounds and the length of each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """One of the two sizes of a run.

    Attributes:
        rounds: How often everything is measured; the tables show medians.
        seconds: How long one network measurement sends.
        warmup: How long it sends before that.
        imports: How often each import is timed.
    """

    rounds: int
    seconds: float
    warmup: float
    imports: int


FULL = Plan(rounds=5, seconds=0.5, warmup=0.1, imports=21)
QUICK = Plan(rounds=3, seconds=0.2, warmup=0.05, imports=7)
