"""Time: always aware, always UTC, always written with microseconds."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, TypeAlias

import msgspec

Timestamp = Annotated[
    str,
    msgspec.Meta(
        description="RFC 3339, UTC, with microseconds",
        examples=["2026-01-31T09:15:00.000000Z"],
        extra_json_schema={"format": "date-time"},
    ),
]

Clock: TypeAlias = Callable[[], datetime]
"""Tells the current moment, in UTC: `now`, or what a test sets."""


def now() -> datetime:
    """Return the current moment, in UTC."""
    return datetime.now(UTC)


@lru_cache(maxsize=64)
def rfc3339(moment: datetime) -> str:
    """Write `moment` (aware) as RFC 3339 in UTC, with six digits of fraction even when they are zero."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond:06d}Z"


def rfc3339_or_none(moment: datetime | None) -> str | None:
    """`rfc3339`, letting None through."""
    return None if moment is None else rfc3339(moment)


def from_unix(seconds: float) -> datetime:
    """Return the moment of a Unix time."""
    return datetime.fromtimestamp(seconds, UTC)
