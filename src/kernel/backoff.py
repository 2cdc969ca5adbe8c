"""How long to wait before trying again."""

import random
from collections.abc import Iterator


def delays(first_s: float, longest_s: float) -> Iterator[float]:
    """Yield growing delays for ever: up to twice the one before, half of it jitter, so that nobody tries in step."""
    ceiling = first_s
    while True:
        yield ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        ceiling = min(longest_s, ceiling * 2)
