"""API keys, the directory and the authenticator: quick, and quick to notice changes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import jwt
import pytest

from kernel.auth import DeactivatedError
from kernel.database import Connection, Database
from kernel.errors import MalformedError, NotFoundError, UnauthenticatedError, UnavailableError
from kernel.settings import Settings
from modules.identity import keys
from modules.identity.directory import Directory
from modules.identity.keys import ApiKeys
from modules.identity.schemas import UserEntry
from tests.modules.identity.conftest import SECRET, Identity


def entry(user_id: str, display_name: str = "x") -> UserEntry:
    return UserEntry(user_id=user_id, username=user_id, display_name=display_name)


async def count_queries(database: Database) -> list[str]:
    """Return the list that this one-connection database's queries are added to from now on."""
    queries: list[str] = []
    async with database.connection() as connection:
        connection.add_query_logger(lambda query: queries.append(query.query))
    return queries


# API keys


async def test_a_key_is_shown_once_and_kept_as_a_hash(identity: Identity, database: Database) -> None:
    key_id, key = await identity.keys.create("booking back end", ["users", "tokens", "users"])
    principal = await identity.keys.authenticate(key)
    assert (principal.kind, principal.id, principal.scopes) == ("key", str(key_id), frozenset({"users", "tokens"}))
    assert principal.may("users")
    assert not principal.may("contexts")
    async with database.connection() as connection:
        (row,) = await connection.fetch("SELECT * FROM identity_api_keys")
    assert key not in str(list(row.values()))
    (listed,) = await identity.keys.list()
    assert (listed.name, listed.scopes, listed.revoked_at) == ("booking back end", ["tokens", "users"], None)
    assert key.startswith(listed.prefix)
    assert listed.last_used_at is not None


@pytest.mark.parametrize(
    ("name", "scopes"), [("", ["*"]), ("x" * 101, ["*"]), ("a\nb", ["*"]), ("a", []), ("a", ["root"])]
)
async def test_a_senseless_key_is_refused(identity: Identity, name: str, scopes: list[str]) -> None:
    with pytest.raises(MalformedError):
        await identity.keys.create(name, scopes)
    assert await identity.keys.list() == []


async def test_a_revoked_key_is_refused_at_once_here_and_soon_elsewhere(
    identity: Identity, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "TTL_S", 0.2)
    key_id, key = await identity.keys.create("a", ["*"])
    elsewhere = ApiKeys(database)
    await identity.keys.authenticate(key)
    await elsewhere.authenticate(key)
    await identity.keys.revoke(key_id)
    await identity.keys.revoke(key_id)
    with pytest.raises(UnauthenticatedError):
        await identity.keys.authenticate(key)
    await asyncio.sleep(0.2)
    with pytest.raises(UnauthenticatedError):
        await elsewhere.authenticate(key)
    with pytest.raises(NotFoundError):
        await identity.keys.revoke(uuid4())


async def test_a_key_costs_a_query_every_few_seconds(single: Database, identity: Identity) -> None:
    _, key = await identity.keys.create("a", ["*"])
    mine = ApiKeys(single)
    await mine.authenticate(key)
    queries = await count_queries(single)
    for _ in range(100):
        await mine.authenticate(key)
    assert queries == []
    for wrong in (key[:-1], key + "x", key[:-1] + "é", "pk_", "pk_" + "x" * 10_000):
        with pytest.raises(UnauthenticatedError):
            await mine.authenticate(wrong)
    assert queries == []
    with pytest.raises(UnauthenticatedError):
        await mine.authenticate("pk_" + "x" * 43)
    assert len(queries) == 1


# The directory


async def test_all_that_is_missing_comes_in_one_query(single: Database, identity: Identity) -> None:
    await identity.people.put_all([entry(f"u{n}") for n in range(50)])
    directory = Directory(single)
    await directory.find(["u0"])
    queries = await count_queries(single)
    crowd = [f"u{n}" for n in range(50)]
    assert (await directory.find([*crowd, "nobody", "u1"])).keys() == set(crowd)
    assert len(queries) == 1
    await directory.find(crowd)
    assert await directory.find([]) == {}
    assert directory.cached("u7") == (await directory.get("u7"))
    assert len(queries) == 1
    assert await directory.get("nobody") is None
    assert directory.cached("nobody") is None
    assert len(queries) == 2


