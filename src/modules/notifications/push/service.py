"""Subscribing and unsubscribing.

A browser subscribes to the public half of one VAPID key, for good; under another key its push service refuses us. So
each subscription remembers the key, and under another one it is neither shown nor used. It comes back with its key,
or is renewed when the page registers again.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from uuid import UUID

from kernel.clock import Clock
from kernel.database import Connection, Database
from kernel.errors import NotFoundError
from kernel.ids import new_id
from modules.notifications.domain.addresses import Subscription
from modules.notifications.errors import PushNotSetUpError
from modules.notifications.push import store
from modules.notifications.push.store import Browser, Kept


class PushRegistry:
    """Who wants to be told in which browsers. `vapid_key`: the public key; None where push is off.

    It is also where the module looks up whom to push to (`PushSubscriptions`).
    """

    def __init__(
        self,
        *,
        database: Database,
        vapid_key: str | None,
        check: Callable[[str, str], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._database = database
        self._vapid_key = vapid_key
        self._check = check
        self._clock = clock

    def key(self) -> str:
        """Return the key that browsers are to subscribe to.

        Raises:
            PushNotSetUpError: there is none.
        """
        if self._vapid_key is None:
            raise PushNotSetUpError
        return self._vapid_key

    async def subscribe(self, user_id: str, browser: Browser) -> tuple[Kept, bool]:
        """Keep a browser's subscription; what is known of its endpoint is replaced, whoever it belonged to.

        Returns:
            The subscription, and whether it is new to this person.

        Raises:
            MalformedError: nothing may be sent to this endpoint.
            PushNotSetUpError: push is off.
        """
        key = self.key()
        await self._check(browser.endpoint, "/endpoint")
        new = new_id()
        async with self._database.transaction() as tx:
            kept = await store.save(tx.connection, new, user_id, browser, key, self._clock())
        return kept, kept.id == new

    async def subscriptions(self, user_id: str) -> list[Kept]:
        """Return a person's subscriptions, the last registered first."""
        if self._vapid_key is None:
            return []
        async with self._database.connection() as connection:
            return await store.listing(connection, user_id, self._vapid_key, self._clock())

    async def unsubscribe(self, user_id: str, subscription_id: UUID) -> None:
        """Forget a subscription.

        Raises:
            NotFoundError: there is none of this id, or it is somebody else's.
        """
        async with self._database.transaction() as tx:
            if not await store.remove(tx.connection, user_id, subscription_id):
                raise NotFoundError

    async def of(self, connection: Connection, user_ids: Collection[str], /) -> Mapping[str, tuple[Subscription, ...]]:
        """See `PushSubscriptions`: those of the present key that haven't expired."""
        if self._vapid_key is None:
            return {}
        return await store.usable(connection, user_ids, self._vapid_key, self._clock())

    async def remove(self, connection: Connection, ids: Collection[UUID], /) -> None:
        """See `PushSubscriptions`."""
        await store.discard(connection, ids)
