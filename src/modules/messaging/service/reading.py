"""Reading: messages, revisions and the log itself, each for who takes part."""

from uuid import UUID

from kernel.database import Connection, Database
from modules.messaging import views
from modules.messaging.errors import ChannelNotFoundError
from modules.messaging.fold import Folded
from modules.messaging.log.record import Record
from modules.messaging.ports import People
from modules.messaging.schemas.messages import LogPage, Message, MessagePage, VersionPage
from modules.messaging.store import marks, members, messages
from modules.messaging.store.messages import Logged
from modules.messaging.views import Hidden


class Reading:
    """Reads what the caller takes part in; to everybody else it doesn't exist."""

    def __init__(self, database: Database, people: People) -> None:
        self._database = database
        self._people = people

    async def history(
        self, user_id: str, channel_id: UUID, *, before: int | None, after: int | None, around: int | None, limit: int
    ) -> MessagePage:
        """Return messages in order: before, after or around a seq, or the newest."""
        async with self._database.connection() as connection:
            await self._last_seq(connection, channel_id, user_id)
            if around is not None:
                older = await messages.texts_before(connection, channel_id, around, limit // 2)
                texts = older + await messages.texts_after(connection, channel_id, around - 1, limit - len(older))
            elif after is not None:
                texts = await messages.texts_after(connection, channel_id, after, limit)
            else:
                end = messages.END_OF_LOG if before is None else before
                texts = await messages.texts_before(connection, channel_id, end, limit)
            others = await marks.others(connection, channel_id, user_id)
        hidden = await views.pseudonyms(self._people, (text.record for text in texts))
        return MessagePage([views.own(views.message(text, hidden), user_id, others) for text in texts])

    async def log(self, user_id: str, channel_id: UUID, *, after: int, limit: int) -> LogPage:
        """Return raw records after a seq; what was deleted says nothing any more."""
        async with self._database.connection() as connection:
            last_seq = await self._last_seq(connection, channel_id, user_id)
            logged = await messages.log(connection, channel_id, after, limit, user_id)
        hidden = await views.pseudonyms(self._people, (one.record for one in logged))
        return LogPage([views.log_record(one, hidden) for one in logged], last_seq)

    async def records(
        self, channel_id: UUID, *, after: int, limit: int, reader: str | None = None
    ) -> list[tuple[Record, Message | None]]:
        """Return records, texts and revisions with their view; to a `reader` only while they take part."""
        async with self._database.connection() as connection:
            logged = await messages.log(connection, channel_id, after, limit, reader)
            revised = {one.record.target_id for one in logged if one.record.kind == "revision"} - {None}
            texts = await messages.texts(connection, [one for one in revised if one]) if revised else {}
        hidden = await views.pseudonyms(
            self._people, [one.record for one in logged] + [t.record for t in texts.values()]
        )

        def view(one: Logged) -> Message | None:
            if one.record.kind == "text":
                return views.created(one, hidden)
            if one.record.kind == "revision" and one.record.target_id is not None:
                return views.revised(texts[one.record.target_id], one.record, hidden)
            return None

        return [(one.record, view(one)) for one in logged]

    async def revisions(self, user_id: str, message_id: UUID, *, after: int, limit: int) -> VersionPage:
        """Return the versions of a message, oldest first, from the one after revision `after` on (-1: all)."""
        async with self._database.connection() as connection:
            text = (await messages.texts(connection, [message_id])).get(message_id)
            if text is None:
                raise ChannelNotFoundError
            await self._last_seq(connection, text.record.channel_id, user_id)
            channel_id = text.record.channel_id
            found = await messages.revisions(connection, channel_id, message_id, max(after, 0), limit + 1)
        return views.versions(text, [text.record, *found] if after < 0 else found, after + 1, limit)

    async def shown(self, user_id: str, text: Folded) -> Message:
        """Return a message as it looks to a participant."""
        async with self._database.connection() as connection:
            others = await marks.others(connection, text.record.channel_id, user_id)
        hidden = await views.pseudonyms(self._people, [text.record])
        return views.own(views.message(text, hidden), user_id, others)

    async def hidden(self, message_id: UUID) -> Hidden:
        """Return who wrote a message, if they were deactivated since; nobody if there is no such message."""
        async with self._database.connection() as connection:
            sender = await messages.sender_of(connection, message_id)
        people = await self._people.find([sender]) if sender else {}
        return {user: person for user, person in people.items() if not person.active}

    async def _last_seq(self, connection: Connection, channel_id: UUID, user_id: str) -> int:
        last_seq = await members.last_seq_for(connection, channel_id, user_id)
        if last_seq is None:
            raise ChannelNotFoundError
        return last_seq