async def test_changes_made_here_are_seen_at_once(identity: Identity) -> None:
    await identity.people.put(entry("ana", "old"))
    assert (await identity.directory.find(["ana"]))["ana"].display_name == "old"
    await identity.people.put(entry("ana", "new"))
    assert (await identity.directory.find(["ana"]))["ana"].display_name == "new"
    await identity.people.deactivate("ana")
    profile = await identity.directory.get("ana")
    assert profile is not None
    assert (profile.active, profile.display_name) == (False, "Deactivated user")


async def test_changes_made_elsewhere_are_seen_when_the_time_is_up(identity: Identity, database: Database) -> None:
    await identity.people.put(entry("ana", "old"))
    elsewhere = Directory(database, ttl_s=0.2)
    await elsewhere.get("ana")
    await identity.people.put(entry("ana", "new"))
    assert (await elsewhere.find(["ana"]))["ana"].display_name == "old"
    await asyncio.sleep(0.2)
    assert elsewhere.cached("ana") is None
    assert (await elsewhere.find(["ana"]))["ana"].display_name == "new"


class Lingering(Database):
    """The same database, whose readers leave only when told to."""

    def __init__(self, database: Database) -> None:
        self.pool = database.pool
        self.read = asyncio.Event()
        self.leave = asyncio.Event()

    @asynccontextmanager
    async def connection(self, *, reserved: bool = False) -> AsyncIterator[Connection]:
        async with super().connection(reserved=reserved) as connection:
            yield connection
            self.read.set()
            await self.leave.wait()


async def test_what_was_read_before_a_change_is_not_kept(identity: Identity, database: Database) -> None:
    await identity.people.put(entry("ana", "old"))
    lingering = Lingering(database)
    directory = Directory(lingering)
    overtaken = asyncio.create_task(directory.get("ana"))
    await lingering.read.wait()
    await identity.people.put(entry("ana", "new"))
    directory.forget("ana")
    lingering.leave.set()
    await overtaken
    profile = await directory.get("ana")
    assert profile is not None
    assert profile.display_name == "new"
    assert directory.cached("ana") == profile


async def test_memory_is_bounded_and_keeps_who_is_asked_for(identity: Identity, single: Database) -> None:
    await identity.people.put_all([entry(f"u{n}") for n in range(20)])
    directory = Directory(single, capacity=10)
    await directory.get("u0")
    queries = await count_queries(single)
    for n in range(1, 20):
        await directory.get("u0")
        await directory.get(f"u{n}")
    assert len(queries) == 19
    assert [n for n in range(20) if directory.cached(f"u{n}")] == [0, *range(11, 20)]


# The authenticator


async def test_a_genuine_token_of_a_stranger_is_refused_until_they_are_known(identity: Identity) -> None:
    token = jwt.encode({"sub": "ana", "exp": time.time() + 60}, SECRET, algorithm="HS256")
    with pytest.raises(UnauthenticatedError):
        await identity.authenticator.authenticate(token)
    await identity.people.put(entry("ana"))
    assert (await identity.authenticator.authenticate(token)).id == "ana"
    await identity.people.deactivate("ana")
    with pytest.raises(DeactivatedError):
        await identity.authenticator.authenticate(token)


async def test_a_token_in_use_costs_no_query(single: Database, identity: Identity, settings: Settings) -> None:
    await identity.people.put(entry("ana"))
    mine = Identity(settings, single)
    token = mine.tokens.sign(await mine.tokens.grant("ana"))
    queries = await count_queries(single)
    for _ in range(100):
        await mine.authenticator.authenticate(token)
    assert queries == []


async def test_without_the_database_nobody_is_refused_for_good(identity: Identity, database: Database) -> None:
    await identity.people.put(entry("ana"))
    token = identity.tokens.sign(await identity.tokens.grant("ana"))
    identity.directory.forget("ana")
    await database.close()
    for credential in (token, "pk_" + "x" * 43):
        with pytest.raises(UnavailableError):
            await identity.authenticator.authenticate(credential)
