"""What SMS may cost, and how fast a sender may send: segments in any 24 hours, segments a second.

A day is any 24 hours, not a date: a cap can't be met twice around midnight, and what it put off doesn't burst out at
one moment. Segments are counted by the hour in which they were sent, and an hour counts until all of it is a day old.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
AHEAD = timedelta(seconds=0.25)
"""A delivery is taken in hand so long before its turn with the sender, so that deciding costs no pace."""


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """Segments in 24 hours, to one telephone number and altogether; 0: no cap."""

    recipient: int
    deployment: int


def hour_of(moment: datetime) -> datetime:
    """Return the hour in which it is counted."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def counts_since(now: datetime) -> datetime:
    """Return the oldest hour that still counts."""
    return hour_of(now - DAY)


def free_at(used: Mapping[datetime, int], segments: int, cap: int, now: datetime) -> datetime | None:
    """Return when `segments` more fit under the cap; None: now. `used`: by hour, those that count.

    A message that is larger than the whole cap never fits; it is asked again a day later.
    """
    total = sum(used.values())
    if not cap or total + segments <= cap:
        return None
    for hour in sorted(used):
        total -= used[hour]
        if total + segments <= cap:
            return hour + HOUR + DAY
    return now + DAY


def turns(free: datetime | None, per_s: float, now: datetime, hands: int) -> int:
    """Return how many of `hands` may be taken in hand now, at `per_s` segments a second; 0: no limit."""
    if not per_s or hands <= 0:
        return max(hands, 0)
    ahead = (now + AHEAD - max(free or now, now)).total_seconds()
    return 0 if ahead <= 0 else min(hands, 1 + int(ahead * per_s))


def next_free(free: datetime | None, segments: int, per_s: float, now: datetime) -> datetime:
    """Return when the sender is free again after `segments` more."""
    return max(free or now, now) + timedelta(seconds=segments / per_s)
