"""Where a person may be, as time zones. Nobody is ever taken to live in UTC for want of anything better."""

from functools import lru_cache
from typing import Literal

import msgspec
import phonenumbers
from phonenumbers.timezone import (
    UNKNOWN_TIMEZONE,
    time_zones_for_geographical_number,
    time_zones_for_number,
)

from kernel.time_zones import is_time_zone
from modules.notifications.domain.quiet_hours import Zones

Source = Literal["chosen", "profile", "number", "default_zone"]


class Whereabouts(msgspec.Struct, frozen=True):
    """The time zones that a person may be in, and how that is known."""

    zones: Zones
    source: Source


def whereabouts(
    chosen: str | None, profile: str | None, phone: str | None, default: str | None = None
) -> Whereabouts | None:
    """Return the zone chosen for quiet hours, else the profile's, else all that the number may be from.

    `default`: the deployment's, for whoever nothing is known of. None where there is none either: don't guess.
    """
    numbers = _zones_of_number(phone) if phone is not None else ()
    known: tuple[tuple[Source, Zones], ...] = (
        ("chosen", _one(chosen)),
        ("profile", _one(profile)),
        ("number", numbers),
        ("default_zone", _one(default)),
    )
    return next((Whereabouts(zones, source) for source, zones in known if zones), None)


def _one(name: str | None) -> Zones:
    return (name,) if name is not None and is_time_zone(name) else ()


@lru_cache(maxsize=4096)
def _zones_of_number(phone: str) -> Zones:
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return ()
    for lookup in (time_zones_for_number, time_zones_for_geographical_number):
        zones = tuple(zone for zone in lookup(number) if zone != UNKNOWN_TIMEZONE and is_time_zone(zone))
        if zones:
            return zones
    return ()
