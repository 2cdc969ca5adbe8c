"""What messaging does, for whichever way in: HTTP and sockets call the same methods."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from msgspec.structs import replace

from kernel.clock import rfc3339, rfc3339_or_none
from kernel.database import Connection, Database
from kernel.errors import FieldError, TooLargeError, UnauthenticatedError, UnavailableError
from kernel.ratelimit import RateLimit
from kernel.settings import Settings
from modules.messaging import store, views
from modules.messaging.errors import ChannelNotFoundError
from modules.messaging.log.record import Record
from modules.messaging.ports import People
from modules.messaging.schemas import (
    ChannelView,
    ContextParticipant,
    ContextView,
    LogPage,
    Marks,
    Message,
    MessagePage,
    PostMessage,
)
from modules.messaging.writer import ContextKey, Outcome, Send, Stored, Writer

ANSWER_TIMEOUT_S = 35


class Messaging:
    """Sends, reads and marks. Authorisation is by participation, checked here or, for sends, under the row lock."""

    def __init__(self, database: Database, people: People, writer: Writer, settings: Settings) -> None:
        self._database = database
        self._people = people
        self._writer = writer
        self._max_chars = settings.max_message_chars
        self._rate = RateLimit("messages", per_s=settings.messages_per_s, burst=settings.message_burst)

    async def submit(
        self,
        user_id: str,
        target: UUID | ContextKey,
        post: PostMessage,
        settle: Callable[[Outcome], None],
        origin: object | None = None,
    ) -> None:
        """Queue a message; `settle` hears the outcome after the commit.

        Raises:
            TooLargeError, TooManyRequestsError, UnavailableError: it wasn't queued.
        """
        if len(post.content) > self._max_chars:
            limit = f"at most {self._max_chars} characters"
            raise TooLargeError(f"content: {limit}", errors=[FieldError("/content", limit)])
        sender = (await self._people.find([user_id])).get(user_id)
        if sender is None or not sender.active:
            raise UnauthenticatedError("Unknown user")
        self._rate.take(user_id)
        self._writer.submit(Send(target, sender, post.client_id, post.content, settle, origin))

    async def send(self, user_id: str, target: UUID | ContextKey, post: PostMessage) -> tuple[Message, bool]:
        """Append a message; returns it and whether it is new.

        Raises:
            ParleyError: refused; see `writer.judge`.
        """
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def settle(outcome: Outcome) -> None:
            if not answer.done():
                answer.set_result(outcome)

        await self.submit(user_id, target, post, settle)
        try:
            outcome = await asyncio.wait_for(answer, ANSWER_TIMEOUT_S)
        except TimeoutError:
            raise UnavailableError("The message was not confirmed in time; send it again") from None
        if isinstance(outcome, Stored):
            return replace(views.message(outcome.record, {}), status="sent"), not outcome.repeated
        raise outcome

    async def context(self, context_type: str, context_id: str, reader: str | None) -> ContextView:
        """Return a context; `reader` None is the host, anybody else must take part."""
        async with self._database.connection() as connection:
            row = await store.context(connection, context_type, context_id)
            if row is None or (reader is not None and reader not in row.participants):
                raise ChannelNotFoundError
            channel = await store.channel_of_context(connection, context_type, context_id)
        return ContextView(
            context_type=row.context_type,
            context_id=row.context_id,
            title=row.title,
            status=row.status,
            metadata=row.metadata,
            participants=[ContextParticipant(user_id=user, role=role) for user, role in row.participants.items()],
            channel=None
            if channel is None
            else ChannelView(
                **{
                    **dict(channel),
                    "last_message_at": rfc3339_or_none(channel["last_message_at"]),
                    "created_at": rfc3339(channel["created_at"]),
                }
            ),
            created_at=rfc3339(row.created_at),
            updated_at=rfc3339(row.updated_at),
        )

    async def history(
        self, user_id: str, channel_id: UUID, *, before: int | None, after: int | None, around: int | None, limit: int
    ) -> MessagePage:
        """Return texts in order: before, after or around a seq, or the newest."""
        async with self._database.connection() as connection:
            await self._last_seq(connection, channel_id, user_id)
            if around is not None:
                older = await store.texts_before(connection, channel_id, around, limit // 2)
                records = older + await store.texts_after(connection, channel_id, around - 1, limit - len(older))
            elif after is not None:
                records = await store.texts_after(connection, channel_id, after, limit)
            else:
                end = store.END_OF_LOG if before is None else before
                records = await store.texts_before(connection, channel_id, end, limit)
        hidden = await views.pseudonyms(self._people, records)
        return MessagePage([views.message(record, hidden) for record in records])

    async def log(self, user_id: str, channel_id: UUID, *, after: int, limit: int) -> LogPage:
        """Return raw records after a seq."""
        async with self._database.connection() as connection:
            last_seq = await self._last_seq(connection, channel_id, user_id)
            records = await store.log(connection, channel_id, after, last_seq, limit)
        hidden = await views.pseudonyms(self._people, records)
        return LogPage([views.log_record(record, hidden) for record in records], last_seq)

    async def records(
        self, channel_id: UUID, *, after: int, up_to: int, limit: int
    ) -> list[tuple[Record, Message | None]]:
        """Return records, texts with their view, for a reader whose participation was checked by the caller."""
        async with self._database.connection() as connection:
            records = await store.log(connection, channel_id, after, up_to, limit)
        hidden = await views.pseudonyms(self._people, records)
        return [(r, views.message(r, hidden) if r.kind == "text" else None) for r in records]

    async def mark(self, user_id: str, channel_id: UUID, seq: int, *, read: bool) -> Marks:
        """Move the caller's marks forward; reading counts as delivery. Never back, never past the head."""
        async with self._database.connection() as connection:
            marks = await store.mark(connection, channel_id, user_id, seq, read=read)
        if marks is None:
            raise ChannelNotFoundError
        return Marks(channel_id, user_id, *marks)

    async def _last_seq(self, connection: Connection, channel_id: UUID, user_id: str) -> int:
        last_seq = await store.last_seq_for(connection, channel_id, user_id)
        if last_seq is None:
            raise ChannelNotFoundError
        return last_seq
