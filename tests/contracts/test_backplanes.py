"""What every backplane promises an instance, whether there are others or not; then what it promises many."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from realtime import redis_framing, redis_traffic
from realtime.backplane import Backplane, MemoryBackplane
from realtime.redis_backplane import RedisBackplane
from tests.support.instances import Instance, Join, joining, until
from tests.support.redis_server import RedisServer


@pytest.fixture(params=["memory", "redis"])
async def alone(request: pytest.FixtureRequest, redis_server: RedisServer) -> AsyncIterator[Instance]:
    """An instance with nobody else around."""
    backplane: Backplane = MemoryBackplane() if request.param == "memory" else RedisBackplane(redis_server.url)
    instance = Instance(backplane)
    await backplane.start()
    yield instance
    await backplane.stop()


async def test_nobody_hears_himself(alone: Instance) -> None:
    await alone.hear("channel:1")
    alone.say("channel:1", b"hello")
    await alone.hear("channel:2")  # by then it would have come back
    assert alone.heard == []


async def test_it_is_connected_once_started(alone: Instance) -> None:
    assert alone.backplane.connected


async def test_subscribing_twice_and_unsubscribing_what_nobody_hears_is_fine(alone: Instance) -> None:
    for topic in ("channel:1", "channel:1"):
        alone.backplane.subscribe(topic)
    alone.backplane.unsubscribe("channel:2")
    alone.backplane.unsubscribe("channel:1")
    async with asyncio.timeout(10):
        await alone.backplane.settled()
    assert alone.backplane.connected


async def test_once_stopped_it_still_takes_calls(alone: Instance) -> None:
    await alone.backplane.stop()
    alone.say("channel:1", b"hello")
    await alone.hear("channel:1")
    await alone.backplane.stop()
    assert alone.heard == []


@pytest.fixture
async def join() -> AsyncIterator[Join]:
    async with joining() as join:
        yield join


async def test_others_hear_what_they_subscribe_to(redis_server: RedisServer, join: Join) -> None:
    ana, ben, cem = [await join(redis_server.url) for _ in range(3)]
    await ben.hear("channel:1", "user:é")
    await cem.hear("channel:2")
    ana.say("user:é", b"one")
    ana.say("channel:1", b"", b"two")
    ana.say("channel:2", b"three")
    await until(lambda: len(ben.heard) == 3 and cem.heard)
    assert ben.heard == [("user:é", b"one"), ("channel:1", b""), ("channel:1", b"two")]
    assert cem.heard == [("channel:2", b"three")]


async def test_whoever_unsubscribes_hears_nothing_from_that_moment_on(redis_server: RedisServer, join: Join) -> None:
    ana, ben = await join(redis_server.url), await join(redis_server.url)
    await ben.hear("channel:1", "channel:2")
    ana.say("channel:1", b"one")
    ben.backplane.unsubscribe("channel:1")
    ana.say("channel:1", b"two")
    ana.say("channel:2", b"three")
    await until(lambda: ben.heard)
    assert ben.heard == [("channel:2", b"three")]


async def test_the_last_wish_of_a_turn_counts(redis_server: RedisServer, join: Join) -> None:
    ana, ben = await join(redis_server.url), await join(redis_server.url)
    await ben.hear("channel:1")
    ben.backplane.unsubscribe("channel:1")
    await ben.hear("channel:1")
    ana.say("channel:1", b"one")
    await until(lambda: ben.heard)


async def ten_thousand(redis: RedisServer, join: Join) -> tuple[list[bytes], list[bytes]]:
    """Return what one instance said, in turns of all sizes, and what another heard."""
    ana, ben = await join(redis.url), await join(redis.url)
    await ben.hear("channel:1")
    said = [b"%d" % n for n in range(10_000)]
    start, size = 0, 1
    while start < len(said):
        ana.say("channel:1", *said[start : start + size])
        start, size = start + size, size % 50 + 1
        await asyncio.sleep(0)
    await until(lambda: len(ben.heard) == len(said))
    return said, [payload for _, payload in ben.heard]


async def test_ten_thousand_messages_arrive_in_order(redis_server: RedisServer, join: Join) -> None:
    said, heard = await ten_thousand(redis_server, join)
    assert heard == said


async def test_the_same_check_finds_disorder(
    redis_server: RedisServer, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_order = redis_framing.join
    monkeypatch.setattr(redis_framing, "join", lambda instance, some: in_order(instance, reversed(some)))
    said, heard = await ten_thousand(redis_server, join)
    assert heard != said


async def test_only_the_instance_id_keeps_one_from_hearing_oneself(
    redis_server: RedisServer, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: nobody looks at it."""
    monkeypatch.setattr(redis_framing, "sender", lambda _: b"somebody")
    ana = await join(redis_server.url)
    await ana.hear("channel:1")
    ana.say("channel:1", b"hello")
    await until(lambda: ana.heard)


