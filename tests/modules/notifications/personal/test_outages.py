"""Badges while Redis is away, and when it is back."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.modules.notifications.personal.test_badges import Hand
from tests.support.pages import badge, page_of
from tests.support.partition import partition
from tests.support.redis_server import RedisServer
from tests.support.scene import ONE, TWO, Scene, two_hosts
from tests.support.servers import Host, running_server


@pytest.fixture
def scene(dsn: str, redis_server: RedisServer, tmp_path: Path) -> Iterator[Scene]:
    with two_hosts(dsn, tmp_path, REDIS_URL=redis_server.url) as pair:
        yield Scene(*pair)


async def test_with_redis_away_others_are_counted_now_and_then_and_all_is_told_when_it_is_back(
    scene: Scene, redis_server: RedisServer
) -> None:
    ana, ben = Hand(scene, "ana", ONE), Hand(scene, "ben", ONE)
    async with page_of(scene, "ben", ONE) as here, page_of(scene, "ben", TWO) as there:
        redis_server.kill()
        await ana.say()
        await badge(here, unread_count=2)
        await badge(there, unread_count=2)
        await ana.say()
        await ben.read(1)
        redis_server.start()
        for page in (here, there):
            await badge(page, unread_count=2)
            assert await page.shows_the_truth()
        await ana.say()
        for page in (here, there):
            await badge(page, unread_count=3)


async def test_what_was_read_meanwhile_is_told_to_who_knew_only_that_it_was_unread(
    scene: Scene, redis_server: RedisServer
) -> None:
    async with page_of(scene, "ben", TWO) as page:
        await asyncio.sleep(1.5)
        assert page.total == 1
        redis_server.pause()
        await Hand(scene, "ben", ONE).read(1)
        await asyncio.sleep(3)
        redis_server.resume()
        assert await page.shows_the_truth()
        assert page.total == 0


async def test_who_is_cut_off_alone_tells_the_others_who_noticed_nothing(
    dsn: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    with (
        partition(redis_server.port) as network,
        running_server(dsn, tmp_path / "one", REDIS_URL=f"redis://127.0.0.1:{network.port}") as one,
        running_server(dsn, tmp_path / "two", REDIS_URL=redis_server.url) as two,
    ):
        host = Host(one, one.cli("keys", "create", "tests"))
        with host.http:
            scene = Scene(host, [one, two])
        async with page_of(scene, "ben", TWO) as page:
            await asyncio.sleep(1.5)
            network.cut()
            await Hand(scene, "ana", ONE).say()
            await badge(page, unread_count=2)
            assert await page.shows_the_truth()


@pytest.mark.long
async def test_the_same_check_finds_who_never_looks_back(dsn: str, redis_server: RedisServer, tmp_path: Path) -> None:
    """The broken variant."""
    with two_hosts(dsn, tmp_path, REDIS_URL=redis_server.url, variant="never_looks_back") as pair:
        scene = Scene(*pair)
        async with page_of(scene, "ben", TWO) as page:
            redis_server.kill()
            await Hand(scene, "ana", ONE).say()
            redis_server.start()
            assert not await page.shows_the_truth(6)
