"""What presence promises, in memory and in Redis; then what many instances see of each other, whatever Redis does."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from realtime.attention import Attention
from realtime.hub import Hub
from realtime.presence import redis as redis_presence
from realtime.presence.memory import MemoryPresence
from realtime.presence.port import Presence, Status
from realtime.presence.redis import RedisPresence
from tests.support.devices import device
from tests.support.redis_server import RedisServer

PATIENCE_S = 20
AWAY_AFTER_S = 0.3
SOON_S = 3
"""What is promised is a second; a machine under load may take longer."""


class Instance:
    """One instance: its sockets and what it tells."""

    def __init__(self, url: str | None, away_after_s: float = 300) -> None:
        self.hub = Hub()
        here = MemoryPresence(self.hub, away_after_s)
        self.presence: Presence = RedisPresence(here, url) if url else here
        self.changed: list[str] = []
        self.doubts = 0
        self.presence.on_change(self.changed.append)
        self.presence.on_doubt(self._doubt)

    def _doubt(self) -> None:
        self.doubts += 1

    async def attention(self, user_id: str) -> Attention:
        return (await self.presence.attention([user_id]))[user_id]

    async def status(self, user_id: str) -> Status:
        return (await self.presence.statuses([user_id]))[user_id]

    async def sees(self, user_id: str, status: str) -> None:
        """Wait until somebody has a status."""
        async with asyncio.timeout(PATIENCE_S):
            while (await self.status(user_id)).status != status:
                await asyncio.sleep(0.02)


Start = Callable[..., Awaitable[Instance]]


@pytest.fixture
async def starting() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start(url: str | None, away_after_s: float = 300) -> Instance:
            instance = Instance(url, away_after_s)
            await instance.presence.start()
            stack.push_async_callback(instance.presence.stop)
            return instance

        yield start


@pytest.fixture(params=["memory", "redis"])
def url(request: pytest.FixtureRequest) -> str | None:
    """Where presence is kept: for one process, or for many."""
    return None if request.param == "memory" else str(request.getfixturevalue("redis_server").url)


async def test_nobody_is_there_without_a_socket(url: str | None, starting: Start) -> None:
    one = await starting(url)
    assert await one.status("ana") == Status("offline")
    assert await one.attention("ana") == Attention()
    assert await one.presence.statuses([]) == {}


async def test_a_person_is_there_while_one_of_their_devices_is(url: str | None, starting: Start) -> None:
    one = await starting(url)
    phone, laptop = device(one.hub, "ana"), device(one.hub, "ana")
    await one.sees("ana", "online")
    one.hub.drop(phone)
    await one.sees("ana", "online")
    before = time.time()
    one.hub.drop(laptop)
    await one.sees("ana", "offline")
    async with asyncio.timeout(PATIENCE_S):
        while (await one.status("ana")).last_seen_at is None:
            await asyncio.sleep(0.02)
    seen = (await one.status("ana")).last_seen_at
    assert seen is not None
    assert before - 1 <= seen.timestamp() <= time.time() + 1


async def test_a_device_sleeps_and_wakes(url: str | None, starting: Start) -> None:
    one = await starting(url, AWAY_AFTER_S)
    phone = device(one.hub, "ana")
    phone.show(uuid4())
    await one.sees("ana", "away")
    assert await one.attention("ana") == Attention(online=True)
    one.changed.clear()
    phone.touch()
    await one.sees("ana", "online")
    async with asyncio.timeout(PATIENCE_S):
        while "ana" not in one.changed:
            await asyncio.sleep(0.02)
    await one.sees("ana", "away")


async def test_what_active_devices_show_is_known(url: str | None, starting: Start) -> None:
    one = await starting(url)
    channel = uuid4()
    phone = device(one.hub, "ana")
    device(one.hub, "ana")
    phone.show(channel)
    assert await one.attention("ana") == Attention(online=True, active=True, on_screen=frozenset({channel}))
    phone.show(None)
    assert await one.attention("ana") == Attention(online=True, active=True)


async def test_only_what_changes_something_is_told(url: str | None, starting: Start) -> None:
    one = await starting(url)
    phone = device(one.hub, "ana")
    async with asyncio.timeout(PATIENCE_S):
        while not one.changed:
            await asyncio.sleep(0.02)
    one.changed.clear()
    for _ in range(100):
        phone.touch()
        phone.show(None)
    device(one.hub, "ben")
    async with asyncio.timeout(PATIENCE_S):
        while not one.changed:
            await asyncio.sleep(0.02)
    assert one.changed == ["ben"]


async def two(redis: RedisServer, starting: Start) -> tuple[Instance, Instance]:
    """Return two instances that see each other."""
    one, other = await starting(redis.url), await starting(redis.url)
    device(one.hub, "ana")
    device(other.hub, "ben")
    await one.sees("ben", "online")
    await other.sees("ana", "online")
    return one, other


async def test_instances_see_each_others_people(redis_server: RedisServer, starting: Start) -> None:
    one, other = await two(redis_server, starting)
    channel = uuid4()
    phone = device(one.hub, "ben")
    phone.show(channel)
    async with asyncio.timeout(PATIENCE_S):
        while not (await other.attention("ben")).on_screen:
            await asyncio.sleep(0.02)
    one.hub.drop(phone)
    await one.sees("ben", "online")


async def test_an_instance_that_stops_takes_its_people_with_it(redis_server: RedisServer, starting: Start) -> None:
    one, other = await two(redis_server, starting)
    await other.presence.stop()
    assert (await one.status("ben")).status == "offline"


@pytest.fixture
def short_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds pass quickly here."""
    monkeypatch.setattr(redis_presence, "EXPIRY_S", 2)
    monkeypatch.setattr(redis_presence, "BEAT_S", 0.3)


