"""The inbox: somebody's channels, with what is new in them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from kernel.clock import rfc3339, rfc3339_or_none
from kernel.cursors import decode_cursor, encode_cursor
from kernel.database import Database
from modules.messaging import views
from modules.messaging.domain import preview
from modules.messaging.errors import ChannelNotFoundError
from modules.messaging.ports import People
from modules.messaging.schemas.channels import ChannelPage, LastMessage, OwnChannel
from modules.messaging.schemas.messages import Sender
from modules.messaging.store import inbox as store
from modules.messaging.store.inbox import Entry, Filter, Position
from modules.messaging.views import Hidden

EPOCH = datetime.fromtimestamp(0, UTC)
MICROSECOND = timedelta(microseconds=1)


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A position as cursors hold it, in microseconds since 1970."""

    at_us: Annotated[int, Meta(ge=0, le=2**57)]
    channel_id: UUID


class Inbox:
    """Shows channels to their participants; to everybody else they don't exist. Each call is at most two queries."""

    def __init__(self, database: Database, people: People) -> None:
        self._database = database
        self._people = people

    async def page(self, user_id: str, wanted: Filter, *, limit: int, cursor: str | None) -> ChannelPage:
        """Return channels, newest message first, without messages by their creation.

        A channel that gets a message between two pages moves to the front, out of the pages to come; the others stay
        in their order, none twice and none left out.

        Raises:
            MalformedError: the cursor isn't one that was given out.
        """
        after = None if cursor is None else _position(decode_cursor(cursor, Place))
        async with self._database.connection() as connection:
            entries = await store.page(connection, user_id, wanted, after, limit + 1)
        shown = entries[:limit]
        following = encode_cursor(_place(shown[-1].position)) if len(entries) > limit else None
        return ChannelPage(await self._views(user_id, shown), following)

    async def view(self, user_id: str, channel_id: UUID) -> OwnChannel:
        """Return one channel.

        Raises:
            ChannelNotFoundError: no such channel, or not the caller's.
        """
        async with self._database.connection() as connection:
            entry = await store.one(connection, user_id, channel_id)
        if entry is None:
            raise ChannelNotFoundError
        return (await self._views(user_id, [entry]))[0]

    async def _views(self, user_id: str, entries: Sequence[Entry]) -> list[OwnChannel]:
        others = {entry.channel_id: _other(entry, user_id) for entry in entries}
        senders = {entry.last.record.sender_id for entry in entries if entry.last is not None}
        known = await self._people.find({user for user in senders | set(others.values()) if user is not None})
        hidden = {user: person for user, person in known.items() if not person.active}
        return [_view(entry, hidden, _named(known, others[entry.channel_id])) for entry in entries]


def _view(entry: Entry, hidden: Hidden, other: Sender | None) -> OwnChannel:
    return OwnChannel(
        id=entry.channel_id,
        kind=entry.kind,
        context_type=entry.context_type,
        context_id=entry.context_id,
        title=entry.title,
        status=entry.status,
        last_seq=entry.last_seq,
        last_message_at=rfc3339_or_none(entry.last_message_at),
        participant_count=entry.participants,
        created_at=rfc3339(entry.created_at),
        unread_count=entry.unread,
        last_read_seq=entry.last_read_seq,
        last_message=_last(entry, hidden),
        muted_until=rfc3339_or_none(entry.muted_until),
        direct_user=other,
    )


def _last(entry: Entry, hidden: Hidden) -> LastMessage | None:
    if entry.last is None:
        return None
    message = views.message(entry.last, hidden)
    return LastMessage(
        id=message.id,
        seq=message.seq,
        sender=message.sender,
        preview=preview(message.content),
        created_at=message.created_at,
        is_deleted=message.is_deleted,
    )


def _other(entry: Entry, user_id: str) -> str | None:
    """Return the other person of a direct channel."""
    return entry.direct_high if entry.direct_low == user_id else entry.direct_low


def _named(known: Hidden, user_id: str | None) -> Sender | None:
    person = known.get(user_id or "")
    return None if person is None else Sender(person.user_id, person.username, person.display_name)


def _place(position: Position) -> Place:
    return Place((position.active_at - EPOCH) // MICROSECOND, position.channel_id)


def _position(place: Place) -> Position:
    return Position(EPOCH + place.at_us * MICROSECOND, place.channel_id)
