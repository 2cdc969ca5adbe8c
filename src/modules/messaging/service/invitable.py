"""Who may be invited into a channel, and what becomes of it once they accept."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec
import structlog

from kernel.database import Database, Transaction
from kernel.errors import ConflictError, ForbiddenError, ParleyError
from modules.contacts.events import Invite, InviteAccepted
from modules.messaging.domain import MembershipChange, may_administer
from modules.messaging.errors import ChannelNotFoundError, ClosedError
from modules.messaging.membership import Membership
from modules.messaging.ports import People
from modules.messaging.store import channels
from modules.messaging.store.channels import Door

log = structlog.get_logger(__name__)

CONSUMER = "messaging.invitations"


class Proposal(Protocol):
    """Somebody wants to invite somebody into a channel."""

    @property
    def invitor_id(self) -> str:
        """Who invites."""
        ...

    @property
    def channel_id(self) -> UUID:
        """Where."""
        ...

    @property
    def invitee_id(self) -> str:
        """Whom."""
        ...


class Admission(msgspec.Struct, frozen=True):
    """Whether that can be: `refusal` says why not. `title`: the channel's, where it can be."""

    refusal: ParleyError | None
    title: str | None
    is_member: bool


class Invitable:
    """Answers whether somebody could be added to a channel, and adds whoever accepted."""

    def __init__(self, database: Database, people: People, membership: Membership, *, max_participants: int) -> None:
        self._database = database
        self._people = people
        self._membership = membership
        self._max_participants = max_participants

    async def admissions(self, proposals: Sequence[Proposal]) -> list[Admission]:
        """Return whether each could be added now, in the order asked, in one query."""
        asked = [(one.channel_id, one.invitor_id, one.invitee_id) for one in proposals]
        async with self._database.connection() as connection:
            doors = await channels.doors(connection, asked)
        return [self._admission(door) for door in doors]

    async def accepted(self, tx: Transaction, events: Sequence[InviteAccepted]) -> None:
        """Make participants of those who accepted, each once, in the role that they were invited in.

        The channel may have changed since: who is in it stays as they are; into one that is archived or full, or of
        which the invitor is no admin any more, nobody is brought, and who was deactivated meanwhile isn't, either.
        """
        people = await self._people.find({event.invite.invitee.user_id for event in events})
        into = [(event.invite.channel_id, event.invite) for event in events if event.invite.channel_id is not None]
        for channel_id, invite in sorted(into, key=lambda one: one[0]):
            if people[invite.invitee.user_id].active:
                await self._admit(tx, channel_id, invite)

    async def _admit(self, tx: Transaction, channel_id: UUID, invite: Invite) -> None:
        invitor, invitee = invite.invitor.user_id, invite.invitee.user_id
        channel = await self._membership.hold(tx, channel_id)
        if channel is None or invitee in channel.members:
            return
        role = channel.members.get(invitor)
        door = Door(channel.kind, None, channel.status, role, is_member=False, members=len(channel.members))
        refusal = self._admission(door).refusal
        if refusal is not None:
            log.warning("invitee_not_admitted", invite_id=str(invite.id), reason=refusal.slug)
            return
        joined = MembershipChange("participant_joined", invitee, invite.channel_role)
        await self._membership.amend(tx, channel, [joined], by=invitor)

    def _admission(self, door: Door) -> Admission:
        refusal = self._refusal(door)
        return Admission(refusal, None if refusal is not None else door.title, door.is_member)

    def _refusal(self, door: Door) -> ParleyError | None:
        if door.kind is None or door.role is None:
            return ChannelNotFoundError()
        if door.kind != "group":
            return ConflictError("Only groups take invitations")
        if not may_administer(door.kind, door.role):
            return ForbiddenError("Only an admin of the group may do this")
        if door.status != "active":
            return ClosedError("The group is archived")
        if (door.members or 0) >= self._max_participants:
            return ConflictError(f"The group is full: at most {self._max_participants} participants")
        return None
