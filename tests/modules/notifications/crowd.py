"""Many people with a message waiting for each, and houses that share one database and one provider."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec

from kernel.database import Database
from kernel.settings import Settings
from tests.modules.notifications.conftest import Clock, House
from tests.modules.notifications.world import Person, World
from tests.support.twilio_server import TwilioServer


def crowd(world: World, size: int, *, of: str = "user", **fields: Any) -> list[UUID]:
    """Put Ana into a channel with each of `size` people, every one with a number of their own."""
    channels = [uuid4() for _ in range(size)]
    for number, channel in enumerate(channels):
        phone = f"+4915{hash_of(of)}{number:05}"
        world.join(channel, Person("ana", phone=None), Person(f"{of}-{number}", phone=phone, **fields))
    return channels


def hash_of(name: str) -> str:
    """Return four digits that tell one crowd's numbers from another's."""
    return f"{sum(name.encode()) % 10_000:04}"


async def write(house: House, world: World, clock: Callable[[], datetime], *channels: UUID) -> None:
    """Let Ana write into each channel."""
    await house.publish(*(world.say(channel, "ana", occurred_at=clock()) for channel in channels))


async def write_and_wait(house: House, world: World, clock: Clock, *channels: UUID) -> None:
    """Let Ana write, its delay pass, and the alerts be concluded."""
    await write(house, world, clock, *channels)
    clock.forward(minutes=3)
    await house.decide()


@asynccontextmanager
async def houses(
    dsn: str,
    settings: Settings,
    world: World,
    clock: Callable[[], datetime],
    twilio: TwilioServer,
    *,
    count: int,
    **more: object,
) -> AsyncIterator[list[House]]:
    """Run modules on connections of their own, as on several instances."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            database = await Database.connect(dsn, size=4)
            stack.push_async_callback(database.close)
            house = House(database, msgspec.structs.replace(settings, **(twilio.settings() | more)), world, clock)
            stack.push_async_callback(house.module.stop)
            made.append(house)
        yield made
