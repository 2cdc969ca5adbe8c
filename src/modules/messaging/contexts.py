"""Keeping a context as its host wants it: the difference to the present becomes records of the log."""

from uuid import UUID

from kernel.clock import rfc3339, rfc3339_or_none
from kernel.database import Database, Transaction
from kernel.errors import FieldError, MalformedError
from modules.messaging.domain import CONTEXT_TYPES, membership_changes
from modules.messaging.errors import ChannelNotFoundError
from modules.messaging.membership import Membership
from modules.messaging.ports import People
from modules.messaging.schemas.channels import ChannelView
from modules.messaging.schemas.contexts import ContextParticipant, ContextView, PutContext
from modules.messaging.store import channels
from modules.messaging.store.contexts import CONTEXT_COLUMNS, channel_of_context, context

UPSERT = f"""
INSERT INTO chat_contexts (context_type, context_id, title, status, metadata, participants)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (context_type, context_id) DO UPDATE SET title = excluded.title, status = excluded.status,
    metadata = excluded.metadata, participants = excluded.participants, updated_at = now()
RETURNING {CONTEXT_COLUMNS}, (xmax = 0) AS created
"""

CHANNEL = "SELECT id FROM chat_channels WHERE context_type = $1 AND context_id = $2"


class Contexts:
    """Synchronises contexts. The context's row is locked first, then its channel's: the writer does the same."""

    def __init__(
        self,
        database: Database,
        people: People,
        membership: Membership,
        *,
        max_participants: int,
    ) -> None:
        self._database = database
        self._people = people
        self._membership = membership
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
        channel = await self._membership.hold(tx, channel_id)
        if channel is not None:
            await channels.rename(tx.connection, channel_id, wanted.title)
            changes = membership_changes(channel.members, roles)
            status = "active" if wanted.status == "open" else "archived"
            await self._membership.amend(tx, channel, changes, status=status)


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
