"""`presence.watch` and what people's devices tell, on two instances, whatever becomes of an instance or of Redis."""

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from realtime.presence.watchers import GRACE_S
from tests.support.databases import Databases
from tests.support.redis_server import RedisServer
from tests.support.scene import ONE, ROLES, TWO, Pair, Scene, statuses, two_hosts
from tests.support.servers import Host, running_server

AWAY_AFTER_S = 3
GONE_WITHIN_S = 30


@pytest.fixture(scope="module")
def pair(postgres: Databases, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("presence")
    away = str(AWAY_AFTER_S)
    with postgres.fresh() as dsn, two_hosts(dsn, folder, REDIS_URL=redis.url, PARLEY_AWAY_AFTER_S=away) as pair:
        yield pair


@pytest.fixture
def scene(pair: Pair) -> Scene:
    return Scene(*pair)


async def test_fellow_participants_and_oneself_are_told_of_and_nobody_else(scene: Scene) -> None:
    async with scene.sockets(("ana", ONE), ("ben", TWO), ("fay", TWO)) as (ana, _, _):
        told = await scene.watch(ana, "ana", "ben", "cem", "fay", "nobody")
        assert told == {"ana": "online", "ben": "online", "cem": "offline"}


async def test_changes_are_told_on_every_instance_and_only_once(scene: Scene) -> None:
    async with scene.sockets(("ana", ONE), ("cem", TWO)) as (ana, cem):
        for watcher in (ana, cem):
            assert await scene.watch(watcher, "ben") == {"ben": "offline"}
        async with scene.socket("ben", TWO) as ben, scene.socket("ben", ONE):
            for watcher in (ana, cem):
                await scene.becomes(watcher, "ben", "online")
                await scene.becomes(watcher, "ben", "away")
            await ben.send(type="active")
            for watcher in (ana, cem):
                await scene.becomes(watcher, "ben", "online")
        for watcher in (ana, cem):
            gone = await scene.becomes(watcher, "ben", "offline")
            assert gone["last_seen_at"] > ana.ready["server_time"]
            order = [frame["status"] for frame in watcher.seen if frame["type"] == "presence"]
            assert all(before != after for before, after in pairwise(order))


async def test_who_comes_back_within_seconds_does_not_blink(scene: Scene) -> None:
    async with scene.socket("ana", ONE) as ana:
        async with scene.socket("ben", TWO):
            assert await scene.watch(ana, "ben") == {"ben": "online"}
        async with scene.socket("ben", ONE) as ben:
            for _ in range(int(GRACE_S) + 2):
                await ben.send(type="active")
                assert await scene.quiet(ana, "presence") == []


async def test_a_new_list_takes_the_place_of_the_old_one(scene: Scene) -> None:
    async with scene.socket("ana", ONE) as ana:
        await scene.watch(ana, "ben", "cem")
        assert await scene.watch(ana, "cem") == {"cem": "offline"}
        async with scene.sockets(("ben", TWO), ("cem", TWO)):
            await scene.becomes(ana, "cem", "online")
            assert await scene.watch(ana) == {}
            assert await scene.quiet(ana, "presence", for_s=AWAY_AFTER_S + 1) == []
        assert "ben" not in statuses(ana.seen[5:])


async def test_watching_ends_with_the_last_shared_channel_in_both_directions(scene: Scene) -> None:
    async with scene.sockets(("ana", ONE), ("ben", TWO)) as (ana, ben):
        assert await scene.watch(ana, "ben", "cem") == {"ben": "online", "cem": "offline"}
        assert await scene.watch(ben, "ana", "cem") == {"ana": "online", "cem": "offline"}
        await asyncio.to_thread(scene.put, {name: role for name, role in ROLES.items() if name != "ben"})
        await ben.receive("participant.left")
        await ana.receive("participant.left")
        await asyncio.sleep(1)
        async with scene.sockets(("cem", ONE), ("ben", ONE)):
            await scene.becomes(ana, "cem", "online")
            await ben.send(type="active")
            assert await scene.quiet(ben, "presence", for_s=AWAY_AFTER_S + 1) == []
            assert "ben" not in statuses(await scene.quiet(ana, "presence", for_s=0))
        assert set(await scene.watch(ben, "ana", "ben")) == {"ben"}


async def test_only_what_somebody_hears_can_be_on_their_screen(scene: Scene) -> None:
    """What is foreign there leaves the screen empty, and makes nothing known."""
    async with scene.socket("fay", ONE) as fay:
        for channel in (scene.channel, None):
            await fay.send(type="view", channel_id=channel)
        assert await scene.quiet(fay, "error", for_s=0) == []


@pytest.mark.long
async def test_who_was_on_a_killed_instance_is_offline_soon(scene: Scene, redis: RedisServer, tmp_path: Path) -> None:
    dsn = scene.servers[ONE].environment["DATABASE_URL"]
    with running_server(dsn, tmp_path, REDIS_URL=redis.url) as third:
        there = Scene(scene.host, [*scene.servers, third])
        async with there.socket("ana", ONE) as ana, there.socket("ben", 2):
            assert await there.watch(ana, "ben") == {"ben": "online"}
            before = time.monotonic()
            third.kill()
            await there.becomes(ana, "ben", "offline")
            assert time.monotonic() - before < GONE_WITHIN_S


@pytest.mark.parametrize("outage", ["killed", "paused"])
async def test_redis_goes_and_comes_back(scene: Scene, redis: RedisServer, outage: str) -> None:
    async with scene.sockets(("ana", ONE), ("ben", TWO)) as (ana, _):
        assert await scene.watch(ana, "ben", "cem") == {"ben": "online", "cem": "offline"}
        (redis.kill if outage == "killed" else redis.pause)()
        try:
            await scene.becomes(ana, "ben", "offline")
            async with scene.socket("cem", ONE):
                await scene.becomes(ana, "cem", "online")
        finally:
            (redis.start if outage == "killed" else redis.resume)()
        async with scene.socket("ben", TWO):
            await scene.becomes(ana, "ben", "online")


async def test_flapping_would_show_without_the_grace(dsn: str, tmp_path: Path) -> None:
    """The broken variant: who has gone is gone."""
    with running_server(dsn, tmp_path, variant="no_grace") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            scene = Scene(host, [server])
            async with scene.socket("ana") as ana:
                async with scene.socket("ben"):
                    await scene.watch(ana, "ben")
                async with scene.socket("ben"):
                    await scene.becomes(ana, "ben", "offline")


async def test_who_left_would_still_be_watched_without_looking_again(dsn: str, tmp_path: Path) -> None:
    """The broken variant: once watched, always watched."""
    with running_server(dsn, tmp_path, variant="watches_for_ever") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            scene = Scene(host, [server])
            async with scene.socket("ana") as ana:
                await scene.watch(ana, "ben")
                await asyncio.to_thread(scene.put, {"ana": "claimant"})
                await ana.receive("participant.left")
                await asyncio.sleep(1)
                async with scene.socket("ben"):
                    await scene.becomes(ana, "ben", "online")
