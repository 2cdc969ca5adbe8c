"""The personal socket itself: what it says first, what it takes, what it is counted for, and how it ends."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
import websockets

from realtime.presence.watchers import GRACE_S
from tests.modules.notifications.personal.test_badges import Hand
from tests.support.chat import chat
from tests.support.databases import Databases
from tests.support.pages import badge, page_of
from tests.support.scene import Scene
from tests.support.servers import Host, Server, running_server

AWAY = "offline"
FEW = {"PARLEY_MAX_SOCKETS_PER_USER": "3"}


@pytest.fixture(scope="module")
def server(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with postgres.fresh() as dsn, running_server(dsn, tmp_path_factory.mktemp("server"), **FEW) as running:
        yield running


@pytest.fixture
def scene(host: Host) -> Scene:
    return Scene(host, [host.server])


async def test_it_says_who_is_there_and_answers_pings(scene: Scene) -> None:
    async with chat(scene.servers[0].personal_url, scene.tokens["ben"], subprotocols=["parley.v1"]) as socket:
        assert socket.socket.subprotocol == "parley.v1"
        ready = socket.ready
        assert ready.keys() == {"type", "connection_id", "user_id", "server_time", "heartbeat_s"}
        assert (UUID(ready["connection_id"]).version, ready["user_id"]) == (7, scene.id("ben"))
        await socket.send(type="ping", ref="there?")
        assert await socket.receive() == {"type": "pong", "ref": "there?"}


@pytest.mark.parametrize("type_", ["message.send", "read", "resume", "view", "typing", "active", "presence.watch"])
async def test_it_takes_nothing_else(scene: Scene, type_: str) -> None:
    async with chat(scene.servers[0].personal_url, scene.tokens["ben"]) as socket:
        await socket.send(type=type_, ref="r", channel_id=scene.channel, seq=1)
        refused = await socket.receive("error")
        assert (refused["ref"], refused["problem"]["status"]) == ("r", 400)
        for _ in range(4):
            await socket.send(type=type_)
        assert await socket.closed() == 4400


async def test_what_is_said_in_channels_is_not_heard_there(scene: Scene) -> None:
    async with page_of(scene, "ben") as page, scene.sockets(("ana", 0), ("ben", 0)) as (ana, ben):
        await ana.message("hello", channel_id=scene.channel)
        await ben.receive("message.created")
        await scene.typing(ana)
        await ben.send(type="read", channel_id=scene.channel, seq=2)
        await badge(page, unread_count=0)
        scene.put({"ben": "respondent", "ana": "claimant"})
        await ben.receive("participant.left")
        await page.breathe()
        assert {frame["type"] for frame in page.socket.seen} <= {"ready", "badge", "pong"}


async def is_there(scene: Scene) -> str:
    """Return how ben seems to ana while he has nothing open but his page."""
    async with page_of(scene, "ben") as page, scene.socket("ana") as ana:
        await page.socket.send(type="ping")
        await page.socket.receive("pong")
        return (await scene.watch(ana, "ben"))["ben"]


async def test_a_page_with_a_badge_is_nobody_who_reads(scene: Scene) -> None:
    assert await is_there(scene) == AWAY


async def test_the_same_check_finds_a_page_that_is_taken_for_a_device(dsn: str, tmp_path: Path) -> None:
    """The broken variant."""
    with running_server(dsn, tmp_path, variant="counts_as_a_device") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            assert await is_there(Scene(host, [server])) != AWAY


async def test_sockets_of_a_person_are_counted_for_each_endpoint(scene: Scene) -> None:
    url, ben = scene.servers[0].personal_url, scene.tokens["ben"]
    connecting = websockets.connect(url, proxy=None)
    async with chat(url, ben), chat(url, ben), chat(url, ben), scene.socket("ben"), connecting as one_too_many:
        await one_too_many.send(json.dumps({"type": "auth", "token": ben}))
        await one_too_many.wait_closed()
        assert one_too_many.close_code == 4429
        assert one_too_many.close_reason == "at most 3 sockets a user"
    async with chat(url, ben):
        pass


async def test_contacts_are_told_of_and_nobody_else(dsn: str, tmp_path: Path) -> None:
    """Not broken: a server on which fay is a contact of ana's."""
    with running_server(dsn, tmp_path, variant="acquainted") as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            scene = Scene(host, [server])
            async with chat(server.personal_url, scene.tokens["ana"]) as page:
                assert (await page.receive("presence"))["status"] == "offline"
                async with scene.sockets(("fay", 0), ("ben", 0)):
                    await scene.becomes(page, "fay", "online")
                await scene.becomes(page, "fay", "offline", patience_s=GRACE_S + 15)
                told = {frame["user_id"] for frame in page.seen if frame["type"] == "presence"}
    assert told == {scene.id("fay")}


async def test_a_stopping_server_sends_pages_elsewhere(dsn: str, tmp_path: Path) -> None:
    with running_server(dsn, tmp_path) as server:
        host = Host(server, server.cli("keys", "create", "tests"))
        with host.http:
            scene = Scene(host, [server])
        async with page_of(scene, "ben") as page, scene.socket("ben") as device:
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            assert [await page.socket.closed(), await device.closed()] == [1012, 1012]
            await stopping


async def test_it_comes_back_after_the_database_was_busy(scene: Scene) -> None:
    """A badge that couldn't be counted at once is counted later: thirty channels at once are no more than that."""
    hand = Hand(scene, "ana")
    async with page_of(scene, "ben") as page:
        await asyncio.gather(*(hand.say() for _ in range(30)))
        await badge(page, unread_count=31)
        assert await page.shows_the_truth()
