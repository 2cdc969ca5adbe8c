"""A house whose process may die (`tests.support.crashing`), and the mechanisms without which that would show."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from kernel.database import Connection, Database
from kernel.settings import Settings
from modules.notifications.delivery_worker import DeliveryWorker
from modules.notifications.domain.addresses import Subscription
from modules.notifications.domain.delivery import Delivery, move
from modules.notifications.store import deliveries as rows
from modules.notifications.transports import Transport
from modules.notifications.transports.twilio import TwilioSms
from tests.modules.notifications.conftest import House
from tests.modules.notifications.world import EndlessUnread, Person
from tests.support.twilio_server import ACCOUNT, SENDER, TOKEN

LADDER = ("push", "sms", "email")


def named(name: str, url: str, *, timeout_s: float) -> Transport:
    """Return a transport of this name that really speaks HTTP, to a Twilio-shaped server.

    What it may meet there, from resets to answers that never come, is what any provider may do. What is special to each
    is tested with its own adapter.
    """
    transport = TwilioSms(
        account_sid=ACCOUNT,
        auth_token=TOKEN,
        public_url="https://parley.example",
        sender=SENDER,
        api_url=url,
        timeout_s=timeout_s,
    )
    transport.name = name
    return transport


class Reachable(EndlessUnread):
    """A world without memory in which everybody can be reached by every transport."""

    async def find(self, user_ids: Collection[str]) -> Mapping[str, Person]:
        """Recipients."""
        return {user_id: Person(user_id, email=f"{user_id}@parley.example") for user_id in user_ids}


class Everybody:
    """Everybody has subscribed to push."""

    async def of(self, _: Connection, user_ids: Collection[str]) -> Mapping[str, tuple[Subscription, ...]]:
        """See `PushSubscriptions`."""
        subscription = Subscription(id=UUID(int=1), endpoint="https://push.example/1", p256dh="p", auth="a")
        return dict.fromkeys(user_ids, (subscription,))

    async def remove(self, _: Connection, __: Collection[UUID]) -> None:
        """See `PushSubscriptions`."""


def house_of(
    database: Database,
    settings: Settings,
    clock: Any,
    transports: Mapping[str, Transport],
    worker: type[DeliveryWorker] = DeliveryWorker,
) -> House:
    """Return a house in which everybody can be reached, with this worker."""
    house = House(database, settings, Reachable(), clock, transports)
    house.module.service._subscriptions = house.module.delivery_worker._snapshots._subscriptions = Everybody()
    house.module.delivery_worker.__class__ = worker
    return house


class RepeatsWhatItDoesntKnow(DeliveryWorker):
    """Broken: takes a delivery that was being sent for one that wasn't."""

    async def take_up(self) -> None:
        async with self._database.transaction() as tx:
            lost = await rows.take_abandoned(tx.connection, self._clock(), 100)
            await self._ledger.save(tx, [move(one, "pending") for one in lost])


class CallsBeforeItCommits(DeliveryWorker):
    """Broken: calls the provider first and commits to `sending` afterwards."""

    async def deliver(self, delivery: Delivery) -> None:
        assert delivery.span is not None
        [snapshot] = await self._snapshots.take([(delivery.span, delivery.transport)])
        message = self._outgoing(delivery, snapshot, 600)
        outcome = await self._transports[delivery.transport].send(message)
        begun = await self.begin(delivery)
        if begun is not None:
            await self.settle(begun, outcome)


class ForgetsWhatItClaimed(DeliveryWorker):
    """Broken: never looks for what dead workers left behind."""

    async def take_up(self) -> None:
        """Do nothing."""


VARIANTS: Mapping[str, type[DeliveryWorker]] = {
    "whole": DeliveryWorker,
    "repeats": RepeatsWhatItDoesntKnow,
    "calls first": CallsBeforeItCommits,
    "forgets": ForgetsWhatItClaimed,
}