async def died(instance: Instance) -> None:
    """End an instance as kill -9 does: it takes nothing back."""
    assert isinstance(instance.presence, RedisPresence)
    task = instance.presence._task
    assert task is not None
    task.cancel()
    await asyncio.wait([task])


async def test_the_people_of_a_dead_instance_are_gone_soon(
    redis_server: RedisServer, starting: Start, short_lives: None
) -> None:
    one, other = await two(redis_server, starting)
    doubts = one.doubts
    await died(other)
    assert (await one.status("ben")).status == "online"
    await one.sees("ben", "offline")
    async with asyncio.timeout(PATIENCE_S):
        while one.doubts == doubts:
            await asyncio.sleep(0.02)
    assert (await one.status("ana")).status == "online"


async def test_without_an_expiry_they_would_stay(
    redis_server: RedisServer, starting: Start, short_lives: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant."""
    monkeypatch.setattr(redis_presence, "EXPIRY_S", 3600)
    one, other = await two(redis_server, starting)
    await died(other)
    await asyncio.sleep(3)
    assert (await one.status("ben")).status == "online"


@pytest.mark.parametrize("outage", ["killed", "paused"])
async def test_while_redis_is_away_an_instance_sees_its_own(
    redis_server: RedisServer, starting: Start, outage: str
) -> None:
    one, other = await two(redis_server, starting)
    (redis_server.kill if outage == "killed" else redis_server.pause)()
    before = time.monotonic()
    assert (await one.status("ana")).status == "online"
    assert (await one.status("ben")).status == "offline"
    assert time.monotonic() - before < SOON_S
    before = time.monotonic()
    for _ in range(100):
        await one.attention("ben")
    assert time.monotonic() - before < SOON_S
    phone = device(one.hub, "cem")
    await one.sees("cem", "online")
    one.hub.drop(phone)
    (redis_server.start if outage == "killed" else redis_server.resume)()
    await one.sees("ben", "online")
    await other.sees("ana", "online")
    await other.sees("cem", "offline")


async def test_what_redis_forgets_is_written_anew(
    redis_server: RedisServer, starting: Start, short_lives: None
) -> None:
    one, other = await two(redis_server, starting)
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    device(other.hub, "cem")
    for user in ("ben", "cem"):
        await one.sees(user, "online")
    await other.sees("ana", "online")


async def test_it_starts_without_redis_and_finds_it_later(redis_server: RedisServer, starting: Start) -> None:
    redis_server.kill()
    one, other = await starting(redis_server.url), await starting(redis_server.url)
    device(one.hub, "ana")
    assert (await one.status("ana")).status == "online"
    assert "ana" in one.changed
    redis_server.start()
    await other.sees("ana", "online")


async def test_many_people_cost_three_round_trips(redis_server: RedisServer, starting: Start) -> None:
    one, other = await two(redis_server, starting)
    people = [f"person-{n}" for n in range(500)]
    for user in people[:250]:
        device(other.hub, user)
    await one.sees(people[249], "online")
    async with Redis.from_url(redis_server.url) as redis:
        await redis.config_resetstat()
        statuses = await one.presence.statuses(people)
        stats = await redis.info("commandstats")
    assert [statuses[user].status for user in people] == ["online"] * 250 + ["offline"] * 250
    assert (stats["cmdstat_hmget"]["calls"], stats["cmdstat_mget"]["calls"]) == (1, 1)


async def test_nothing_is_left_running(redis_server: RedisServer) -> None:
    before = asyncio.all_tasks()
    one = Instance(redis_server.url)
    await one.presence.start()
    connection = device(one.hub, "ana")
    await one.sees("ana", "online")
    one.hub.drop(connection)
    await one.presence.stop()
    assert asyncio.all_tasks() == before
    async with Redis.from_url(redis_server.url) as redis:
        assert await redis.keys("parley:devices:*") == []
