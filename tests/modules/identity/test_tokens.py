"""Tokens that Parley mints for hosts that don't sign themselves."""

import asyncio
import time
from datetime import datetime
from typing import Any

import httpx
import jwt
import msgspec
import pytest

from kernel.database import Database
from kernel.settings import Settings
from tests.modules.identity.conftest import SECRET, Identity

ANA = {"username": "ana", "display_name": "Ana"}


async def mint(http: httpx.AsyncClient, key: str | None = None, **body: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await http.post("/api/tokens", json={"user_id": "ana"} | body, headers=headers)


@pytest.fixture(autouse=True)
async def ana(http: httpx.AsyncClient) -> None:
    await http.put("/api/users/ana", json=ANA)


@pytest.mark.parametrize("role", ["user", "admin", "auditor"])
async def test_a_token_lets_its_person_in_until_it_ends(http: httpx.AsyncClient, identity: Identity, role: str) -> None:
    reply = await mint(http, role=role, expires_in_s=60)
    assert reply.status_code == 201
    principal = await identity.authenticator.authenticate(reply.json()["token"])
    assert (principal.kind, principal.id, principal.role) == ("user", "ana", role)
    assert principal.expires_at == datetime.fromisoformat(reply.json()["expires_at"]).timestamp()
    assert 58 <= principal.expires_at - time.time() <= 60


async def test_without_a_word_it_is_a_users_token_for_an_hour(http: httpx.AsyncClient) -> None:
    claims = jwt.decode((await mint(http)).json()["token"], SECRET, algorithms=["HS256"])
    assert claims == {"sub": "ana", "role": "user", "iat": claims["iat"], "exp": claims["iat"] + 3600}


async def test_it_carries_the_audience_and_issuer_that_we_ask_for(settings: Settings, database: Database) -> None:
    named = msgspec.structs.replace(settings, jwt_audience="parley", jwt_issuer="host")
    identity = Identity(named, database)
    token = identity.tokens.sign(await identity.tokens.grant("ana"))
    assert (await identity.authenticator.authenticate(token)).id == "ana"
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="parley", issuer="host")
    assert (claims["aud"], claims["iss"]) == ("parley", "host")


async def test_there_are_none_for_strangers_and_the_deactivated(http: httpx.AsyncClient) -> None:
    assert (await mint(http, user_id="nobody")).status_code == 404
    await http.delete("/api/users/ana")
    assert (await mint(http)).status_code == 409


async def test_where_the_host_signs_we_dont(settings: Settings, database: Database, http: httpx.AsyncClient) -> None:
    hosted = msgspec.structs.replace(settings, jwt_secret=None, jwks_url="http://127.0.0.1:1/keys")
    async with Identity(hosted, database).client() as other:
        other.headers.update(http.headers)
        reply = await mint(other)
    assert reply.status_code == 409
    assert "PARLEY_JWKS_URL" in reply.json()["detail"]


async def test_a_repeated_request_gets_the_same_token(http: httpx.AsyncClient, database: Database) -> None:
    first = await mint(http, "one")
    await asyncio.sleep(1.1)  # a token minted afresh would differ
    again, other, bare = await mint(http, "one"), await mint(http, "two"), await mint(http)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert first.json() not in (other.json(), bare.json())
    async with database.connection() as connection:
        kept = await connection.fetch("SELECT body FROM kernel_idempotency_keys")
    assert len(kept) == 2
    for row in kept:
        for part in first.json()["token"].split("."):
            assert part.encode() not in row["body"]


async def test_a_key_means_one_request(http: httpx.AsyncClient) -> None:
    await mint(http, "one")
    assert (await mint(http, "one", role="admin")).status_code == 409


@pytest.mark.parametrize("key", ["", "x" * 256, "\t", "a\x7f", "é"])
async def test_a_bad_idempotency_key_is_refused(http: httpx.AsyncClient, key: str) -> None:
    reply = await http.post("/api/tokens", json={"user_id": "ana"}, headers=[(b"Idempotency-Key", key.encode())])
    assert reply.status_code == 400
    assert reply.json()["errors"]
