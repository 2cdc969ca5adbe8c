"""People are what their host says they are."""

import asyncio
from typing import Any

import httpx
import pytest

from kernel.database import Database
from modules.identity import domain
from modules.identity.events import UserDeactivated, UserUpdated
from tests.modules.identity.conftest import Identity

ANA = {
    "username": "Ana.L",
    "display_name": "Ana López",
    "avatar_url": "https://example.org/ana.png",
    "phone": "+442079460000",
    "email": "ana@example.org",
    "time_zone": "Europe/London",
    "locale": "en-GB",
}


async def put(http: httpx.AsyncClient, user_id: str, **body: Any) -> httpx.Response:
    return await http.put(f"/api/users/{user_id}", json={"username": user_id, "display_name": user_id} | body)


async def me(identity: Identity, http: httpx.AsyncClient, user_id: str) -> httpx.Response:
    token = identity.tokens.sign(await identity.tokens.grant(user_id))
    return await http.get("/api/users/me", headers={"Authorization": f"Bearer {token}"})


async def test_a_person_is_created_then_replaced(http: httpx.AsyncClient, identity: Identity) -> None:
    created = await put(http, "ana", **ANA)
    assert created.status_code == 201
    assert created.json().items() >= (ANA | {"user_id": "ana"}).items()
    assert "connect_pin" not in created.json()
    replaced = await put(http, "ana", username="ana", display_name="Ana")
    assert replaced.status_code == 200
    assert replaced.json()["phone"] is None
    assert replaced.json()["created_at"] == created.json()["created_at"] < replaced.json()["updated_at"]
    assert [(type(event), event.user_id) for event in identity.published] == [(UserUpdated, "ana")] * 2


async def test_putting_the_same_again_changes_and_reports_nothing(http: httpx.AsyncClient, identity: Identity) -> None:
    first, second = await put(http, "ana", **ANA), await put(http, "ana", **ANA)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert len(identity.published) == 1


async def test_one_sees_ones_own_profile_and_pin(http: httpx.AsyncClient, identity: Identity) -> None:
    await put(http, "ana", **ANA)
    before = (await me(identity, http, "ana")).json()
    assert before.items() >= ANA.items()
    first, _, second = before["connect_pin"].partition("-")
    assert len(first) == len(second) == 5
    assert set(first + second) <= set(domain.CROCKFORD)
    await put(http, "ana", **ANA | {"display_name": "Ana"})
    assert (await me(identity, http, "ana")).json()["connect_pin"] == before["connect_pin"]


async def test_pins_are_found_by_hash_however_they_are_written(
    http: httpx.AsyncClient, identity: Identity, database: Database
) -> None:
    await put(http, "ana")
    pin = (await me(identity, http, "ana")).json()["connect_pin"]
    for written in (pin, pin.lower(), pin.replace("-", ""), f" {pin} ", pin.replace("0", "o").replace("1", "l")):
        async with database.connection() as connection:
            query = "SELECT user_id FROM identity_users WHERE connect_pin_hash = $1"
            assert await connection.fetchval(query, domain.pin_hash(written)) == "ana"


async def test_a_username_belongs_to_one_whatever_its_case(http: httpx.AsyncClient) -> None:
    await put(http, "ana", username="Ana")
    taken = await put(http, "bo", username="aNA")
    assert taken.status_code == 409
    assert taken.json()["errors"] == [{"pointer": "/username", "message": "is taken"}]
    assert (await put(http, "ana", username="ANA")).status_code == 200
    assert (await put(http, "ana", username="else")).status_code == 200
    assert (await put(http, "bo", username="aNA")).status_code == 201


async def test_of_many_who_race_for_a_username_one_gets_it(http: httpx.AsyncClient) -> None:
    replies = await asyncio.gather(*(put(http, f"u{n}", username="ana") for n in range(30)))
    assert sorted(reply.status_code for reply in replies) == [201] + [409] * 29


async def test_many_who_create_one_person_agree(http: httpx.AsyncClient, identity: Identity) -> None:
    replies = await asyncio.gather(*(put(http, "ana", **ANA) for _ in range(30)))
    assert sorted(reply.status_code for reply in replies) == [200] * 29 + [201]
    assert len(identity.published) == 1


