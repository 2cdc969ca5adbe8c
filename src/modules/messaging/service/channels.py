"""Channels as their participants see them, and each one's own settings."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from msgspec.structs import asdict, replace

from kernel.clock import rfc3339, rfc3339_or_none
from kernel.database import Database
from kernel.errors import malformed_field
from modules.messaging.errors import ChannelNotFoundError
from modules.messaging.ports import People, Presence
from modules.messaging.schemas.channels import ChannelDetail, ChannelSettings, ParticipantView
from modules.messaging.service.inbox import Inbox
from modules.messaging.store import channels, members
from modules.messaging.store.channels import Place


class Channels:
    """Shows what the caller takes part in; to everybody else it doesn't exist."""

    def __init__(self, database: Database, people: People, presence: Presence, inbox: Inbox) -> None:
        self._database = database
        self._inbox = inbox
        self._people = people
        self._presence = presence

    async def detail(self, user_id: str, channel_id: UUID) -> ChannelDetail:
        """Return a channel with its participants, with as many queries for one as for a thousand.

        Who can't be written to in a direct channel seems offline there.

        Raises:
            ChannelNotFoundError: no such channel, or not the caller's.
        """
        view = await self._inbox.view(user_id, channel_id)
        async with self._database.connection() as connection:
            places = await channels.participants(connection, channel_id)
        shown = await self._shown(places)
        if view.kind == "direct" and view.status == "archived":
            shown = [one if one.user_id == user_id else replace(one, presence="offline") for one in shown]
        return ChannelDetail(**asdict(view), participants=shown)

    async def participant(self, user_id: str, channel_id: UUID, other: str) -> ParticipantView:
        """Return a participant to another."""
        async with self._database.connection() as connection:
            if await members.last_seq_for(connection, channel_id, user_id) is None:
                raise ChannelNotFoundError
            places = await channels.participants(connection, channel_id, other)
        if not places:
            raise ChannelNotFoundError
        return (await self._shown(places))[0]

    async def mute(self, user_id: str, channel_id: UUID, until: datetime | None) -> ChannelSettings:
        """Mute a channel for its participant, or unmute it: None, and what is past.

        Raises:
            MalformedError: a moment that can't be told in UTC.
        """
        moment = None if until is None else _utc(until)
        async with self._database.connection() as connection:
            row = await channels.mute(connection, channel_id, user_id, moment)
        if row is None:
            raise ChannelNotFoundError
        return ChannelSettings(rfc3339_or_none(row["muted_until"]))

    async def _shown(self, places: Sequence[Place]) -> list[ParticipantView]:
        ids = [place.user_id for place in places]
        people = await self._people.find(ids)
        statuses = await self._presence.statuses(ids)
        return [
            ParticipantView(
                user_id=place.user_id,
                display_name=people[place.user_id].display_name,
                username=people[place.user_id].username,
                role=place.role,
                joined_at=rfc3339(place.joined_at),
                last_read_seq=place.last_read_seq,
                last_delivered_seq=place.last_delivered_seq,
                presence=statuses[place.user_id].status,
            )
            for place in places
        ]


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise malformed_field("/muted_until", "is out of range") from None
