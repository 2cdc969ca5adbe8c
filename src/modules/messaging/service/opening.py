"""Direct channels and groups: making them."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeAlias
from uuid import UUID

import msgspec

from kernel.database import Transaction
from kernel.errors import FieldError, MalformedError, malformed_field
from kernel.ratelimit import RateLimit
from modules.messaging.contacts import Acquaintance
from modules.messaging.log.founding import Founding, found
from modules.messaging.schemas.channels import PostGroup
from modules.messaging.store import channels
from modules.messaging.writer import Announcer


class Made(msgspec.Struct, frozen=True):
    """The channel that there is now."""

    channel_id: UUID
    is_new: bool


Once: TypeAlias = Callable[[Callable[[Transaction], Awaitable[Made]]], Awaitable[Made]]
"""Runs work in a transaction and returns what it returned, or what it returned when it was first asked for."""


class Opening:
    """Makes channels. Whoever may be in them is looked up before the transaction, and refused in it: a request that
    is sent again is answered as it was first, whatever has become of its people since.
    """

    def __init__(
        self, acquaintance: Acquaintance, announcer: Announcer, rate: RateLimit, *, max_participants: int
    ) -> None:
        self._acquaintance = acquaintance
        self._announcer = announcer
        self._rate = rate
        self._max_participants = max_participants

    async def direct(self, user_id: str, other: str, once: Once) -> Made:
        """Return the one direct channel of two people, which is made when there is none, however many race for it.

        Raises:
            MalformedError: oneself, or nobody.
            NotContactsError: they aren't contacts.
        """
        if other == user_id:
            raise malformed_field("/user_id", "this is you")
        founding = Founding(kind="direct", members={user_id: "member", other: "member"})
        return await self._open(user_id, {"/user_id": other}, founding, once)

    async def group(self, user_id: str, wanted: PostGroup, once: Once) -> Made:
        """Make a group, with its maker as admin.

        Raises:
            MalformedError: too many, somebody twice, or nobody.
            NotContactsError: some aren't the maker's contacts.
        """
        others = wanted.participant_ids
        self._check(user_id, others)
        members = {user_id: "admin"} | dict.fromkeys(others, "member")
        named = {f"/participant_ids/{index}": other for index, other in enumerate(others)}
        return await self._open(user_id, named, Founding(kind="group", title=wanted.title, members=members), once)

    def _check(self, user_id: str, others: Sequence[str]) -> None:
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

    async def _open(self, user_id: str, named: dict[str, str], founding: Founding, once: Once) -> Made:
        self._rate.take(user_id)
        refusal = await self._acquaintance.refusal(user_id, named)

        async def make(tx: Transaction) -> Made:
            if refusal is not None:
                raise refusal
            channel_id = await found(tx.connection, founding)
            if channel_id is None:
                return Made(await channels.direct(tx.connection, founding.pair), is_new=False)
            tx.after_commit(partial(self._announcer.opened, channel_id, list(founding.members)))
            return Made(channel_id, is_new=True)

        return await once(make)
