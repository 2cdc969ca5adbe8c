"""Badges say what the inbox says, whatever changes it and wherever."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.pages import Page, badge, page_of
from tests.support.redis_server import RedisServer
from tests.support.scene import ONE, ROLES, TWO, Scene, two_hosts
from tests.support.servers import person_at

NOTHING = {"unread_count": 0, "sender_id": None, "message_id": None, "created_at": None}


class Hand:
    """Somebody at work over HTTP, on a server."""

    def __init__(self, scene: Scene, name: str, at: int = ONE) -> None:
        self.channel = scene.channel
        self._http = person_at(scene.servers[at], scene.tokens[name])

    async def ask(self, method: str, path: str, **body: object) -> httpx.Response:
        """Ask for something."""
        return await asyncio.to_thread(self._http.request, method, path, json=body or None)

    async def say(self, text: str = "hello", channel: str | None = None) -> dict[str, str]:
        """Send a message."""
        path = f"/api/channels/{channel or self.channel}/messages"
        answer = await self.ask("POST", path, client_id=uuid4().hex, content=text)
        return dict(answer.raise_for_status().json())

    async def read(self, seq: int) -> None:
        """Read up to there."""
        (await self.ask("PUT", f"/api/channels/{self.channel}/read", seq=seq)).raise_for_status()


@pytest.mark.parametrize("at", [ONE, TWO])
async def test_whom_a_message_is_for_is_told_what_is_unread(scene: Scene, at: int) -> None:
    async with page_of(scene, "ben", at) as ben, page_of(scene, "ana", at) as ana:
        sent = await Hand(scene, "ana").say()
        told = await badge(ben, unread_count=2)
        await ana.breathe()
    assert told == {
        "type": "badge",
        "channel_id": scene.channel,
        "unread_count": 2,
        "total_unread": 2,
        "sender_id": scene.id("ana"),
        "message_id": sent["id"],
        "created_at": sent["created_at"],
    }
    assert not any(one["unread_count"] for one in ana.badges), "who sent it has nothing to read"


@pytest.mark.parametrize("at", [ONE, TWO])
async def test_reading_deleting_and_leaving_are_told(scene: Scene, at: int) -> None:
    ana, ben = Hand(scene, "ana"), Hand(scene, "ben")
    async with page_of(scene, "ben", at) as page:
        second, third = await ana.say(), await ana.say()
        await badge(page, unread_count=3, message_id=third["id"])
        (await ana.ask("DELETE", f"/api/messages/{third['id']}")).raise_for_status()
        await badge(page, unread_count=2, message_id=second["id"], created_at=second["created_at"])
        await ben.read(1)
        await badge(page, unread_count=1, message_id=second["id"])
        await ben.read(100)
        await badge(page, **NOTHING)
        await ana.say()
        await badge(page, unread_count=1)
        scene.put({name: role for name, role in ROLES.items() if name != "ben"})
        await badge(page, total_unread=0, **NOTHING)


async def test_muted_and_archived_channels_count_as_in_the_inbox(scene: Scene) -> None:
    ana, ben = Hand(scene, "ana"), Hand(scene, "ben")
    muting = await ben.ask("PUT", f"/api/channels/{scene.channel}/settings", muted_until="2100-01-01T00:00:00Z")
    muting.raise_for_status()
    async with page_of(scene, "ben", TWO) as page:
        await ana.say()
        await badge(page, unread_count=2, total_unread=2)
        scene.host.context(scene.name, {scene.id(n): r for n, r in ROLES.items()}, kind="dispute", status="closed")
        await ben.read(1)
        await badge(page, unread_count=1, total_unread=1)
        assert await page.shows_the_truth()


async def test_many_messages_become_few_badges_and_the_last_is_right(scene: Scene) -> None:
    async with (
        page_of(scene, "ben", ONE) as here,
        page_of(scene, "ben", TWO) as there,
        scene.sockets(("ana", ONE), ("cem", TWO)) as sockets,
    ):
        for n in range(100):
            where = {"channel_id": scene.channel, "client_id": f"{n}", "content": "hello"}
            for socket in sockets:
                await socket.send(type="message.send", ref=f"{n}", **where)
        for page in (here, there):
            await badge(page, unread_count=201)
            assert await page.shows_the_truth()
            assert len(page.badges) < 150


async def test_every_socket_of_a_person_is_told_on_every_instance(scene: Scene) -> None:
    async with page_of(scene, "ben", ONE) as a, page_of(scene, "ben", ONE) as b, page_of(scene, "ben", TWO) as c:
        await Hand(scene, "ana", TWO).say()
        told = [await badge(page, unread_count=2) for page in (a, b, c)]
    assert told[0] == told[1] == told[2]


async def test_nobody_is_told_of_what_is_not_theirs(scene: Scene) -> None:
    async with page_of(scene, "fay", ONE) as fay, page_of(scene, "oda", ONE) as oda:
        await Hand(scene, "ana").say("between us")
        heard = await badge(oda, unread_count=2)
        await fay.breathe()
        await oda.breathe()
        assert {frame["type"] for frame in fay.socket.seen} == {"ready", "pong"}
        assert "between us" not in str(oda.socket.seen), "a badge has no content"
    assert heard["channel_id"] == scene.channel


ACTS = 60


async def wander(scene: Scene, seed: int) -> None:
    """Have ana, ben and cem do anything at both instances."""
    chance = random.Random(seed)
    hands = [Hand(scene, name, at) for name in ("ana", "ben", "cem") for at in (ONE, TWO)]
    sent: list[tuple[Hand, str]] = []
    for _ in range(ACTS):
        hand = chance.choice(hands)
        act = chance.random()
        if act < 0.55 or not sent:
            sent.append((hand, (await hand.say())["id"]))
        elif act < 0.8:
            await hand.read(chance.randrange(ACTS))
        else:
            whose, message = sent.pop(chance.randrange(len(sent)))
            (await whose.ask("DELETE", f"/api/messages/{message}")).raise_for_status()


@asynccontextmanager
async def pages(scene: Scene) -> AsyncIterator[list[Page]]:
    """Open pages of ben and cem at both instances."""
    async with (
        page_of(scene, "ben", ONE) as a,
        page_of(scene, "ben", TWO) as b,
        page_of(scene, "cem", ONE) as c,
        page_of(scene, "cem", TWO) as d,
    ):
        yield [a, b, c, d]


@pytest.mark.parametrize("seed", range(3))
async def test_after_anything_every_page_shows_the_truth(scene: Scene, seed: int) -> None:
    async with pages(scene) as open_pages:
        await asyncio.gather(wander(scene, seed), *(page.breathe() for page in open_pages))
        assert [await page.shows_the_truth() for page in open_pages] == [True] * 4


@pytest.mark.long
async def test_the_same_check_finds_an_instance_that_is_deaf_to_hints(
    dsn: str, redis: RedisServer, tmp_path: Path
) -> None:
    """The broken variant."""
    with two_hosts(dsn, tmp_path, REDIS_URL=redis.url, variant="deaf_to_hints") as pair:
        scene = Scene(*pair)
        async with pages(scene) as open_pages:
            await asyncio.sleep(1.5)  # past the first look back
            await wander(scene, 0)
            assert not all([await page.shows_the_truth(2) for page in open_pages])


@pytest.mark.long
async def test_the_first_page_of_an_instance_misses_nothing(dsn: str, redis: RedisServer, tmp_path: Path) -> None:
    """The others don't know yet that it wants to be told."""
    with two_hosts(dsn, tmp_path, REDIS_URL=redis.url) as pair:
        scene = Scene(*pair)
        await asyncio.sleep(17)  # nobody has asked for long: nobody is told
        ana = Hand(scene, "ana", ONE)
        for _ in range(3):
            saying = asyncio.create_task(ana.say())
            async with page_of(scene, "ben", TWO) as page:
                await saying
                assert await page.shows_the_truth(5)