async def test_deactivation_erases_the_profile(http: httpx.AsyncClient, identity: Identity, database: Database) -> None:
    await put(http, "ana", **ANA)
    signed_in = identity.tokens.sign(await identity.tokens.grant("ana"))
    assert (await http.delete("/api/users/ana")).status_code == 204
    async with database.connection() as connection:
        row = await connection.fetchrow("SELECT * FROM identity_users WHERE user_id = 'ana'")
    assert row is not None
    kept = {name: value for name, value in row.items() if value is not None}
    assert kept.keys() == {"user_id", "username", "display_name", "created_at", "updated_at", "deactivated_at"}
    assert kept["username"].startswith("deactivated-")
    assert kept["display_name"] == "Deactivated user"
    refused = await http.get("/api/users/me", headers={"Authorization": f"Bearer {signed_in}"})
    assert (refused.status_code, refused.json()["type"]) == (401, "/problems/deactivated")


async def test_deactivation_is_reported_once(http: httpx.AsyncClient, identity: Identity) -> None:
    await put(http, "ana")
    replies = await asyncio.gather(*(http.delete("/api/users/ana") for _ in range(10)))
    assert {reply.status_code for reply in replies} == {204}
    assert [type(event) for event in identity.published] == [UserUpdated, UserDeactivated]
    assert (await http.delete("/api/users/nobody")).status_code == 404


async def test_a_username_is_free_again_after_deactivation(http: httpx.AsyncClient) -> None:
    await put(http, "ana", username="ana")
    await http.delete("/api/users/ana")
    assert (await put(http, "bo", username="ana")).status_code == 201


async def test_the_host_may_bring_somebody_back(http: httpx.AsyncClient, identity: Identity) -> None:
    await put(http, "ana", **ANA)
    pin = (await me(identity, http, "ana")).json()["connect_pin"]
    await http.delete("/api/users/ana")
    back = await put(http, "ana", username="ana", display_name="Ana")
    assert back.status_code == 201
    assert back.json()["phone"] is None
    again = await me(identity, http, "ana")
    assert again.status_code == 200
    assert again.json()["connect_pin"] != pin


@pytest.mark.parametrize("scope", sorted(domain.SCOPES))
async def test_scopes_open_their_own_calls_only(identity: Identity, scope: str) -> None:
    async with identity.client() as http:
        http.headers.update(await identity.bearer(scope))
        await identity.people.put_all([])
        statuses = {
            "users": (await put(http, "ana")).status_code,
            "batch": (await http.post("/api/users/batch", json={"users": []})).status_code,
            "delete": (await http.delete("/api/users/ana")).status_code,
            "tokens": (await http.post("/api/tokens", json={"user_id": "nobody"})).status_code,
            "me": (await http.get("/api/users/me")).status_code,
        }
    users, tokens = scope in {"*", "users"}, scope in {"*", "tokens"}
    assert statuses == {
        "users": 201 if users else 403,
        "batch": 200 if users else 403,
        "delete": 204 if users else 403,
        "tokens": 404 if tokens else 403,
        "me": 403,
    }


@pytest.mark.parametrize("role", ["user", "admin", "auditor"])
async def test_no_person_may_do_what_is_the_hosts(http: httpx.AsyncClient, identity: Identity, role: Any) -> None:
    await put(http, "ana")
    token = identity.tokens.sign(await identity.tokens.grant("ana", role=role))
    http.headers["Authorization"] = f"Bearer {token}"
    assert (await put(http, "ana")).status_code == 403
    assert (await http.post("/api/users/batch", json={"users": []})).status_code == 403
    assert (await http.delete("/api/users/ana")).status_code == 403
    assert (await http.post("/api/tokens", json={"user_id": "ana"})).status_code == 403
    assert (await http.get("/api/users/me")).status_code == (403 if role == "auditor" else 200)


async def test_without_good_credentials_nothing_is_told(identity: Identity) -> None:
    async with identity.client() as http:
        for header in ("", "Bearer", "Bearer ", "Basic abc", "pk_abc", "Bearer pk_abc", "Bearer a.b.c"):
            http.headers["Authorization"] = header
            replies = [
                await put(http, "ana"),
                await http.post("/api/users/batch", json={"users": []}),
                await http.delete("/api/users/ana"),
                await http.post("/api/tokens", json={"user_id": "ana"}),
                await http.get("/api/users/me"),
            ]
            assert {reply.status_code for reply in replies} == {401}
            assert {reply.headers["www-authenticate"] for reply in replies} == {"Bearer"}
