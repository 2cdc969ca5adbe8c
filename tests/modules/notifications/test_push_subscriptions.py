"""Push subscriptions over HTTP: kept by endpoint, of one person, never shown with their keys."""

import asyncio
import base64
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import vapid
from kernel.database import Database
from kernel.errors import MalformedError
from kernel.settings import Settings
from modules.identity.events import UserDeactivated
from modules.notifications.errors import PushNotSetUpError
from modules.notifications.push import store
from modules.notifications.push.schemas import PushSubscriptionIn, SubscriptionKeys
from modules.notifications.push.service import PushRegistry
from modules.notifications.push.store import MAX_PER_PERSON
from tests.modules.notifications.conftest import Clock, House
from tests.modules.notifications.test_routes import caller
from tests.support.push_server import Browser

KEY, SUBSCRIPTIONS = "/api/notifications/vapid-key", "/api/notifications/push-subscriptions"
SERVICE = "https://updates.push.services.mozilla.com/wpush/v2/"
Json = dict[str, Any]


def browser() -> Json:
    """Return what a new browser says of its subscription."""
    return Browser(SERVICE + uuid4().hex, None).to_json()


async def subscribe(http: httpx.AsyncClient, who: str, told: Json, status: int = 201) -> Json:
    answer = await http.post(SUBSCRIPTIONS, json=told, headers=caller(who))
    assert answer.status_code == status, answer.text
    body: Json = answer.json()
    return body


async def listed(http: httpx.AsyncClient, who: str) -> list[Json]:
    answer = (await http.get(SUBSCRIPTIONS, headers=caller(who))).json()
    assert answer["next"] is None
    items: list[Json] = answer["items"]
    return items


async def test_the_key_is_that_of_the_settings(http: httpx.AsyncClient, settings: Settings) -> None:
    key = vapid.signing_key(settings)
    assert key
    assert (await http.get(KEY, headers=caller("bo"))).json() == {"public_key": vapid.public(key)}


async def test_a_browser_is_kept_by_its_endpoint(http: httpx.AsyncClient, clock: Clock) -> None:
    told = browser()
    made = await subscribe(http, "bo", told | {"expirationTime": 1_893_456_000_000})
    assert set(made) == {"id", "endpoint", "expires_at", "created_at", "updated_at"}
    assert (made["endpoint"], made["expires_at"]) == (told["endpoint"], "2030-01-01T00:00:00.000000Z")
    clock.forward(seconds=5)
    again = await subscribe(http, "bo", told | {"keys": browser()["keys"]}, status=200)
    assert again == made | {"expires_at": None, "updated_at": again["updated_at"]}
    assert again["updated_at"] > made["updated_at"]
    assert await listed(http, "bo") == [again]
    assert await listed(http, "ana") == []


async def test_keys_are_renewed_and_never_shown(http: httpx.AsyncClient, database: Database, house: House) -> None:
    told, renewed = browser(), browser()["keys"]
    await subscribe(http, "bo", told)
    answer = await http.post(SUBSCRIPTIONS, json=told | {"keys": renewed}, headers=caller("bo"))
    shown = answer.text + (await http.get(SUBSCRIPTIONS, headers=caller("bo"))).text
    for keys in (told["keys"], renewed):
        assert not [key for key in keys.values() if key in shown]
    async with database.connection() as connection:
        [one] = (await house.module._push.registry.of(connection, ["bo", "ana"]))["bo"]
    assert (one.endpoint, one.p256dh, one.auth) == (told["endpoint"], renewed["p256dh"], renewed["auth"])


async def test_another_login_in_the_same_browser_takes_it_over(http: httpx.AsyncClient) -> None:
    told = browser()
    bos = await subscribe(http, "bo", told)
    anas = await subscribe(http, "ana", told)
    assert anas["id"] != bos["id"]
    assert await listed(http, "bo") == []
    assert await listed(http, "ana") == [anas]
    assert (await http.delete(f"{SUBSCRIPTIONS}/{bos['id']}", headers=caller("bo"))).status_code == 404
    assert await listed(http, "ana") == [anas]


