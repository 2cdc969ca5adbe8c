"""Groups: their title and status, and who takes part in what role.

Guarantees:
- Each change is judged on what the group is while it is held: of two that contradict each other one is refused.
- A group in which somebody is has an admin; one in which nobody is left is archived.
- What is so already appends nothing.
"""

from uuid import UUID

from msgspec import UNSET

from kernel.database import Database, Transaction
from kernel.errors import ConflictError, ForbiddenError
from kernel.ratelimit import RateLimit
from modules.messaging.contacts import Acquaintance
from modules.messaging.domain import MembershipChange, departure, may_administer
from modules.messaging.errors import ChannelNotFoundError, ClosedError
from modules.messaging.membership import Membership
from modules.messaging.schemas.channels import PatchChannel, PostParticipant
from modules.messaging.service.opening import Made, Once
from modules.messaging.store import channels
from modules.messaging.writer.channel import Channel

FIXED = {
    "direct": "A direct channel is for its two people as long as it exists",
    "context": "The host decides on this conversation: change the context",
}


class Groups:
    """Changes groups."""

    def __init__(
        self,
        database: Database,
        membership: Membership,
        acquaintance: Acquaintance,
        rate: RateLimit,
        *,
        max_participants: int,
    ) -> None:
        self._database = database
        self._membership = membership
        self._acquaintance = acquaintance
        self._rate = rate
        self._max_participants = max_participants

    async def patch(self, user_id: str, channel_id: UUID, wanted: PatchChannel) -> None:
        """Give a group another title or status.

        Raises:
            ClosedError: an archived group keeps its title, unless it is reopened with the new one.
            ParleyError: as all changes: not found, not a group, not its admin.
        """
        self._rate.take(user_id)
        async with self._database.transaction() as tx:
            group = await self._administered(tx, channel_id, user_id)
            status = group.status if wanted.status is UNSET else wanted.status
            if wanted.title is not UNSET and await channels.rename(tx.connection, channel_id, wanted.title):
                _check_open(group.status, status)
            await self._membership.amend(tx, group, status=status, by=user_id)

    async def add(self, user_id: str, channel_id: UUID, wanted: PostParticipant, once: Once) -> Made:
        """Add somebody to a group; not new when they are in it already, in this role.

        Raises:
            NotContactsError, MalformedError: not the adder's contact, or nobody.
            ConflictError: in it in another role, or the group is full.
            ParleyError: as all changes.
        """
        self._rate.take(user_id)
        refusal = await self._acquaintance.refusal(user_id, {"/user_id": wanted.user_id})

        async def add(tx: Transaction) -> Made:
            group = await self._administered(tx, channel_id, user_id)
            _check_open(group.status)
            if wanted.user_id in group.members:
                _check_role(group.members[wanted.user_id], wanted.role)
                return Made(channel_id, is_new=False)
            if refusal is not None:
                raise refusal
            if len(group.members) >= self._max_participants:
                raise ConflictError(f"The group is full: at most {self._max_participants} participants")
            joined = MembershipChange("participant_joined", wanted.user_id, wanted.role)
            await self._membership.amend(tx, group, [joined], by=user_id)
            return Made(channel_id, is_new=True)

        return await once(add)

    async def change_role(self, user_id: str, channel_id: UUID, other: str, role: str) -> None:
        """Give a participant another role.

        Raises:
            ConflictError: the last admin remains admin.
            ParleyError: as all changes.
        """
        self._rate.take(user_id)
        async with self._database.transaction() as tx:
            group = await self._administered(tx, channel_id, user_id)
            _check_open(group.status)
            if other not in group.members:
                raise ChannelNotFoundError
            if "admin" not in {**group.members, other: role}.values():
                raise ConflictError("A group needs an admin: make somebody else one first")
            if group.members[other] != role:
                changed = MembershipChange("participant_role_changed", other, role)
                await self._membership.amend(tx, group, [changed], by=user_id)

    async def remove(self, user_id: str, channel_id: UUID, other: str) -> None:
        """Take somebody out of a group, or leave it, which is possible also when it is archived.

        Raises:
            ParleyError: as all changes.
        """
        self._rate.take(user_id)
        async with self._database.transaction() as tx:
            group = await self._held(tx, channel_id, user_id)
            if other != user_id:
                _check_admin(group, user_id)
                _check_open(group.status)
            if other not in group.members:
                raise ChannelNotFoundError
            status = "archived" if len(group.members) == 1 else None
            changes = departure(group.members, other)
            await self._membership.amend(tx, group, changes, status=status, by=user_id)

    async def _administered(self, tx: Transaction, channel_id: UUID, user_id: str) -> Channel:
        group = await self._held(tx, channel_id, user_id)
        _check_admin(group, user_id)
        return group

    async def _held(self, tx: Transaction, channel_id: UUID, user_id: str) -> Channel:
        channel = await self._membership.hold(tx, channel_id)
        if channel is None or user_id not in channel.members:
            raise ChannelNotFoundError
        if channel.kind != "group":
            raise ConflictError(FIXED[channel.kind])
        return channel


def _check_admin(group: Channel, user_id: str) -> None:
    if not may_administer(group.kind, group.members[user_id]):
        raise ForbiddenError("Only an admin of the group may do this")


def _check_open(*statuses: str) -> None:
    """A group that is archived before and after can only be left."""
    if "active" not in statuses:
        raise ClosedError("The group is archived")


def _check_role(present: str, wanted: str) -> None:
    if present != wanted:
        raise ConflictError(f"Is in the group already, as {present}")
