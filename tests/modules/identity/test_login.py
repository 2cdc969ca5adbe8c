"""The development log-in: on only when asked for, and otherwise as if it didn't exist."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from kernel.database import Database
from kernel.settings import Settings
from tests.modules.identity.conftest import Identity

PATH = "/api/users/login"


@pytest.fixture
async def developer(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """Anybody, where the log-in is on."""
    async with Identity(msgspec.structs.replace(settings, dev_login=True), database).client() as client:
        yield client


async def test_anybody_becomes_somebody(developer: httpx.AsyncClient, identity: Identity) -> None:
    made = await developer.post(PATH, json={"username": "Ana", "display_name": "Ana L"})
    assert made.status_code == 200
    user = made.json()["user"]
    assert (user["username"], user["display_name"], len(user["connect_pin"])) == ("Ana", "Ana L", 11)
    assert (await identity.authenticator.authenticate(made.json()["token"])).id == user["user_id"]
    again = await developer.post(PATH, json={"username": "aNA"})
    assert again.json()["user"] == user


async def test_many_at_once_become_one(developer: httpx.AsyncClient) -> None:
    replies = await asyncio.gather(*(developer.post(PATH, json={"username": "ana"}) for _ in range(20)))
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.json()["user"]["user_id"] for reply in replies}) == 1


async def test_bad_names_are_refused(developer: httpx.AsyncClient) -> None:
    for body in ({}, {"username": ""}, {"username": "deactivated-1"}, {"username": "a", "x": 1}, {"username": 5}):
        reply = await developer.post(PATH, json=body)
        assert reply.status_code == 400, body
        assert reply.json()["errors"]


async def test_somebody_deactivated_cant_come_back_this_way(developer: httpx.AsyncClient, identity: Identity) -> None:
    first = (await developer.post(PATH, json={"username": "ana"})).json()["user"]["user_id"]
    await identity.people.deactivate(first)
    assert (await developer.post(PATH, json={"username": "ana"})).json()["user"]["user_id"] != first


async def test_it_is_off_unless_asked_for(http: httpx.AsyncClient, identity: Identity) -> None:
    for content in (b'{"username": "ana"}', b"{", b""):
        assert (await http.post(PATH, content=content)).status_code == 404
    assert identity.published == []
