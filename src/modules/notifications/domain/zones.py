"""Where a person may be, as time zones. Nobody is ever taken to live in UTC for want of anything better."""

from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers.timezone import (
    UNKNOWN_TIMEZONE,
    time_zones_for_geographical_number,
    time_zones_for_number,
)

from modules.notifications.domain.quiet_hours import Zones


def zones_of(chosen: str | None, profile: str | None, phone: str | None) -> Zones:
    """Return the zone chosen for quiet hours, else the profile's, else all that the number may be from.

    Empty when nothing is known: the caller must not guess.
    """
    for name in (chosen, profile):
        if name is not None and is_zone(name):
            return (name,)
    return _zones_of_number(phone) if phone is not None else ()


@lru_cache(maxsize=1024)
def is_zone(name: str) -> bool:
    """Whether `name` is an IANA time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


@lru_cache(maxsize=4096)
def _zones_of_number(phone: str) -> Zones:
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return ()
    for lookup in (time_zones_for_number, time_zones_for_geographical_number):
        zones = tuple(zone for zone in lookup(number) if zone != UNKNOWN_TIMEZONE and is_zone(zone))
        if zones:
            return zones
    return ()
