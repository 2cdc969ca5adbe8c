"""What happens to invitations, and to pairs of people: each change is written and told in one transaction, here only.

Whoever calls has locked the pairs (`store.pairs.lock`) or the invitations that it is about, and has decided; a change
that came first wins, because only what is pending is changed. `names`: everybody whom the change is about.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from bus import Bus
from kernel.database import Transaction
from kernel.signals import notify
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.domain.pairs import Pair
from modules.contacts.events import (
    CONTACTS_SIGNAL,
    ContactAdded,
    ContactRemoved,
    InviteAccepted,
    InviteCreated,
    InviteDeclined,
    InviteEvent,
    InviteExpired,
    InviteReminded,
    InviteRevoked,
    InviteStatus,
    Named,
)
from modules.contacts.ports import Directs
from modules.contacts.service.naming import Names, named, shown
from modules.contacts.store import invites as rows
from modules.contacts.store import pairs

ENDS: Mapping[InviteStatus, type[InviteEvent]] = {
    "accepted": InviteAccepted,
    "declined": InviteDeclined,
    "revoked": InviteRevoked,
    "expired": InviteExpired,
}


class Lifecycle:
    """Changes invitations and pairs."""

    def __init__(self, bus: Bus, directs: Directs, *, require_contact: bool) -> None:
        """`require_contact`: whether only contacts talk to each other directly; else everybody who isn't blocked."""
        self._bus = bus
        self._directs = directs
        self._require_contact = require_contact

    async def create(self, tx: Transaction, invites: Sequence[StoredInvite], names: Names) -> None:
        """Invite."""
        if invites:
            await rows.create(tx.connection, invites)
            await self._bus.publish(tx, *(InviteCreated(invite=shown(one, names)) for one in invites))

    async def close(
        self,
        tx: Transaction,
        invite_ids: Collection[UUID],
        status: InviteStatus,
        names: Names,
        *,
        now: datetime,
        by: str | None,
    ) -> list[StoredInvite]:
        """End pending invitations; those who accept one of a contact become contacts. Returns those that were pending.

        Args:
            tx: the caller's transaction.
            invite_ids: which; what isn't pending any more stays as it is.
            status: how they end.
            names: their people.
            now: the moment that is written.
            by: whose doing it is; None for nobody's.
        """
        closed = await rows.close(tx.connection, invite_ids, status, now, by) if invite_ids else []
        if closed:
            await self._bus.publish(tx, *(ENDS[status](invite=shown(one, names)) for one in closed))
        if status == "accepted":
            await self.join(tx, [one.pair for one in closed if one.kind == "contact"], names)
        return closed

    async def remind(
        self, tx: Transaction, invite_ids: Collection[UUID], names: Names, *, now: datetime
    ) -> list[StoredInvite]:
        """Remind of pending invitations; returns them."""
        reminded = await rows.remind(tx.connection, invite_ids, now) if invite_ids else []
        told = [InviteReminded(invite=shown(one, names), reminders=one.reminders) for one in reminded]
        if told:
            await self._bus.publish(tx, *told)
        return reminded

    async def join(self, tx: Transaction, couples: Collection[Pair], names: Names) -> None:
        """Make pairs contacts, who may write to each other again."""
        added = await pairs.add(tx.connection, couples) if couples else []
        if added:
            await self._bus.publish(tx, *(ContactAdded(users=_both(names, pair)) for pair in added))
            await _signal(tx, added)
            await self._directs.open(tx, added)

    async def part(self, tx: Transaction, couples: Collection[Pair], names: Names) -> list[Pair]:
        """End pairs of contacts; returns those that were. Where contacts are required, they can't write directly."""
        removed = await pairs.remove(tx.connection, couples) if couples else []
        if removed:
            await self._bus.publish(tx, *(ContactRemoved(users=_both(names, pair)) for pair in removed))
            await _signal(tx, removed)
            if self._require_contact:
                await self._directs.close(tx, removed)
        return removed


async def _signal(tx: Transaction, couples: Collection[Pair]) -> None:
    """Have every instance look again who may see whom."""
    await notify(tx.connection, CONTACTS_SIGNAL, *{user for pair in couples for user in pair})


def _both(names: Names, pair: Pair) -> tuple[Named, Named]:
    low, high = pair
    return named(names, low), named(names, high)
