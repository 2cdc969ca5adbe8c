"""Preferences, the ledger and replays over HTTP."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.modules.notifications.conftest import Clock, House
from tests.modules.notifications.world import Person, World
from tests.support.twilio_server import TwilioServer, refuse

CHOICES: dict[str, Any] = {
    "channels": {"push": False, "sms": True, "email": False},
    "categories": {"messages": True, "invites": False},
    "quiet_hours": {"start": "22:30", "end": "07:00", "time_zone": "Asia/Tokyo"},
    "paused_until": "2026-06-04T09:15:00.000001Z",
}
PREFERENCES, DELIVERIES = "/api/notifications/preferences", "/api/notifications/deliveries"


async def test_somebody_who_never_chose_has_everything_on(http: httpx.AsyncClient) -> None:
    response = await http.get(PREFERENCES, headers=caller("bo"))
    assert response.json() == {
        "channels": {"push": True, "sms": True, "email": True},
        "categories": {"messages": True, "invites": True},
        "quiet_hours": {"start": "21:00", "end": "09:00", "time_zone": None},
        "paused_until": None,
    }


@pytest.mark.parametrize("choices", [CHOICES, CHOICES | {"quiet_hours": None}, CHOICES | {"paused_until": None}])
async def test_what_is_put_is_what_is_got(http: httpx.AsyncClient, choices: dict[str, Any]) -> None:
    put = await http.put(PREFERENCES, json=choices, headers=caller("bo"))
    got = await http.get(PREFERENCES, headers=caller("bo"))
    assert (put.status_code, put.json()) == (200, choices) == (got.status_code, got.json())
    assert (await http.get(PREFERENCES, headers=caller("ana"))).json() != choices


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("channels", {"push": True, "sms": True}),
        ("channels", {"push": True, "sms": "yes", "email": True}),
        ("channels", {"push": True, "sms": True, "email": True, "pigeon": True}),
        ("categories", None),
        ("quiet_hours", {"start": "21:00", "end": "21:00"}),
        ("quiet_hours", {"start": "24:00", "end": "09:00"}),
        ("quiet_hours", {"start": "9:00", "end": "21:00"}),
        ("quiet_hours", {"start": "٠٩:00", "end": "21:00"}),
        ("quiet_hours", {"start": "21:00"}),
        ("quiet_hours", {"start": "21:00", "end": "09:00", "time_zone": "Mars/Olympus"}),
        ("quiet_hours", {"start": "21:00", "end": "09:00", "time_zone": ""}),
        ("quiet_hours", {"start": "21:00", "end": "09:00", "time_zone": "../../etc/passwd"}),
        ("quiet_hours", {"start": "21:00", "end": "09:00", "time_zone": "/etc/passwd"}),
        ("quiet_hours", {"start": "21:00", "end": "09:00", "time_zone": "Europe"}),
        ("quiet_hours", {"start": "21:00", "end": "09:00", "time_zone": "Europe/Berlin\x00"}),
        ("quiet_hours", {"start": "21:00", "end": "09:00", "time_zone": "x" * 65}),
        ("paused_until", "tomorrow"),
        ("paused_until", "2026-06-04T09:15:00"),
        ("paused_until", "0001-01-01T00:00:00+01:00"),
        ("paused_until", "9999-12-31T23:59:59-01:00"),
        ("paused_until", 5),
        ("surprise", 1),
    ],
)
async def test_bad_choices_are_refused_and_change_nothing(http: httpx.AsyncClient, field: str, value: object) -> None:
    response = await http.put(PREFERENCES, json=CHOICES | {field: value}, headers=caller("bo"))
    assert response.status_code == 400, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert (await http.get(PREFERENCES, headers=caller("bo"))).json()["paused_until"] is None


@pytest.mark.parametrize("missing", ["channels", "categories", "quiet_hours"])
async def test_the_whole_of_the_choices_is_put(http: httpx.AsyncClient, missing: str) -> None:
    choices = {name: value for name, value in CHOICES.items() if name != missing}
    assert (await http.put(PREFERENCES, json=choices, headers=caller("bo"))).status_code == 400


async def some_deliveries(house: House, world: World, clock: Clock) -> None:
    """Ana writes in five channels; Bo and Cy hear of each."""
    for _ in range(5):
        channel = uuid4()
        people = (Person("ana"), Person("bo", phone="+4915112345679"), Person("cy", phone=None))
        world.join(channel, *people)
        await house.publish(world.say(channel, "ana", occurred_at=clock.time))
        clock.forward(minutes=3)
        await house.decide()
    await house.send()


async def test_people_see_their_own_deliveries_and_admins_all(
    http: httpx.AsyncClient, house: House, world: World, clock: Clock
) -> None:
    await some_deliveries(house, world, clock)

    async def seen(who: dict[str, str], **query: str) -> set[tuple[str, str]]:
        response = await http.get(DELIVERIES, params=query, headers=who)
        assert response.status_code == 200, response.text
        return {(item["user_id"], item["state"]) for item in response.json()["items"]}

    bo, cy = ("bo", "accepted"), ("cy", "suppressed")
    admin = caller("root", "admin")
    assert await seen(caller("bo")) == {bo}
    assert await seen(caller("bo"), user_id="bo") == {bo}
    assert await seen(caller("bo"), state="suppressed") == set()
    assert await seen(caller("ana")) == set()
    assert await seen(admin) == {bo, cy}
    assert await seen(admin, user_id="cy") == {cy}
    assert await seen(admin, state="accepted") == {bo}
    assert await seen(admin, user_id="cy", state="accepted") == set()
    for role in ("user", "auditor"):
        response = await http.get(DELIVERIES, params={"user_id": "bo"}, headers=caller("cy", role))
        assert response.status_code == 403


async def test_a_delivery_tells_all_and_no_number(
    http: httpx.AsyncClient, house: House, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    await some_deliveries(house, world, clock)
    response = await http.get(DELIVERIES, headers=caller("bo"))
    newest = response.json()["items"][0]
    assert newest.keys() == {
        *("id", "user_id", "transport", "category", "channel_id", "from_seq", "to_seq", "message_count", "state"),
        *("reason", "provider_id", "attempts", "due_at", "created_at", "updated_at"),
    }
    assert (newest["transport"], newest["category"], newest["message_count"]) == ("sms", "messages", 1)
    assert newest["provider_id"] in {sms.sid for sms in twilio.sent}
    assert newest["due_at"].endswith("Z")
    assert "+49" not in response.text


async def test_pages_are_walked_by_cursor_newest_first(
    http: httpx.AsyncClient, house: House, world: World, clock: Clock
) -> None:
    await some_deliveries(house, world, clock)
    admin, found, cursor = caller("root", "admin"), [], None
    for expected in (4, 4, 2):
        query = {"limit": "4"} | ({"cursor": cursor} if cursor else {})
        page = (await http.get(DELIVERIES, params=query, headers=admin)).json()
        assert len(page["items"]) == expected
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
    assert cursor is None
    assert found == sorted(set(found), reverse=True)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "cursor=!", "cursor=AAAA", "state=lost", "user_id=", "user_id=%00"]
)
async def test_bad_questions_are_refused(http: httpx.AsyncClient, query: str) -> None:
    response = await http.get(f"{DELIVERIES}?{query}", headers=caller("root", "admin"))
    assert response.status_code == 400, response.text


async def test_only_admins_replay_and_only_the_dead(
    http: httpx.AsyncClient, house: House, world: World, clock: Clock, twilio: TwilioServer
) -> None:
    twilio.default = refuse(400, 30450)
    channel = uuid4()
    world.join(channel, Person("ana"), Person("bo"))
    await house.publish(world.say(channel, "ana", occurred_at=clock.time))
    clock.forward(minutes=3)
    [delivery] = await house.decide()
    replay = f"/api/admin/notifications/deliveries/{delivery.id}/replay"
    admin = caller("root", "admin")

    refused = await http.post(replay, headers=admin)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/not-replayable")
    for _ in range(4):
        clock.forward(seconds=11)
        await house.send()
    for role in ("user", "auditor"):
        assert (await http.post(replay, headers=caller("bo", role))).status_code == 403
    replayed = await http.post(replay, headers=admin)
    assert (replayed.status_code, replayed.json()["state"], replayed.json()["attempts"]) == (200, "pending", 4)
    assert (await http.post(replay, headers=admin)).status_code == 409
    for unknown in (uuid4(), "nonsense"):
        response = await http.post(f"/api/admin/notifications/deliveries/{unknown}/replay", headers=admin)
        assert response.status_code == 404


@pytest.mark.parametrize("path", [PREFERENCES, DELIVERIES])
async def test_without_credentials_there_is_nothing(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 401


def caller(user_id: str, role: str = "user") -> dict[str, str]:
    """Return the credentials that the test application takes."""
    return {"Authorization": f"Bearer {user_id}/{role}"}
