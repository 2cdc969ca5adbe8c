"""Keeping a context as its host wants it: the difference to the present becomes records of the log."""

from uuid import UUID

from bus import Bus, Event
from kernel.clock import now, rfc3339, rfc3339_or_none
from kernel.database import Connection, Database, Transaction
from kernel.errors import FieldError, MalformedError
from modules.messaging.domain import CONTEXT_TYPES, MembershipChange, membership_changes
from modules.messaging.errors import ChannelNotFoundError
from modules.messaging.events import ParticipantJoined, ParticipantLeft
from modules.messaging.log import append
from modules.messaging.log.record import Draft, Record
from modules.messaging.ports import People
from modules.messaging.schemas.channels import ChannelView
from modules.messaging.schemas.contexts import ContextParticipant, ContextView, PutContext
from modules.messaging.store.contexts import CONTEXT_COLUMNS, channel_of_context, context
from modules.messaging.writer import Announcer, queries

UPSERT = f"""
INSERT INTO chat_contexts (context_type, context_id, title, status, metadata, participants)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (context_type, context_id) DO UPDATE SET title = excluded.title, status = excluded.status,
    metadata = excluded.metadata, participants = excluded.participants, updated_at = now()
RETURNING {CONTEXT_COLUMNS}, (xmax = 0) AS created
"""

CHANNEL = "SELECT id FROM chat_channels WHERE context_type = $1 AND context_id = $2"

SYNC_CHANNEL = "UPDATE chat_channels SET title = $2, status = $3 WHERE id = $1"

SYNC_PARTICIPANTS = """
INSERT INTO chat_participants (channel_id, user_id, role, joined_seq, joined_at, left_seq, left_at)
SELECT $1, user_id, coalesce(role, ''), seq, at, CASE WHEN role IS NULL THEN seq END, CASE WHEN role IS NULL THEN at END
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::timestamptz[]) AS change (user_id, role, seq, at)
ON CONFLICT (channel_id, user_id) DO UPDATE SET
    role = CASE WHEN excluded.left_seq IS NULL THEN excluded.role ELSE chat_participants.role END,
    joined_seq = CASE WHEN chat_participants.left_seq IS NULL THEN chat_participants.joined_seq
                      ELSE excluded.joined_seq END,
    joined_at = CASE WHEN chat_participants.left_seq IS NULL THEN chat_participants.joined_at
                     ELSE excluded.joined_at END,
    left_seq = excluded.left_seq, left_at = excluded.left_at
"""


class Contexts:
    """Synchronises contexts. The context's row is locked first, then its channel's: the writer does the same."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        people: People,
        announcer: Announcer,
        *,
        max_participants: int,
    ) -> None:
        self._database = database
        self._bus = bus
        self._people = people
        self._announcer = announcer
        self._max_participants = max_participants

    async def put(self, context_type: str, context_id: str, wanted: PutContext) -> bool:
        """Make the context as wanted; returns whether it is new.

        Raises:
            MalformedError: too many participants, one twice, an unknown person or role.
        """
        roles = await self._checked(context_type, wanted)
        async with self._database.transaction() as tx:
            row = await tx.connection.fetchrow(
                UPSERT, context_type, context_id, wanted.title, wanted.status, wanted.metadata or {}, roles
            )
            channel: UUID | None = await tx.connection.fetchval(CHANNEL, context_type, context_id)
            if channel is not None:
                await self._sync(tx, channel, roles, wanted)
        return bool(row and row["created"])

    async def view(self, context_type: str, context_id: str, reader: str | None) -> ContextView:
        """Return a context; `reader` None is the host, anybody else must take part."""
        async with self._database.connection() as connection:
            row = await context(connection, context_type, context_id)
            if row is None or (reader is not None and reader not in row.participants):
                raise ChannelNotFoundError
            channel = await channel_of_context(connection, context_type, context_id)
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

    async def _checked(self, context_type: str, wanted: PutContext) -> dict[str, str]:
        if len(wanted.participants) > self._max_participants:
            limit = f"at most {self._max_participants} participants"
            raise MalformedError(limit, errors=[FieldError("/participants", limit)])
        roles = {p.user_id: p.role for p in wanted.participants}
        known = await self._people.find(roles)
        errors: list[FieldError] = []
        seen: set[str] = set()
        for index, participant in enumerate(wanted.participants):
            for field, problem in _problems(context_type, participant, set(known), seen):
                errors.append(FieldError(f"/participants/{index}/{field}", problem))
            seen.add(participant.user_id)
        if errors:
            raise MalformedError("Some participants can't take part", errors=errors)
        return roles

    async def _sync(self, tx: Transaction, channel_id: UUID, roles: dict[str, str], wanted: PutContext) -> None:
        at = now()
        locked = (await queries.lock(tx.connection, [channel_id]))[channel_id]
        present = (await queries.members(tx.connection, [channel_id]))[channel_id]
        changes = membership_changes(present, roles)
        status = "active" if wanted.status == "open" else "archived"
        drafts = [_draft(change) for change in changes]
        if status != locked.status:
            drafts.append(Draft("channel_archived" if status == "archived" else "channel_reopened"))
        records = [append.extend(locked.head, draft, at) for draft in drafts]
        if records:
            await append.insert(tx.connection, records, [locked.head])
        await _sync_participants(tx.connection, channel_id, changes, records)
        await tx.connection.execute(SYNC_CHANNEL, channel_id, wanted.title, status)
        await self._bus.publish(tx, *_events(records))
        tx.after_commit(lambda: self._announce(records))

    def _announce(self, records: list[Record]) -> None:
        for record in records:
            self._announcer.announce(record)


def _problems(
    context_type: str, participant: ContextParticipant, known: set[str], seen: set[str]
) -> list[tuple[str, str]]:
    problems = []
    if participant.user_id in seen:
        problems.append(("user_id", "is there twice"))
    elif participant.user_id not in known:
        problems.append(("user_id", "unknown user"))
    roles = CONTEXT_TYPES[context_type].roles
    if participant.role not in roles:
        problems.append(("role", f"expected one of {', '.join(sorted(roles))}"))
    return problems


def _draft(change: MembershipChange) -> Draft:
    details = {"user_id": change.user_id} | ({} if change.role is None else {"role": change.role})
    return Draft(change.kind, details=details)


async def _sync_participants(
    connection: Connection, channel_id: UUID, changes: list[MembershipChange], records: list[Record]
) -> None:
    if changes:
        placed = records[: len(changes)]
        await connection.execute(
            SYNC_PARTICIPANTS,
            channel_id,
            [change.user_id for change in changes],
            [change.role for change in changes],
            [record.seq for record in placed],
            [record.created_at for record in placed],
        )


def _events(records: list[Record]) -> list[Event]:
    events: list[Event] = []
    for record in records:
        details = record.details or {}
        if record.kind == "participant_joined":
            events.append(
                ParticipantJoined(
                    channel_id=record.channel_id, seq=record.seq, user_id=details["user_id"], role=details["role"]
                )
            )
        elif record.kind == "participant_left":
            events.append(ParticipantLeft(channel_id=record.channel_id, seq=record.seq, user_id=details["user_id"]))
    return events
