"""Redis dies, stands still, or can't be reached by one instance alone: it is noticed, and passes."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import structlog
from redis.asyncio import Redis

from kernel.telemetry import logging
from realtime import redis_link
from realtime.redis_traffic import Subscriptions
from tests.support.instances import Instance, Join, joining, until
from tests.support.partition import Partition, partition
from tests.support.redis_server import RedisServer

FAR_TOO_LATE_S = 10
"""Two seconds are promised; a machine under load may take longer."""

Way = tuple[Callable[[], None], Callable[[], None]]
"""Into an outage, and out of it."""
Outage = Callable[[RedisServer], Way]


def killed(redis: RedisServer) -> Way:
    return redis.kill, redis.start


def paused(redis: RedisServer) -> Way:
    return redis.pause, redis.resume


@pytest.fixture
async def join() -> AsyncIterator[Join]:
    async with joining() as join:
        yield join


@pytest.fixture
def network(redis_server: RedisServer) -> Iterator[Partition]:
    """What connects one instance to Redis."""
    with partition(redis_server.port) as network:
        yield network


def address(network: Partition) -> str:
    """Return where Redis is, seen through the network."""
    return f"redis://127.0.0.1:{network.port}"


async def understands(speaker: Instance, listener: Instance, topic: str = "channel:1") -> None:
    """Wait until what one says reaches the other."""
    speaker.say(topic, b"anybody there?")
    await until(lambda: listener.heard)
    listener.heard.clear()


@pytest.mark.parametrize("outage", [killed, paused], ids=["killed", "paused"])
async def test_an_outage_is_noticed_and_passes(redis_server: RedisServer, join: Join, outage: Outage) -> None:
    begin, end = outage(redis_server)
    ana, ben = await join(redis_server.url), await join(redis_server.url)
    await ben.hear("channel:1", "channel:2")
    await understands(ana, ben)
    for already in (1, 3):
        begin()
        await until(lambda: not (ana.backplane.connected or ben.backplane.connected), FAR_TOO_LATE_S)
        assert (ana.doubts, ben.doubts) == (already + 1, already + 1)
        ana.say("channel:1", b"lost")
        end()
        await until(lambda: ana.backplane.connected and ben.backplane.connected)
        assert (ana.doubts, ben.doubts) == (already + 2, already + 2)
        await understands(ana, ben, "channel:1")
        await understands(ana, ben, "channel:2")


@pytest.mark.parametrize("fail", [Partition.stall, Partition.cut], ids=["stalled", "cut"])
async def test_a_partition_is_felt_by_nobody_else(
    redis_server: RedisServer, network: Partition, join: Join, fail: Callable[[Partition], None]
) -> None:
    ana, ben, cem = await join(address(network)), await join(redis_server.url), await join(redis_server.url)
    for instance in (ana, ben):
        await instance.hear("channel:1")
    await understands(cem, ana)
    ben.heard.clear()
    fail(network)
    await until(lambda: not ana.backplane.connected, FAR_TOO_LATE_S)
    await understands(cem, ben)
    assert (ana.doubts, ben.doubts, cem.doubts) == (2, 1, 1)
    network.heal()
    await until(lambda: ana.backplane.connected)
    assert (ana.doubts, ben.doubts, cem.doubts) == (3, 1, 1)
    ana.heard.clear()
    await understands(cem, ana)
    await understands(ana, ben)


async def test_without_heartbeats_a_partition_would_go_unnoticed(
    network: Partition, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: nobody counts what isn't answered."""
    monkeypatch.setattr(redis_link, "MISSED_BEATS", 1_000_000)
    ana = await join(address(network))
    network.stall()
    with pytest.raises(TimeoutError):
        await until(lambda: not ana.backplane.connected, 3)


async def test_without_subscribing_anew_nothing_would_be_heard(
    redis_server: RedisServer, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: a new connection is taken for the old one."""
    ana, ben = await join(redis_server.url), await join(redis_server.url)
    await ben.hear("channel:1")
    await understands(ana, ben)
    monkeypatch.setattr(Subscriptions, "connect", lambda self: setattr(self, "_connected", True))
    redis_server.kill()
    redis_server.start()
    await until(lambda: ana.doubts == ben.doubts == 3)
    ana.say("channel:1", b"anybody there?")
    await ben.hear("channel:2")
    assert ben.heard == []


async def test_it_starts_without_redis_and_finds_it_later(redis_server: RedisServer, join: Join) -> None:
    redis_server.kill()
    ana, ben = await join(redis_server.url), await join(redis_server.url)
    assert not ana.backplane.connected
    before = time.monotonic()
    await ben.hear("channel:1")
    assert time.monotonic() - before < FAR_TOO_LATE_S
    redis_server.start()
    await until(lambda: ana.backplane.connected and ben.backplane.connected)
    assert ben.doubts == 1
    await understands(ana, ben)


async def test_topics_that_change_during_an_outage_are_right_after_it(redis_server: RedisServer, join: Join) -> None:
    ana, ben = await join(redis_server.url), await join(redis_server.url)
    await ben.hear("channel:1")
    redis_server.kill()
    await until(lambda: ben.doubts == 2)
    ben.backplane.unsubscribe("channel:1")
    await ben.hear("channel:2")
    redis_server.start()
    await until(lambda: ana.backplane.connected and ben.backplane.connected)
    async with Redis.from_url(redis_server.url) as redis:
        assert await redis.pubsub_channels() == [b"parley:0:channel:2"]
    await understands(ana, ben, "channel:2")


@pytest.mark.parametrize("fail", [Partition.stall, Partition.cut], ids=["stalled", "cut"])
async def test_it_stops_during_an_outage(network: Partition, join: Join, fail: Callable[[Partition], None]) -> None:
    ana = await join(address(network))
    fail(network)
    ana.say("channel:1", *[b"x" * 1024] * 4000)
    await ana.backplane.stop()
    assert ana.doubts in (1, 2)


async def test_it_stops_in_the_moment_in_which_redis_dies(redis_server: RedisServer, join: Join) -> None:
    for _ in range(10):
        ana = await join(redis_server.url)
        redis_server.kill()
        async with asyncio.timeout(FAR_TOO_LATE_S):
            await ana.backplane.stop()
        redis_server.start()


async def test_the_password_is_used_and_never_logged(redis_server: RedisServer, join: Join) -> None:
    log = io.StringIO()
    before = structlog.get_config()
    logging.configure("debug", to=log)
    try:
        async with Redis.from_url(redis_server.url) as redis:
            await redis.config_set("requirepass", "sesame-right")
        host = redis_server.url.removeprefix("redis://")
        ana, ben, stranger = [
            await join(f"redis://:{password}@{host}") for password in ("sesame-right", "sesame-right", "sesame-wrong")
        ]
        await ben.hear("channel:1")
        ana.say("channel:1", b"the text of a message")
        await until(lambda: ben.heard)
    finally:
        structlog.configure(**before)
    assert not stranger.backplane.connected
    assert "AuthenticationError" in log.getvalue()
    assert "sesame" not in log.getvalue()
    assert "the text" not in log.getvalue()
