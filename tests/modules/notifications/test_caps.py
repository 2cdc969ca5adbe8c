"""What SMS may cost in 24 hours, and how fast they go: exact over several instances, and nobody's push the slower."""

import asyncio
import io
import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from kernel.clock import now
from kernel.database import Connection, Database
from kernel.settings import Settings
from kernel.telemetry import logging
from modules.notifications.domain.circuit import Circuit
from modules.notifications.domain.delivery import Delivery
from modules.notifications.store import circuits, usage
from tests.modules.notifications.conftest import Clock, House, a_house
from tests.modules.notifications.crowd import crowd, houses, write_and_wait
from tests.modules.notifications.world import World
from tests.support.twilio_server import TwilioServer, accept, break_down, refuse


def told(ledger: list[Delivery]) -> Counter[str]:
    return Counter(f"{d.state} {d.reason}" if d.reason else str(d.state) for d in ledger)


async def test_a_number_gets_no_more_than_its_cap_and_the_rest_as_one_when_there_is_room(
    database: Database, settings: Settings, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    [channel] = crowd(world, 1)
    async with a_house(
        database, settings, world, clock, twilio, default_quiet_hours="00:00-00:00", sms_max_per_recipient_per_day=3
    ) as house:
        began = clock.time
        for _ in range(6):
            await write_and_wait(house, world, clock, channel)
            await house.send()
        assert len(twilio.sent) == 3
        [alert] = [one for one in await house.module.service.open_alerts("user-0") if one.transport == "sms"]
        assert alert.held_by == "cost_cap_recipient"
        assert timedelta(hours=24) <= alert.due_at - began <= timedelta(hours=25)
        clock.time = alert.due_at
        await house.decide()
        await house.send()
        assert [sms.body.partition(" from")[0] for sms in twilio.sent[3:]] == ["You have 3 new messages"]


async def test_a_cap_on_one_number_stops_no_other(
    database: Database, settings: Settings, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    channels = crowd(world, 3)
    async with a_house(database, settings, world, clock, twilio, sms_max_per_recipient_per_day=1) as house:
        await write_and_wait(house, world, clock, channels[0])
        await house.send()
        await write_and_wait(house, world, clock, *channels)
        await house.send()
        assert Counter(sms.to for sms in twilio.sent) == {world.people[f"user-{n}"].phone: 1 for n in range(3)}


async def at_the_cap(each: list[House]) -> None:
    """Let every house claim what it can, and all bring it to an end at once."""
    workers = [house.module.delivery_worker for house in each]
    claims = [await worker.claim(10) for worker in workers]
    await asyncio.gather(*(w.deliver(one) for w, claim in zip(workers, claims, strict=True) for one in claim))


async def test_the_deployments_cap_is_exact_over_several_instances(
    dsn: str, settings: Settings, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    async with houses(dsn, settings, world, clock, twilio, count=4, sms_max_per_day=17) as each:
        await write_and_wait(each[0], world, clock, *crowd(world, 40))
        await at_the_cap(each)
        assert len(twilio.sent) == 17
        ledger = await each[0].ledger()
        assert told(ledger) == {"accepted": 17, "pending cost_cap": 23}
        assert all(d.due_at > clock.time + timedelta(hours=23) for d in ledger if d.state == "pending")


async def test_without_the_lock_it_would_be_passed(
    dsn: str,
    settings: Settings,
    world: World,
    clock: Clock,
    twilio: TwilioServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The broken variant."""
    read, used = circuits.read, usage.used

    async def unlocked(connection: Connection, transport: str, *, lock: bool) -> tuple[Circuit, object]:
        return await read(connection, transport, lock=False)

    async def slowly(*asked: Any) -> Any:
        found = await used(*asked)
        await asyncio.sleep(0.2)  # others read, too, before it is written
        return found

    monkeypatch.setattr(circuits, "read", unlocked)
    monkeypatch.setattr(usage, "used", slowly)
    async with houses(dsn, settings, world, clock, twilio, count=4, sms_max_per_day=17) as each:
        await write_and_wait(each[0], world, clock, *crowd(world, 40))
        await at_the_cap(each)
        assert len(twilio.sent) > 17


async def test_what_certainly_wasnt_sent_costs_nothing_and_what_nobody_knows_of_does(
    database: Database, settings: Settings, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    async with a_house(database, settings, world, clock, twilio, sms_max_per_day=2) as house:
        await write_and_wait(house, world, clock, *crowd(world, 5))
        twilio.script.extend([refuse(400, 21617), refuse(400, 21211), break_down(taken=False), accept])
        await house.send()
        assert told(await house.ledger()) == {
            "failed twilio_21617": 1,
            "failed twilio_21211": 1,
            "unknown http_500": 1,
            "accepted": 1,
            "pending cost_cap": 1,
        }


async def test_segments_count_not_messages(
    database: Database, settings: Settings, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    channels = crowd(world, 3)
    world.people["ana"].display_name = "Ana"
    public_url = "https://parley.example/" + "long/" * 25
    async with a_house(database, settings, world, clock, twilio, sms_max_per_day=5, public_url=public_url) as house:
        await write_and_wait(house, world, clock, *channels)
        await house.send()
        assert len(twilio.sent) == 2, "of two segments each"


async def test_no_cap_is_no_cap(
    database: Database, settings: Settings, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    async with a_house(database, settings, world, clock, twilio) as house:
        await write_and_wait(house, world, clock, *crowd(world, 60))
        await house.send()
        assert len(twilio.sent) == 60


async def test_a_cap_is_told_once_an_hour_and_names_nobody(
    database: Database, settings: Settings, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    logged = io.StringIO()
    logging.configure("debug", to=logged)
    async with a_house(database, settings, world, clock, twilio, sms_max_per_day=1) as house:
        await write_and_wait(house, world, clock, *crowd(world, 10))
        await house.send()
        assert logged.getvalue().count("sms_cost_cap") == 1
        clock.forward(minutes=60)
        await write_and_wait(house, world, clock, *crowd(world, 5, of="later"))
        assert logged.getvalue().count("sms_cost_cap") == 2
    assert "+4915" not in logged.getvalue()


class Timed:
    """Notes when each SMS came in."""

    def __init__(self) -> None:
        self.at: list[float] = []

    async def __call__(self, server: TwilioServer, request: web.Request, form: Mapping[str, str]) -> web.StreamResponse:
        self.at.append(time.monotonic())
        return await accept(server, request, form)

    def most_within(self, seconds: float) -> int:
        """The largest number of SMS in any such span."""
        return max(sum(1 for other in self.at if 0 <= other - begun < seconds) for begun in self.at)


PER_S = 10.0
UNEVEN_S = 0.15
"""How far apart from its turn an SMS may come in, on a machine under load."""


async def paced(dsn: str, settings: Settings, world: World, twilio: TwilioServer, *, size: int) -> tuple[Timed, float]:
    """Let three instances send to a crowd; return when SMS came in, and how long it took."""
    timed = Timed()
    twilio.default = timed
    more: dict[str, object] = {"sms_per_s": PER_S, "sms_delay_s": 0, "default_quiet_hours": "00:00-00:00"}
    async with houses(dsn, settings, world, now, twilio, count=3, **more) as each:
        channels = crowd(world, size)
        await each[0].publish(*(world.say(channel, "ana", occurred_at=now()) for channel in channels))
        await each[0].decide()
        begun = time.monotonic()
        for house in each:
            await house.module.start()
        while len(timed.at) < size and time.monotonic() - begun < 60:
            await asyncio.sleep(0.05)
        return timed, time.monotonic() - begun


async def test_a_sender_keeps_its_pace_over_several_instances(
    dsn: str, settings: Settings, world: World, twilio: TwilioServer
) -> None:
    timed, took_s = await paced(dsn, settings, world, twilio, size=30)
    assert len({sms.to for sms in twilio.sent}) == len(twilio.sent) == 30
    assert timed.most_within(1.0 - UNEVEN_S) <= PER_S + 1
    assert timed.most_within(2.0 - UNEVEN_S) <= 2 * PER_S + 1
    assert took_s < 3 * 30 / PER_S + 5, "and it isn't much slower either"


async def test_without_turns_it_would_burst(
    dsn: str, settings: Settings, world: World, twilio: TwilioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: nobody notes when the sender is free again."""

    async def nothing(*_: object) -> None:
        pass

    monkeypatch.setattr(circuits, "occupy", nothing)
    timed, _ = await paced(dsn, settings, world, twilio, size=30)
    assert timed.most_within(1.0 - UNEVEN_S) > PER_S + 1


async def test_other_transports_dont_wait_for_the_sender(
    database: Database, settings: Settings, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    async with a_house(database, settings, world, clock, twilio, sms_per_s=0.01) as house:
        await write_and_wait(house, world, clock, *crowd(world, 10))
        hands = await hands_of(house, {"push": 8, "sms": 8, "email": 8})
        assert hands == {"push": 8, "sms": 1, "email": 8}
        await house.send()
        assert await hands_of(house, {"push": 8, "sms": 8, "email": 8}) == {"push": 8, "sms": 0, "email": 8}
        clock.forward(seconds=100)
        await house.send()
        assert len(twilio.sent) == 2


async def hands_of(house: House, free: Mapping[str, int]) -> Mapping[str, int]:
    async with house.database.connection() as connection:
        return (await house.module.delivery_worker._admission.hands(connection, free)).free
