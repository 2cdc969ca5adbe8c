"""Direct channels follow from who may talk to whom, which others know: they are closed and opened with it.

Guarantee: closing and opening are records of the log, in the transaction of what they follow from: from its commit on
nothing more is written, or can be again.
"""

from collections.abc import Collection
from typing import Literal

from kernel.database import Transaction
from modules.messaging.membership import Membership
from modules.messaging.store import channels


class Directs:
    """Archives and reopens the direct channels of pairs."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership

    async def open(self, tx: Transaction, pairs: Collection[tuple[str, str]]) -> None:
        """Let these pairs (the smaller id first) write again in the direct channels that they have."""
        await self._set(tx, pairs, "active")

    async def close(self, tx: Transaction, pairs: Collection[tuple[str, str]]) -> None:
        """Let these pairs (the smaller id first) no longer write in the direct channels that they have."""
        await self._set(tx, pairs, "archived")

    async def _set(
        self, tx: Transaction, pairs: Collection[tuple[str, str]], status: Literal["active", "archived"]
    ) -> None:
        for channel_id in await channels.directs_not(tx.connection, pairs, status):
            channel = await self._membership.hold(tx, channel_id)
            if channel is not None:
                await self._membership.amend(tx, channel, status=status)
