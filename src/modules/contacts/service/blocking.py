"""Blocks: who wants to hear nothing of somebody. To these it looks as if there were nobody.

Guarantees:
- From the answer on the two are no contacts, no invitation waits between them, and neither can write to the other in
  their direct channel.
- Blocking somebody who isn't there is the same as blocking somebody who is: nobody is found out by it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from kernel.clock import Clock, rfc3339
from kernel.database import Database, Transaction
from kernel.errors import malformed_field
from kernel.ratelimit import RateLimit
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.domain.pairs import pair_of
from modules.contacts.errors import TooManyBlocksError
from modules.contacts.events import InviteStatus
from modules.contacts.ports import Directs, People
from modules.contacts.schemas.contacts import BlockedUser, BlockPage, BlockView
from modules.contacts.service.lifecycle import Lifecycle
from modules.contacts.service.naming import Names
from modules.contacts.service.places import cursor_of, place_of
from modules.contacts.store import blocks as store
from modules.contacts.store import book, pairs
from modules.contacts.store.blocks import Blocked

MAX_BLOCKS = 10_000
UNBLOCKS_PER_S = 1
UNBLOCKS_AT_ONCE = 20
"""Blocking and unblocking again may each be a record of the direct channel, which the other one is told of."""


class Blocking:
    """Blocks and unblocks. Order of locks: the blocker, then the pair, then as everywhere."""

    def __init__(
        self,
        *,
        database: Database,
        people: People,
        lifecycle: Lifecycle,
        directs: Directs,
        clock: Clock,
        require_contact: bool,
    ) -> None:
        """`require_contact`: as `Lifecycle`'s."""
        self._database = database
        self._people = people
        self._lifecycle = lifecycle
        self._directs = directs
        self._clock = clock
        self._require_contact = require_contact
        self._unblocks = RateLimit("ends of blocks", per_s=UNBLOCKS_PER_S, burst=UNBLOCKS_AT_ONCE)

    async def page(self, user_id: str, *, limit: int, cursor: str | None) -> BlockPage:
        """Return whom somebody blocks, newest first.

        Raises:
            MalformedError: the cursor isn't one that was given out.
        """
        after = place_of(cursor)
        async with self._database.connection() as connection:
            found = await store.page(connection, user_id, after, limit + 1)
        shown = found[:limit]
        following = cursor_of(shown[-1].user_id, shown[-1].since) if len(found) > limit else None
        names = await self._people.find([one.user_id for one in shown if one.is_known])
        return BlockPage([_view(one, names) for one in shown], following)

    async def block(self, user_id: str, other: str) -> None:
        """Block somebody; once more changes nothing.

        Raises:
            MalformedError: oneself.
            TooManyBlocksError: as many as there may be.
        """
        if other == user_id:
            raise malformed_field("{user_id}", "this is you")
        names = await self._people.find([user_id, other])
        pair = pair_of(user_id, other)
        async with self._database.transaction() as tx:
            await store.lock(tx.connection, user_id)
            await pairs.lock(tx.connection, [pair])
            count, is_blocked = await store.standing(tx.connection, user_id, other)
            if is_blocked:
                return
            if count >= MAX_BLOCKS:
                raise TooManyBlocksError(f"At most {MAX_BLOCKS:,} people can be blocked: let go of some first")
            await store.add(tx.connection, user_id, other)
            await self._end_invites(tx, user_id, other, names)
            await self._lifecycle.part(tx, [pair], names)
            await self._directs.close(tx, [pair])

    async def unblock(self, user_id: str, other: str) -> None:
        """Block somebody no more; who isn't blocked stays so. What the block ended doesn't come back.

        Where contacts aren't required, the two can write to each other again, unless one is blocked still.

        Raises:
            TooManyRequestsError: too often.
        """
        self._unblocks.take(user_id)
        pair = pair_of(user_id, other)
        async with self._database.transaction() as tx:
            await pairs.lock(tx.connection, [pair])
            if not await store.remove(tx.connection, user_id, other) or self._require_contact:
                return
            if not (await book.standing(tx.connection, user_id, other)).is_blocked:
                await self._directs.open(tx, [pair])

    async def _end_invites(self, tx: Transaction, user_id: str, other: str, names: Names) -> None:
        """The blocker's own are taken back, the other's declined: to the other that looks like anybody's wish."""
        now = self._clock()
        waiting = await store.pending_between(tx.connection, user_id, other)
        for status, invite_ids in _ends(waiting, user_id, now).items():
            by = None if status == "expired" else user_id
            await self._lifecycle.close(tx, invite_ids, status, names, now=now, by=by)


def _ends(waiting: Sequence[StoredInvite], user_id: str, now: datetime) -> Mapping[InviteStatus, list[UUID]]:
    """Return how each ends; one whose time is over has expired, though nobody has written it down yet."""
    ends: dict[InviteStatus, list[UUID]] = {"expired": [], "revoked": [], "declined": []}
    for invite in waiting:
        answered: InviteStatus = "revoked" if invite.invitor_id == user_id else "declined"
        ends[answered if invite.is_open(now) else "expired"].append(invite.id)
    return {status: invite_ids for status, invite_ids in ends.items() if invite_ids}


def _view(one: Blocked, names: Names) -> BlockView:
    person = names.get(one.user_id) if one.is_known else None
    shown = (None, None) if person is None else (person.username, person.display_name)
    user = BlockedUser(user_id=one.user_id, username=shown[0], display_name=shown[1])
    return BlockView(user, rfc3339(one.since))
