"""Quiet hours: what the clock on the recipient's wall shows decides, also in nights when it is put forward or back.

Quiet hours begin and end on whole minutes, so the search goes minute by minute: gaps, overlaps and people who may be
in one of several zones need no rule of their own. Results are kept, because most people share window and zone.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

MINUTE = timedelta(minutes=1)
SEARCHED = timedelta(hours=48)
"""Somebody who can't be reached within two days can't be reached at all: their zones leave no common hour."""


class Window(msgspec.Struct, frozen=True):
    """From `start` up to `end`, past midnight where `end` is the earlier one. Equal ends: an empty window."""

    start: time
    end: time

    @property
    def is_empty(self) -> bool:
        """Whether it is never quiet."""
        return self.start == self.end

    def covers(self, clock: time) -> bool:
        """Whether it is quiet when clocks show this."""
        if self.start <= self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end


Zones = tuple[str, ...]
"""Where the recipient may be: it is quiet when it is quiet in any of them."""


def is_quiet(window: Window, zones: Zones, moment: datetime) -> bool:
    """Whether `moment` (aware) is within quiet hours in any of the zones."""
    return any(window.covers(moment.astimezone(ZoneInfo(zone)).time()) for zone in zones)


def quiet_ends(window: Window, zones: Zones, moment: datetime) -> datetime | None:
    """Return the first whole minute after `moment` at which it isn't quiet; None if there is none in two days."""
    return _first(window, zones, _minute(moment), SEARCHED, quiet=False)


def quiet_begins(window: Window, zones: Zones, moment: datetime, within: timedelta) -> datetime | None:
    """Return the first whole minute after `moment` at which it is quiet; None if there is none so soon."""
    return _first(window, zones, _minute(moment), within, quiet=True)


@lru_cache(maxsize=4096)
def _first(window: Window, zones: Zones, after: datetime, within: timedelta, *, quiet: bool) -> datetime | None:
    return next((minute for minute in _minutes(after, within) if is_quiet(window, zones, minute) is quiet), None)


def _minutes(after: datetime, within: timedelta) -> Iterator[datetime]:
    for count in range(1, within // MINUTE + 1):
        yield after + count * MINUTE


def _minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)
