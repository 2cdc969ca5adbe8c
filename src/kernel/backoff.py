"""How long to wait before trying again, and apart from others who wait."""

import random
from collections.abc import Iterator


def spread(low: float, high: float) -> float:
    """Return any number from `low` to `high`: what many wait for by it doesn't come all at once."""
    return random.uniform(low, high)  # noqa: S311 - nobody gains by guessing it


def delays(first_s: float, longest_s: float) -> Iterator[float]:
    """Yield growing delays for ever: up to twice the one before, half of it jitter, so that nobody tries in step."""
    ceiling = first_s
    while True:
        yield ceiling * spread(0.5, 1.0)
        ceiling = min(longest_s, ceiling * 2)
