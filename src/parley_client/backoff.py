"""How long to wait before trying again."""

import random

import msgspec


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Full jitter: anything up to twice as long each time, so that thousands of clients don't come back together."""

    base_s: float = 1.0
    cap_s: float = 30.0

    def delay_s(self, attempt: int, at_least_s: float = 0.0) -> float:
        """Return how long to wait before the next attempt, where `attempt` were in vain: 0, 1, 2…"""
        widest = min(self.cap_s, self.base_s * 2 ** min(attempt, 30))
        return at_least_s + random.uniform(0, widest)  # noqa: S311 - nobody gains by guessing it


class Pace:
    """Spreads what would be too much at once: `burst` at once, `per_s` a second in the long run (GCRA)."""

    def __init__(self, *, per_s: float, burst: float) -> None:
        self._interval_s = 1 / per_s
        self._tolerance_s = max(0.0, burst - 1) / per_s
        self._full_at = 0.0

    def wait_s(self, now: float) -> float:
        """Return how long the next has to wait."""
        return max(0.0, self._full_at - self._tolerance_s - now)

    def take(self, now: float) -> None:
        """Note that one went out."""
        self._full_at = max(now, self._full_at) + self._interval_s
