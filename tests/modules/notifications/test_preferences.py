"""What people choose, and that it counts at once; and a ledger that also carries what isn't about messages."""

from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from kernel.ids import new_id
from modules.notifications.domain.delivery import Delivery
from modules.notifications.domain.preferences import Categories, Channels, Preferences, QuietHours, defaults
from modules.notifications.domain.quiet_hours import Window
from modules.notifications.store import deliveries as rows
from tests.modules.notifications.conftest import NOON, Clock, House
from tests.modules.notifications.test_routes import DELIVERIES, PREFERENCES, caller
from tests.modules.notifications.world import Person, World
from tests.support.twilio_server import TwilioServer

WHOLE: dict[str, Any] = {
    "channels": {"push": True, "sms": False, "email": True},
    "categories": {"messages": True, "invites": False},
    "quiet_hours": {"start": "22:15", "end": "07:45", "time_zone": "Pacific/Chatham"},
    "paused_until": "2026-06-03T12:30:00.000000Z",
}


async def written(house: House, world: World, clock: Clock, *, who: Person | None = None) -> UUID:
    """Let Ana write to Bo, and the delay of an SMS pass."""
    channel = uuid4()
    world.join(channel, Person("ana", phone="+4915100000001"), who or Person("bo"))
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    clock.forward(minutes=3)
    return channel


async def held_by(house: House) -> list[str | None]:
    return [alert.held_by for alert in await house.module.service.open_alerts("bo")]


async def test_what_is_put_is_the_whole_state(http: httpx.AsyncClient) -> None:
    bo = caller("bo")
    default = (await http.get(PREFERENCES, headers=bo)).json()
    assert default == {
        "channels": {"push": True, "sms": True, "email": True},
        "categories": {"messages": True, "invites": True},
        "quiet_hours": {"start": "21:00", "end": "09:00", "time_zone": None},
        "paused_until": None,
    }
    put = await http.put(PREFERENCES, headers=bo, json=WHOLE)
    assert (put.status_code, put.json()) == (200, WHOLE)
    assert (await http.get(PREFERENCES, headers=bo)).json() == WHOLE
    shorter = {**WHOLE, "quiet_hours": None}
    del shorter["paused_until"]
    assert (await http.put(PREFERENCES, headers=bo, json=shorter)).json() == {**shorter, "paused_until": None}
    assert (await http.get(PREFERENCES, headers=caller("cy"))).json() == default


@pytest.mark.parametrize(
    "name", ["localtime", "Factory", "posixrules", "Mars/Olympus", "europe/berlin", "../../etc/passwd", "UTC+2", ""]
)
async def test_a_zone_is_one_of_ianas_names(http: httpx.AsyncClient, name: str) -> None:
    body = {**WHOLE, "quiet_hours": {"start": "22:00", "end": "07:00", "time_zone": name}}
    response = await http.put(PREFERENCES, headers=caller("bo"), json=body)
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["/quiet_hours/time_zone"]


async def test_quiet_hours_that_are_no_time_at_all_are_refused(http: httpx.AsyncClient) -> None:
    body = {**WHOLE, "quiet_hours": {"start": "07:00", "end": "07:00", "time_zone": None}}
    response = await http.put(PREFERENCES, headers=caller("bo"), json=body)
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["/quiet_hours/end"]


async def test_the_end_of_a_pause_is_the_end_of_waiting(
    house: House, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    service = house.module.service
    await service.choose("bo", Preferences(paused_until=NOON + timedelta(days=7)))
    await written(house, world, clock)
    assert await house.decide() == []
    assert await held_by(house) == ["paused"]
    clock.forward(hours=5)
    assert await house.decide() == []
    await service.choose("bo", Preferences())
    await house.decide()
    assert [d.state for d in await house.send()] == ["accepted"]


async def test_a_delivery_that_was_put_off_is_asked_again_as_well(house: House, world: World, clock: Clock) -> None:
    service = house.module.service
    await written(house, world, clock)
    await house.decide()
    await service.choose("bo", Preferences(paused_until=NOON + timedelta(days=7)))
    assert [(d.state, d.reason) for d in await house.send()] == [("pending", "paused")]
    clock.forward(minutes=1)
    assert [d.state for d in await house.send()] == ["pending"]
    await service.choose("bo", Preferences())
    assert [(d.state, d.reason) for d in await house.send()] == [("accepted", None)]


async def test_another_choice_is_no_way_around_the_other_gates(house: House, world: World, clock: Clock) -> None:
    """What is brought forward is decided on, not sent: it is still too young, or still night."""
    clock.time = datetime(2026, 6, 3, 20, 0, tzinfo=NOON.tzinfo)  # 22:00 in Berlin
    channel = await written(house, world, clock)
    await house.decide()
    assert await held_by(house) == ["quiet_hours"]
    await house.module.service.choose("bo", defaults("21:00-09:00"))
    assert await house.decide() == []
    assert await held_by(house) == ["quiet_hours"]
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    world.read_to["bo", channel] = 1
    await house.module.service.choose("bo", Preferences())
    assert await house.decide() == []
    assert await held_by(house) == ["grace"]


async def test_a_zone_of_last_resort_shows_in_the_ledger_and_on_the_open_alert(
    house: House, world: World, clock: Clock
) -> None:
    policy = house.module.explaining._snapshots._policy
    house.module.explaining._snapshots._policy = type(policy)(
        delays_s=policy.delays_s, defaults=policy.defaults, default_zone="Europe/Berlin"
    )
    nowhere = Person("bo", phone="+881612345678", time_zone=None)
    await written(house, world, clock, who=nowhere)
    await house.decide()
    assert [(d.state, d.reason) for d in await house.send()] == [("accepted", "default_zone")]
    clock.forward(hours=9)
    await written(house, world, clock, who=nowhere)
    await house.decide()
    assert await held_by(house) == ["quiet_hours, default_zone"]


async def test_choices_of_any_kind_come_back_as_they_were(house: House) -> None:
    service = house.module.service
    for chosen in (
        Preferences(),
        Preferences(Channels(push=False), Categories(invites=False)),
        Preferences(quiet_hours=QuietHours(Window(time(0), time(23, 59)), "Asia/Kathmandu")),
        Preferences(quiet_hours=QuietHours(Window(time(23, 59), time(0))), paused_until=NOON),
    ):
        await service.choose("bo", chosen)
        assert await service.preferences("bo") == chosen


async def test_a_delivery_may_be_about_something_else_than_messages(http: httpx.AsyncClient, house: House) -> None:
    async with house.database.transaction() as tx:
        await rows.add(tx.connection, [invitation(), invitation()])
    page = (await http.get(DELIVERIES, headers=caller("bo"))).json()
    assert len(page["items"]) == 2
    for item in page["items"]:
        assert item["category"] == "invites"
        assert [item[name] for name in ("channel_id", "from_seq", "to_seq")] == [None] * 3


def invitation() -> Delivery:
    return Delivery(
        id=new_id(),
        user_id="bo",
        transport="email",
        category="invites",
        thread_id=None,
        from_seq=None,
        to_seq=None,
        message_count=1,
        state="suppressed",
        reason="preferences",
        provider_id=None,
        attempts=0,
        failures=0,
        due_at=NOON,
        claim_id=None,
        lease_until=None,
        created_at=NOON,
        updated_at=NOON,
    )