async def test_a_turn_costs_one_publish_a_topic(redis_server: RedisServer, join: Join) -> None:
    ana, ben = await join(redis_server.url), await join(redis_server.url)
    await ben.hear("channel:1", "channel:2")
    for topic in ("channel:1", "channel:2"):
        ana.say(topic, *[b"hello"] * 50)
    await until(lambda: len(ben.heard) == 100)
    async with Redis.from_url(redis_server.url) as redis:
        calls = (await redis.info("commandstats"))["cmdstat_publish"]["calls"]
    assert calls == 2


async def test_a_listener_that_raises_loses_only_what_it_raised_at(redis_server: RedisServer, join: Join) -> None:
    ana, ben = await join(redis_server.url), await join(redis_server.url)
    heard: list[bytes] = []

    def fail_at_first(_topic: str, payload: bytes) -> None:
        heard.append(payload)
        if len(heard) == 1:
            raise RuntimeError

    ben.backplane.listen(fail_at_first, lambda: None)
    await ben.hear("channel:1")
    ana.say("channel:1", b"one", b"two")
    await until(lambda: len(heard) == 2)
    assert ben.backplane.connected


async def test_what_nobody_of_us_published_hurts_nobody(redis_server: RedisServer, join: Join) -> None:
    ana, ben = await join(redis_server.url), await join(redis_server.url)
    await ben.hear("channel:1")
    async with Redis.from_url(redis_server.url) as redis:
        for rubbish in (b"", b"hello", b"somebody\0", b"somebody\0\0\0\7hello"):
            await redis.publish("parley:0:channel:1", rubbish)
    ana.say("channel:1", b"one")
    await until(lambda: ben.heard)
    assert ben.heard == [("channel:1", b"one")]
    assert (ben.doubts, ben.backplane.connected) == (1, True)


async def test_databases_of_one_redis_are_worlds_apart(redis_server: RedisServer, join: Join) -> None:
    ana, ben, cem = [await join(f"{redis_server.url}/{database}") for database in (0, 1, 1)]
    await ana.hear("user:ana")
    await ben.hear("user:ana")
    cem.say("user:ana", b"hello")
    await until(lambda: ben.heard)
    await ana.hear("user:ben")
    assert ana.heard == []


async def test_too_much_at_once_is_dropped(redis_server: RedisServer, join: Join) -> None:
    def dropped() -> float:
        return REGISTRY.get_sample_value("parley_backplane_messages_total", {"way": "dropped"}) or 0

    ana, ben = await join(redis_server.url), await join(redis_server.url)
    await ben.hear("channel:1")
    before, kib = dropped(), redis_traffic.MAX_WAITING_BYTES // 1024
    ana.say("channel:1", *[b"x" * 1024] * (kib + 100))
    assert dropped() - before == 100
    await until(lambda: len(ben.heard) == kib)
    ana.say("channel:1", b"after")
    await until(lambda: ben.heard[-1] == ("channel:1", b"after"))


async def test_what_was_said_before_stopping_is_still_heard(redis_server: RedisServer, join: Join) -> None:
    ana, ben = await join(redis_server.url), await join(redis_server.url)
    await ben.hear("channel:1")
    ana.say("channel:1", b"goodbye")
    await ana.backplane.stop()
    await until(lambda: ben.heard)


async def test_stopping_leaves_nothing_behind(redis_server: RedisServer, join: Join) -> None:
    before = asyncio.all_tasks()
    ana = await join(redis_server.url)
    await ana.hear("channel:1")
    async with Redis.from_url(redis_server.url) as redis:
        names = [client["name"] for client in await redis.client_list()]
        assert names.count("parley") == 1
        await ana.backplane.stop()
        assert asyncio.all_tasks() == before
        await until_gone(redis)


async def until_gone(redis: Redis) -> None:
    """Wait until Redis has noticed that nobody is connected."""
    async with asyncio.timeout(20):
        while any(client["name"] == "parley" for client in await redis.client_list()):
            await asyncio.sleep(0.01)
