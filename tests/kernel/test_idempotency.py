"""`Idempotency-Key`: one effect and one answer, whoever repeats, races or fails."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar, Request, post
from litestar.params import JSONBody

from kernel.auth import Principal
from kernel.database import Database, Transaction
from kernel.errors import ConflictError
from kernel.http.access import AUTHENTICATOR, USER, guard, who
from kernel.http.idempotency import Idempotency, IdempotencyKey
from kernel.http.problems import render
from tests.support.asgi import asked


class Wish(msgspec.Struct):
    name: str
    fail: bool = False


class Made(msgspec.Struct):
    number: int
    name: str


class Anybody:
    """Lets everybody in under the name that they give."""

    async def authenticate(self, credential: str) -> Principal:
        return Principal(kind="user", id=credential)


class Things:
    """Makes numbered things in a table."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.idempotency = Idempotency(database)
        self.slowness_s = 0.0
        self.known_before = 0

    async def make(self, request: Request[Principal, Any, Any], key: str | None, wish: Wish) -> Made:
        before = await self.idempotency.answered(request, key, Made)

        async def work(tx: Transaction) -> Made:
            assert before is None
            number = await tx.connection.fetchval("INSERT INTO things (name) VALUES ($1) RETURNING id", wish.name)
            await asyncio.sleep(self.slowness_s)
            if wish.fail:
                raise ConflictError("as you wish")
            return Made(number, wish.name)

        made = await self.idempotency.once(request, key, work, Made)
        assert before is None or before == made
        self.known_before += before is not None
        return made

    async def count(self) -> int:
        async with self.database.connection() as connection:
            count: int = await connection.fetchval("SELECT count(*) FROM things")
            return count


@pytest.fixture
async def things(dsn: str, database: Database) -> Things:
    owner = await Database.connect(dsn, size=1, role=None)
    async with owner.connection() as connection:
        await connection.execute("CREATE TABLE things (id serial PRIMARY KEY, name text)")
        await connection.execute("GRANT ALL ON things, things_id_seq TO PUBLIC")
    await owner.close()
    return Things(database)


@pytest.fixture
async def http(things: Things) -> AsyncIterator[httpx.AsyncClient]:
    async def handle(
        request: Request[Principal, Any, Any], data: JSONBody[Wish], idempotency_key: IdempotencyKey = None
    ) -> Made:
        return await things.make(request, idempotency_key, data)

    app = Litestar(
        [post("/one", opt=who(USER))(handle), post("/two", opt=who(USER))(handle)],
        guards=[guard],
        exception_handlers={Exception: render},
    )
    app.state[AUTHENTICATOR] = Anybody()
    async with asked(app, raising=True) as client:
        yield client


async def wish(
    http: httpx.AsyncClient,
    key: str | None,
    name: str = "a",
    *,
    path: str = "/one",
    by: str = "ana",
    fail: bool = False,
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {by}"} | ({"Idempotency-Key": key} if key else {})
    return await http.post(path, json={"name": name, "fail": fail}, headers=headers)


async def test_a_repeat_gets_the_first_answer_and_has_no_effect(http: httpx.AsyncClient, things: Things) -> None:
    first, again = await wish(http, "k"), await wish(http, "k")
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert await things.count() == 1
    assert things.known_before == 1, "which can be asked before anything else is done"


async def test_without_a_key_each_request_counts(http: httpx.AsyncClient, things: Things) -> None:
    assert (await wish(http, None)).json() != (await wish(http, None)).json()
    assert await things.count() == 2


async def test_another_request_under_the_same_key_is_a_conflict(http: httpx.AsyncClient, things: Things) -> None:
    await wish(http, "k")
    assert (await wish(http, "k", "b")).status_code == 409
    assert (await wish(http, "k", path="/two")).status_code == 409
    assert await things.count() == 1


async def test_each_caller_has_keys_of_their_own(http: httpx.AsyncClient, things: Things) -> None:
    assert (await wish(http, "k")).json() != (await wish(http, "k", by="bo")).json()
    assert await things.count() == 2


async def test_of_many_at_once_one_works_and_the_rest_wait_for_it(http: httpx.AsyncClient, things: Things) -> None:
    things.slowness_s = 0.2
    replies = await asyncio.gather(*(wish(http, "k") for _ in range(30)))
    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.text for reply in replies}) == 1
    assert await things.count() == 1


async def test_a_failure_leaves_nothing_and_may_be_retried(http: httpx.AsyncClient, things: Things) -> None:
    assert (await wish(http, "k", fail=True)).status_code == 409
    assert await things.count() == 0
    things.slowness_s = 0.1
    failing, waiting = asyncio.create_task(wish(http, "k", fail=True)), asyncio.create_task(wish(http, "k", fail=True))
    assert {(await failing).json()["detail"], (await waiting).json()["detail"]} == {"as you wish"}
    assert (await wish(http, "k")).status_code == 201
    assert await things.count() == 1


async def test_keys_are_forgotten_after_a_day(http: httpx.AsyncClient, things: Things) -> None:
    for number in range(15):
        await wish(http, f"old{number}")
    async with things.database.transaction() as tx:
        await tx.connection.execute("UPDATE kernel_idempotency_keys SET created_at = now() - interval '25 hours'")
    assert (await wish(http, "old3", "another")).status_code == 201
    for _ in range(2):
        assert (await wish(http, "young")).status_code == 201
    async with things.database.connection() as connection:
        keys = {row["key"] for row in await connection.fetch("SELECT key FROM kernel_idempotency_keys")}
    assert keys == {"old3", "young"}
