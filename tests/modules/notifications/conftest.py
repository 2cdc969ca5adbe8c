"""A notifications module on a real database, driven step by step or running, in a world of its own."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import msgspec
import pytest

from bus import Bus, Event
from kernel.database import Database
from kernel.settings import Settings
from modules.notifications.domain.delivery import Delivery
from modules.notifications.module import NotificationsModule
from modules.notifications.transports import Transport
from modules.notifications.transports.twilio_webhooks import report
from tests.modules.notifications.world import World
from tests.support.twilio_server import Sms, TwilioServer, twilio_server

NOON = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that the test turns."""

    def __init__(self, start: datetime = NOON) -> None:
        self.time = start

    def __call__(self) -> datetime:
        """Return the time, a little later each time it is asked."""
        self.time += timedelta(microseconds=1)
        return self.time

    def forward(self, **duration: float) -> None:
        """Let time pass."""
        self.time += timedelta(**duration)


class House:
    """A module with its surroundings, and the few questions that tests ask."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        world: Any,
        clock: Callable[[], datetime],
        transports: Mapping[str, Transport] | None = None,
    ) -> None:
        self.database = database
        self.bus = Bus()
        self.module = NotificationsModule(
            settings=settings,
            database=database,
            bus=self.bus,
            conversations=world,
            presence=world,
            recipients=world,
            transports=transports,
            clock=clock,
        )
        self.module.subscribe(self.bus)

    async def publish(self, *events: Event) -> None:
        """Let other modules publish, and the consumer hear of it."""
        async with self.database.transaction() as tx:
            await self.bus.publish(tx, *events)
        await self.bus._consumers["notifications"].run_batch(self.database)

    async def decide(self) -> list[Delivery]:
        """Conclude the alerts that are due; return the ledger."""
        while await self.module.alert_worker.round() == 0:
            pass
        return await self.ledger()

    async def send(self) -> list[Delivery]:
        """Send what is pending, one round of it; return the ledger."""
        worker = self.module.delivery_worker
        await worker.take_up()
        for delivery in await worker.claim(100):
            await worker.deliver(delivery)
        return await self.ledger()

    async def ledger(self) -> list[Delivery]:
        """Return all deliveries, oldest first."""
        return (await self.module.service.deliveries(user_id=None, state=None, before=None, limit=100_000))[::-1]

    async def reported(self, sms: Sms, status: str, *, code: str = "") -> None:
        """Let the provider report on a message, past the signature."""
        form = {"MessageSid": sms.sid or "", "MessageStatus": status, "To": sms.to, "ErrorCode": code}
        told = report(parse_qs(urlsplit(sms.callback).query), form)
        assert told is not None
        await self.module.service.report(told)

    async def alert(self, user_id: str, channel_id: UUID) -> tuple[int, int | None, int]:
        """Return (alerted to, open to, count) of somebody's alert."""
        async with self.database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT alerted_to, to_seq, message_count FROM notification_alerts"
                " WHERE user_id = $1 AND channel_id = $2",
                user_id,
                channel_id,
            )
        assert row is not None
        return row["alerted_to"], row["to_seq"], row["message_count"]


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioServer]:
    async with twilio_server() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def house(
    database: Database, settings: Settings, world: World, clock: Clock, twilio: TwilioServer
) -> AsyncIterator[House]:
    async with a_house(database, settings, world, clock, twilio) as house:
        yield house


@asynccontextmanager
async def a_house(
    database: Database, settings: Settings, world: Any, clock: Callable[[], datetime], twilio: TwilioServer
) -> AsyncIterator[House]:
    """A house whose SMS go to that server."""
    house = House(database, msgspec.structs.replace(settings, **twilio.settings()), world, clock)
    try:
        yield house
    finally:
        await house.module.stop()