async def test_one_is_removed_by_its_owner_only(http: httpx.AsyncClient) -> None:
    made, other = await subscribe(http, "bo", browser()), await subscribe(http, "bo", browser())
    foreign = await http.delete(f"{SUBSCRIPTIONS}/{made['id']}", headers=caller("ana"))
    missing = await http.delete(f"{SUBSCRIPTIONS}/{uuid4()}", headers=caller("ana"))
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json() | {"request_id": 0} == missing.json() | {"request_id": 0}
    assert (await http.delete(f"{SUBSCRIPTIONS}/{made['id']}", headers=caller("bo"))).status_code == 204
    assert (await http.delete(f"{SUBSCRIPTIONS}/{made['id']}", headers=caller("bo"))).status_code == 404
    assert [item["id"] for item in await listed(http, "bo")] == [other["id"]]


async def test_of_too_many_the_oldest_goes(http: httpx.AsyncClient) -> None:
    first = browser()
    await subscribe(http, "bo", first)
    ids = [(await subscribe(http, "bo", browser()))["id"] for _ in range(MAX_PER_PERSON - 1)]
    await subscribe(http, "bo", first, status=200)  # in use, so no longer the oldest
    ids.append((await subscribe(http, "bo", browser()))["id"])
    kept = [item["id"] for item in await listed(http, "bo")]
    assert len(kept) == MAX_PER_PERSON
    assert kept[0] == ids[-1]
    assert ids[0] not in kept
    assert set(ids[1:]) < set(kept)


async def test_many_at_once_keep_to_the_limit_and_one_endpoint_is_one_row(http: httpx.AsyncClient) -> None:
    told = browser()
    same = await asyncio.gather(
        *(http.post(SUBSCRIPTIONS, json=told, headers=caller(who)) for who in ("bo", "ana") * 10)
    )
    assert {answer.status_code for answer in same} <= {200, 201}
    assert len(await listed(http, "bo")) + len(await listed(http, "ana")) == 1
    await asyncio.gather(*(subscribe(http, "bo", browser()) for _ in range(MAX_PER_PERSON + 10)))
    assert len(await listed(http, "bo")) == MAX_PER_PERSON


P256DH, AUTH = browser()["keys"].values()
OFF_CURVE = base64.urlsafe_b64encode(b"\x04" + b"\x01" * 64).decode().rstrip("=")
COMPRESSED = base64.urlsafe_b64encode(b"\x02" + b"\x01" * 64).decode().rstrip("=")
BAD: list[tuple[Json, str]] = [
    ({"endpoint": "http://updates.push.services.mozilla.com/x"}, "/endpoint"),
    ({"endpoint": "https://updates.push.services.mozilla.com:8443/x"}, "/endpoint"),
    ({"endpoint": "https://user@updates.push.services.mozilla.com/x"}, "/endpoint"),
    ({"endpoint": "https://updates.push.services.mozilla.com.evil.example/x"}, "/endpoint"),
    ({"endpoint": "https://push.apple.com/x"}, "/endpoint"),
    ({"endpoint": "https://127.0.0.1/x"}, "/endpoint"),
    ({"endpoint": "https://[::1]/x"}, "/endpoint"),
    ({"endpoint": "https://169.254.169.254/latest/meta-data"}, "/endpoint"),
    ({"endpoint": "https://localhost/x"}, "/endpoint"),
    ({"endpoint": "https://hooks.example/x"}, "/endpoint"),
    ({"endpoint": SERVICE + "x" * 2048}, "/endpoint"),
    ({"endpoint": SERVICE + "é"}, "/endpoint"),
    ({"endpoint": SERVICE + "\x00"}, "/endpoint"),
    ({"endpoint": ""}, "/endpoint"),
    ({"endpoint": None}, "/endpoint"),
    ({"keys": {}}, "/keys/p256dh"),
    ({"keys": {"p256dh": P256DH}}, "/keys/auth"),
    ({"keys": {"p256dh": P256DH[:-1], "auth": AUTH}}, "/keys/p256dh"),
    ({"keys": {"p256dh": P256DH + "A", "auth": AUTH}}, "/keys/p256dh"),
    ({"keys": {"p256dh": OFF_CURVE, "auth": AUTH}}, "/keys/p256dh"),
    ({"keys": {"p256dh": COMPRESSED, "auth": AUTH}}, "/keys/p256dh"),
    ({"keys": {"p256dh": P256DH, "auth": AUTH[:-1]}}, "/keys/auth"),
    ({"keys": {"p256dh": P256DH, "auth": AUTH + "AA"}}, "/keys/auth"),
    ({"keys": {"p256dh": P256DH, "auth": AUTH, "more": 1}}, "/keys/more"),
    ({"expirationTime": -1}, "/expirationTime"),
    ({"expirationTime": 1.5}, "/expirationTime"),
    ({"expirationTime": 253_402_300_800_000}, "/expirationTime"),
    ({"expirationTime": "2030-01-01"}, "/expirationTime"),
    ({"expiration_time": 1}, "/expiration_time"),
]


