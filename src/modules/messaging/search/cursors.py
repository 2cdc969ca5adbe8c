"""Where a page of what was found begins, as clients carry it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple
from uuid import UUID

from msgspec import Meta

from kernel.cursors import decode_cursor, encode_cursor
from modules.messaging.search.blocks import Position

START = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
YEAR_9999 = 253_370_764_800_000_000


class Key(NamedTuple):
    """What a cursor says; `at` in microseconds since `START`."""

    at: Annotated[int, Meta(ge=0, le=YEAR_9999)]
    channel_id: UUID
    seq: Annotated[int, Meta(ge=0, le=2**63 - 1)]


def cursor_of(position: Position) -> str:
    """Return the cursor of the page after a position."""
    return encode_cursor(Key((position.at - START) // MICROSECOND, position.channel_id, position.seq))


def position_of(cursor: str) -> Position:
    """Return the position that a page comes after.

    Raises:
        MalformedError: the cursor isn't one that was given out.
    """
    key = decode_cursor(cursor, Key)
    return Position(START + key.at * MICROSECOND, key.channel_id, key.seq)
