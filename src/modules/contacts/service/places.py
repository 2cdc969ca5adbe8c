"""Where a page of people begins, as cursors hold it: lists of people are the newest first."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from kernel.cursors import decode_cursor, encode_cursor
from kernel.text import HostId
from modules.contacts.store.contacts import Since

EPOCH = datetime.fromtimestamp(0, UTC)
MICROSECOND = timedelta(microseconds=1)


class Place(msgspec.Struct, frozen=True, array_like=True):
    """The last person of the page before, and since when, in microseconds since 1970."""

    at_us: Annotated[int, Meta(ge=0, le=2**57)]
    user_id: HostId


def cursor_of(user_id: str, since: datetime) -> str:
    """Return the cursor of a page that begins after somebody."""
    return encode_cursor(Place((since - EPOCH) // MICROSECOND, user_id))


def place_of(cursor: str | None) -> Since | None:
    """Return whom a page begins after; None: at the front.

    Raises:
        MalformedError: the cursor isn't one that was given out.
    """
    if cursor is None:
        return None
    place = decode_cursor(cursor, Place)
    return Since(place.user_id, EPOCH + place.at_us * MICROSECOND)
