"""What one instance changes about people and API keys, the others know within a second, without Redis."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from kernel.database import Database
from kernel.settings import Settings
from kernel.signals import Signals
from tests.modules.identity.conftest import Identity
from tests.support.databases import Databases
from tests.support.scene import Pair, Scene, two_hosts

SOON_S = 5
"""A second is promised; a machine under load may take longer, but not as long as anything is remembered."""


@pytest.fixture(scope="module")
def pair(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with postgres.fresh() as dsn, two_hosts(dsn, tmp_path_factory.mktemp("signals")) as pair:
        yield pair


@pytest.fixture
def scene(pair: Pair) -> Scene:
    return Scene(*pair)


async def closed_elsewhere(scene: Scene) -> int | None:
    """Return how ben's socket on the other server ends when he is deactivated here."""
    async with scene.sockets(("ben", 1), ("cem", 1)) as (ben, cem):
        response = await asyncio.to_thread(scene.host.http.delete, f"/api/users/{scene.id('ben')}")
        response.raise_for_status()
        try:
            code = await ben.closed(patience_s=SOON_S)
        except TimeoutError:
            code = None
        await cem.send(type="ping")
        await cem.receive("pong")
        return code


async def test_the_sockets_of_a_deactivated_person_end_on_every_instance(scene: Scene) -> None:
    assert await closed_elsewhere(scene) == 4404
    async with httpx.AsyncClient(base_url=scene.servers[1].url, trust_env=False) as http:
        me = await http.get("/api/users/me", headers={"Authorization": f"Bearer {scene.tokens['ben']}"})
    assert me.status_code == 401


@pytest.mark.long
async def test_an_instance_that_hears_no_signals_keeps_them(dsn: str, tmp_path: Path) -> None:
    """The broken variant."""
    with two_hosts(dsn, tmp_path, variant="deaf_to_users") as pair:
        assert await closed_elsewhere(Scene(*pair)) is None


async def test_a_new_name_is_everybodys_at_once(scene: Scene) -> None:
    async with scene.sockets(("ben", 1), ("ana", 1)) as (ben, ana):
        await ben.message("before", channel_id=scene.channel)
        body = {"username": scene.id("ben"), "display_name": "Benedict"}
        await asyncio.to_thread(scene.host.http.put, f"/api/users/{scene.id('ben')}", json=body)
        await asyncio.sleep(1)
        await ben.message("after", channel_id=scene.channel)
        names = [(await ana.receive("message.created"))["message"]["sender"]["display_name"] for _ in range(2)]
    assert names[0] != names[1] == "Benedict"


async def test_a_revoked_key_is_refused_everywhere(pair: Pair) -> None:
    host, (one, two) = pair
    key = await asyncio.to_thread(one.cli, "keys", "create", "doomed", "--scope", "users")
    listed = await asyncio.to_thread(one.cli, "keys", "list")
    (key_id,) = [line.split()[0] for line in listed.splitlines() if line.endswith("doomed")]

    def status() -> int:
        body = {"username": "kim", "display_name": "Kim"}
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.put(f"{two.url}/api/users/kim", json=body, headers=headers, trust_env=False).status_code

    assert status() in {200, 201}
    await asyncio.to_thread(one.cli, "keys", "revoke", key_id)
    await asyncio.sleep(0.5)
    assert status() == 401
    assert host.http.get("/health/live").status_code == 200


# In one process, where connections can be taken away


@pytest.fixture
async def hearing(identity: Identity, database: Database) -> AsyncIterator[Signals]:
    """Signals that the module listens to."""
    signals = Signals(database)
    identity.listen(signals)
    await signals.start()
    yield signals
    await signals.stop()


async def until(met: Callable[[], Awaitable[bool]]) -> float:
    """Wait for what is bound to happen; returns how long that took."""
    before = time.monotonic()
    async with asyncio.timeout(SOON_S):
        while not await met():
            await asyncio.sleep(0.01)
    return time.monotonic() - before


async def test_what_is_written_past_an_instance_is_forgotten_there(
    identity: Identity, settings: Settings, database: Database, http: httpx.AsyncClient, hearing: Signals
) -> None:
    """Another instance: the same tables, its own memory."""
    elsewhere = Identity(settings, database)
    body = {"username": "ana", "display_name": "Ana"}
    await http.put("/api/users/ana", json=body)
    assert await identity.directory.get("ana")
    async with elsewhere.client() as other:
        await other.put("/api/users/ana", json=body | {"display_name": "Anna"}, headers=await elsewhere.bearer())

    async def known() -> bool:
        profile = await identity.directory.get("ana")
        return profile is not None and profile.display_name == "Anna"

    await until(known)


async def test_after_signals_were_lost_everything_is_read_anew(
    identity: Identity, http: httpx.AsyncClient, dsn: str, hearing: Signals
) -> None:
    await http.put("/api/users/ana", json={"username": "ana", "display_name": "Ana"})
    assert await identity.directory.get("ana")
    owner = await asyncpg.connect(dsn)
    try:
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ~ '^(LISTEN|SELECT 1$)'"
        )
        await owner.execute("UPDATE identity_users SET display_name = 'Anna' WHERE user_id = 'ana'")
    finally:
        await owner.close()

    async def known() -> bool:
        profile = await identity.directory.get("ana")
        return profile is not None and profile.display_name == "Anna"

    await until(known)
