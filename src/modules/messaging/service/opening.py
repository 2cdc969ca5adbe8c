"""Direct channels and groups: making them."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeAlias
from uuid import UUID

import msgspec

from kernel.database import Transaction
from kernel.errors import FieldError, MalformedError, ParleyError, malformed_field
from kernel.ratelimit import RateLimit
from modules.messaging.contacts import Acquaintance
from modules.messaging.log.founding import Founding, found
from modules.messaging.schemas.channels import PostGroup
from modules.messaging.service.directs import Directs
from modules.messaging.store import channels
from modules.messaging.writer import Announcer


class Made(msgspec.Struct, frozen=True):
    """The channel that there is now."""

    channel_id: UUID
    is_new: bool


Once: TypeAlias = Callable[[Callable[[Transaction], Awaitable[Made]]], Awaitable[Made]]
"""Runs work in a transaction and returns what it returned, or what it returned when it was first asked for."""

Settle: TypeAlias = Callable[[Transaction], Awaitable[ParleyError | None]]
"""Returns why there is to be no channel after all, and lets nothing of that change until the transaction ends."""


class Opening:
    """Makes channels. Whoever may be in them is looked up before the transaction, and refused in it: a request that
    is sent again is answered as it was first, whatever has become of its people since.
    """

    def __init__(
        self,
        acquaintance: Acquaintance,
        directs: Directs,
        announcer: Announcer,
        rate: RateLimit,
        *,
        max_participants: int,
    ) -> None:
        self._acquaintance = acquaintance
        self._directs = directs
        self._announcer = announcer
        self._rate = rate
        self._max_participants = max_participants

    async def direct(self, user_id: str, other: str, once: Once) -> Made:
        """Return the one direct channel of two people, which is made when there is none, however many race for it.

        It is open. Whether they may talk is settled in its transaction, so that those who part at the same moment are
        left with none to write in.

        Raises:
            MalformedError: oneself, nobody, or somebody blocked.
            NotContactsError: they aren't contacts.
        """
        if other == user_id:
            raise malformed_field("/user_id", "this is you")
        founding = Founding(kind="direct", members={user_id: "member", other: "member"})

        async def settle(tx: Transaction) -> ParleyError | None:
            return await self._acquaintance.settled(tx, user_id, "/user_id", other)

        return await self._open(user_id, {"/user_id": other}, founding, once, settle)

    async def group(self, user_id: str, wanted: PostGroup, once: Once) -> Made:
        """Make a group, with its maker as admin.

        Raises:
            MalformedError: too many, somebody twice, or nobody.
            NotContactsError: some aren't the maker's contacts.
        """
        others = wanted.participant_ids
        self._check_each(user_id, others)
        named = {f"/participant_ids/{index}": other for index, other in enumerate(others)}
        members = {user_id: "admin"} | dict.fromkeys(others, "member")
        founding = Founding(kind="group", title=wanted.title, members=members)
        return await self._open(user_id, named, founding, once)

    def _check_each(self, user_id: str, others: Sequence[str]) -> None:
        if len(others) >= self._max_participants:
            limit = f"at most {self._max_participants} participants, with you"
            raise MalformedError(limit, errors=[FieldError("/participant_ids", limit)])
        first = {other: index for index, other in reversed([*enumerate(others)])}
        errors = [
            FieldError(f"/participant_ids/{index}", "this is you" if other == user_id else "is there twice")
            for index, other in enumerate(others)
            if other == user_id or first[other] < index
        ]
        if errors:
            raise MalformedError("Some participants can't be in the group", errors=errors)

    async def _open(
        self, user_id: str, named: dict[str, str], founding: Founding, once: Once, settle: Settle | None = None
    ) -> Made:
        self._rate.take(user_id)
        refused = await self._acquaintance.refusal(user_id, named)

        async def make(tx: Transaction) -> Made:
            refusal = refused or (await settle(tx) if settle is not None else None)
            if refusal is not None:
                raise refusal
            channel_id = await found(tx.connection, founding)
            if channel_id is None:
                return Made(await self._reopened(tx, founding.pair), is_new=False)
            tx.after_commit(partial(self._announcer.opened, channel_id, list(founding.members)))
            return Made(channel_id, is_new=True)

        return await once(make)

    async def _reopened(self, tx: Transaction, pair: tuple[str, str]) -> UUID:
        await self._directs.open(tx, [pair])
        return await channels.direct(tx.connection, pair)
