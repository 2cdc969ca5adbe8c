"""Rate limits: a token bucket for each key, in memory (GCRA: one number a key)."""

import time
from collections import OrderedDict

from kernel.errors import TooManyRequestsError

MAX_KEYS = 100_000


class RateLimit:
    """Allows `burst` at once and `per_s` a second in the long run, for each key."""

    def __init__(self, what: str, *, per_s: float, burst: int) -> None:
        self._what = what
        self._per_s = per_s
        self._burst = burst
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> None:
        """Use one token.

        Raises:
            TooManyRequestsError: the bucket is empty; it says when there will be a token.
        """
        now = time.monotonic()
        full_at = max(now, self._full_at.get(key, now)) + 1 / self._per_s
        wait = full_at - now - self._burst / self._per_s
        if wait > 1e-9:  # noqa: PLR2004 - float noise
            detail = f"At most {self._per_s:g} {self._what} a second, {self._burst} at once"
            raise TooManyRequestsError(detail, retry_after_s=wait)
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        while len(self._full_at) > MAX_KEYS:
            self._full_at.popitem(last=False)
