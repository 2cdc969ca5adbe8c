"""Where the browsers are that a person subscribed to push."""

from collections.abc import Collection, Mapping
from typing import Protocol
from uuid import UUID

from kernel.database import Connection
from modules.notifications.domain.addresses import Subscription


class PushSubscriptions(Protocol):
    """Looks subscriptions up, and forgets those that are gone."""

    async def of(self, connection: Connection, user_ids: Collection[str], /) -> Mapping[str, tuple[Subscription, ...]]:
        """Return the subscriptions of each person; those who have none are absent."""
        ...

    async def remove(self, connection: Connection, ids: Collection[UUID], /) -> None:
        """Forget these, in the caller's transaction."""
        ...


class NoSubscriptions:
    """Nobody is subscribed: for a deployment without push."""

    async def of(self, _: Connection, __: Collection[str]) -> Mapping[str, tuple[Subscription, ...]]:
        """See `PushSubscriptions`."""
        return {}

    async def remove(self, _: Connection, __: Collection[UUID]) -> None:
        """See `PushSubscriptions`."""