@pytest.mark.parametrize(("change", "pointer"), BAD)
async def test_what_is_no_subscription_is_refused_and_leaves_no_trace(
    http: httpx.AsyncClient, change: Json, pointer: str
) -> None:
    answer = await http.post(SUBSCRIPTIONS, json=browser() | change, headers=caller("bo"))
    assert answer.status_code == 400, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await listed(http, "bo") == []


@pytest.mark.parametrize("host", ["fcm.googleapis.com", "web.push.apple.com", "wns2-par02p.notify.windows.com"])
async def test_the_services_of_all_browsers_are_taken(http: httpx.AsyncClient, host: str) -> None:
    await subscribe(http, "bo", browser() | {"endpoint": f"https://{host}/x"})


async def test_padding_is_taken_and_not_kept(http: httpx.AsyncClient, database: Database) -> None:
    told = browser()
    padded = {"p256dh": told["keys"]["p256dh"] + "=", "auth": told["keys"]["auth"] + "=="}
    await subscribe(http, "bo", told | {"keys": padded})
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT p256dh, auth FROM notification_push_subscriptions")
    assert [dict(row) for row in rows] == [told["keys"]]


async def test_what_has_expired_is_neither_shown_nor_used(
    http: httpx.AsyncClient, house: House, database: Database, clock: Clock
) -> None:
    ends = int(clock().timestamp() * 1000) + 60_000
    await subscribe(http, "bo", browser() | {"expirationTime": ends})
    assert len(await listed(http, "bo")) == 1
    clock.forward(seconds=61)
    assert await listed(http, "bo") == []
    async with database.connection() as connection:
        assert await house.module._push.registry.of(connection, ["bo"]) == {}


async def fine(_url: str, _pointer: str) -> None:
    """Every endpoint is."""


async def test_subscriptions_to_another_key_are_left_alone_until_it_is_back(database: Database, clock: Clock) -> None:
    old, new = (PushRegistry(database=database, vapid_key=key, check=fine, clock=clock) for key in ("old", "new"))
    kept, _ = await old.subscribe("bo", store.Browser(endpoint="1", p256dh="p", auth="a", expires_at=None))
    assert await new.subscriptions("bo") == []
    assert await old.subscriptions("bo") == [kept]
    renewed, is_new = await new.subscribe("bo", store.Browser(endpoint="1", p256dh="q", auth="b", expires_at=None))
    assert (renewed.id, is_new) == (kept.id, False)
    assert await old.subscriptions("bo") == []
    assert [one.id for one in await new.subscriptions("bo")] == [kept.id]


async def test_who_is_deactivated_leaves_no_browser_behind(
    http: httpx.AsyncClient, house: House, database: Database
) -> None:
    await subscribe(http, "bo", browser())
    anas = await subscribe(http, "ana", browser())
    await house.publish(UserDeactivated(user_id="bo"))
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT user_id, id FROM notification_push_subscriptions")
    assert [tuple(row) for row in rows] == [("ana", UUID(anas["id"]))]


async def test_without_a_key_push_says_so(database: Database, clock: Clock) -> None:
    off = PushRegistry(database=database, vapid_key=None, check=fine, clock=clock)
    async with database.connection() as connection:
        assert await off.of(connection, ["bo"]) == {}
    assert await off.subscriptions("bo") == []
    with pytest.raises(PushNotSetUpError):
        off.key()
    with pytest.raises(PushNotSetUpError):
        await off.subscribe("bo", store.Browser(endpoint="1", p256dh="p", auth="a", expires_at=None))


@given(st.binary(min_size=65, max_size=65), st.binary(min_size=16, max_size=16))
def test_any_65_bytes_are_a_point_or_refused(point: bytes, auth: bytes) -> None:
    keys = [base64.urlsafe_b64encode(data).decode().rstrip("=") for data in (point, auth)]
    told = PushSubscriptionIn(endpoint=SERVICE, keys=SubscriptionKeys(*keys))
    with pytest.raises(MalformedError) as caught:  # nobody hits the curve by chance
        told.browser()
    assert [error.pointer for error in caught.value.errors or []] == ["/keys/p256dh"]
