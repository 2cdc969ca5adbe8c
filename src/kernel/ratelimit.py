"""Rate limits: token buckets in memory (GCRA: one number each)."""

import time
from collections import OrderedDict
from functools import partial

from kernel.errors import TooManyRequestsError

MAX_KEYS = 100_000
FLOAT_NOISE_S = 1e-9


class Bucket:
    """One token bucket: `burst` at once and `per_s` a second in the long run."""

    __slots__ = ("_burst", "_full_at", "_per_s", "_what")

    def __init__(self, what: str, *, per_s: float, burst: float) -> None:
        self._what = what
        self._per_s = per_s
        self._burst = burst
        self._full_at = 0.0

    def take(self) -> None:
        """Use one token.

        Raises:
            TooManyRequestsError: the bucket is empty; it says when there will be a token.
        """
        now = time.monotonic()
        full_at = max(now, self._full_at) + 1 / self._per_s
        wait = full_at - now - self._burst / self._per_s
        if wait > FLOAT_NOISE_S:
            detail = f"At most {self._per_s:g} {self._what} a second, {self._burst:g} at once"
            raise TooManyRequestsError(detail, retry_after_s=wait)
        self._full_at = full_at


class RateLimit:
    """A bucket for each key; those longest unused are forgotten past `MAX_KEYS`."""

    def __init__(self, what: str, *, per_s: float, burst: float) -> None:
        self._new = partial(Bucket, what, per_s=per_s, burst=burst)
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, key: str) -> None:
        """Use one token of `key`; raises as `Bucket.take`."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = self._new()
            if len(self._buckets) > MAX_KEYS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        bucket.take()
