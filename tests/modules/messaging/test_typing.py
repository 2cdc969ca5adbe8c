"""Typing: who is writing, on one instance and on two; cheap however often it is said."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from modules.messaging.gateway import keystrokes
from modules.messaging.gateway.keystrokes import Keystrokes
from realtime.connection import Connection
from realtime.hub import Hub
from tests.support.databases import Databases
from tests.support.devices import device
from tests.support.redis_server import running_redis
from tests.support.scene import ONE, TWO, Pair, Scene, two_hosts


@pytest.fixture(scope="module")
def pair(postgres: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("typing")
    with (
        postgres.fresh() as dsn,
        running_redis(folder) as redis,
        two_hosts(dsn, Path(folder), REDIS_URL=redis.url) as pair,
    ):
        yield pair


@pytest.fixture
def scene(pair: Pair) -> Scene:
    return Scene(*pair)


async def test_the_others_are_told_the_whole_list_on_every_instance(scene: Scene) -> None:
    async with scene.sockets(("ana", ONE), ("ben", TWO), ("cem", TWO), ("oda", ONE)) as (ana, ben, cem, oda):
        await scene.typing(ana)
        for other in (ben, cem, oda):
            await scene.typists(other, "ana")
        await scene.typing(ben)
        for other in (cem, oda):
            await scene.typists(other, "ana", "ben")
        await scene.typists(ana, "ben")
        await scene.typing(ana, is_typing=False)
        for other in (cem, oda):
            await scene.typists(other, "ben")
        await scene.typists(ben)


async def test_nobody_is_told_of_themselves(scene: Scene) -> None:
    async with scene.sockets(("ana", ONE), ("ana", TWO), ("ben", ONE)) as (ana, laptop, ben):
        await scene.typing(ana)
        await scene.typists(ben, "ana")
        assert await scene.quiet(ana, "typing") == []
        assert await scene.quiet(laptop, "typing") == []


async def test_a_message_ends_it_also_one_sent_elsewhere(scene: Scene) -> None:
    async with scene.sockets(("ana", ONE), ("ana", TWO), ("cem", TWO)) as (ana, laptop, cem):
        await scene.typing(ana)
        await scene.typists(cem, "ana")
        before = time.monotonic()
        await laptop.message("done", channel_id=scene.channel)
        await scene.typists(cem)
        assert time.monotonic() - before < keystrokes.FORGOTTEN_S - 1


async def test_a_lost_socket_ends_it(scene: Scene) -> None:
    async with scene.socket("cem", TWO) as cem:
        async with scene.socket("ana", ONE) as ana:
            await scene.typing(ana)
            await scene.typists(cem, "ana")
        before = time.monotonic()
        await scene.typists(cem)
        assert time.monotonic() - before < keystrokes.FORGOTTEN_S - 1


async def test_silence_ends_it_after_five_seconds(scene: Scene) -> None:
    async with scene.sockets(("ana", ONE), ("ben", ONE), ("cem", TWO)) as (ana, ben, cem):
        await scene.typing(ana)
        before = time.monotonic()
        await scene.typists(ben, "ana")
        await scene.typists(ben)
        assert time.monotonic() - before > keystrokes.FORGOTTEN_S - 0.5
        await scene.typists(cem)


async def test_who_may_not_write_or_hear_is_ignored(scene: Scene) -> None:
    async with scene.sockets(("oda", ONE), ("fay", ONE), ("ana", ONE), ("ben", TWO)) as (oda, fay, ana, ben):
        for socket in (oda, fay):
            await scene.typing(socket)
            assert await scene.quiet(socket, "error", "typing", for_s=0) == []
        assert await scene.quiet(ana, "typing") == []
        assert await scene.quiet(ben, "typing") == []


async def test_who_is_taken_out_types_no_more(scene: Scene) -> None:
    async with scene.sockets(("ana", ONE), ("ben", TWO)) as (ana, ben):
        await scene.typing(ben)
        await scene.typists(ana, "ben")
        await asyncio.to_thread(scene.put, {"ana": "claimant"})
        await ben.receive("participant.left")
        for _ in range(20):
            await scene.typing(ben)
        await scene.typists(ana)
        assert await scene.quiet(ana, "typing") == []


async def test_a_flood_is_told_as_often_as_a_trickle(scene: Scene) -> None:
    async with scene.sockets(("ana", ONE), ("ben", ONE), ("cem", TWO)) as (ana, ben, cem):
        before = time.monotonic()
        for _ in range(20):
            for is_typing in (True,) * 50 + (False, True):
                await scene.typing(ana, is_typing=is_typing)
            await asyncio.sleep(0.1)
        for other in (ben, cem):
            frames = await scene.quiet(other, "typing", for_s=0.5)
            bound = 2 * ((time.monotonic() - before) / keystrokes.REPEAT_S + 1)
            assert 1 <= len(frames) <= bound


# The machine behind it, with seconds that pass quickly


HERE = uuid4()


class Told:
    """What keystrokes came to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keystrokes, "REPEAT_S", 0.3)
        monkeypatch.setattr(keystrokes, "FORGOTTEN_S", 0.5)
        self.changes: list[bool] = []
        self.keystrokes = Keystrokes(lambda *change: self.changes.append(change[2]), lambda *_: True)
        self.ana: Connection = device(Hub(), "ana")

    async def strike(self, channel: UUID, for_s: float) -> None:
        ends = time.monotonic() + for_s
        while time.monotonic() < ends:
            self.keystrokes.struck(self.ana, channel)
            await asyncio.sleep(0.01)


async def test_who_goes_on_is_told_again_and_is_forgotten_when_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(monkeypatch)
    await told.strike(HERE, 1.0)
    assert told.changes == [True] * len(told.changes)
    assert 2 <= len(told.changes) <= 5
    await asyncio.sleep(1.5)
    assert told.changes[-2:] == [True, False]
    assert not told.keystrokes._pens
    assert not told.keystrokes._channels


async def test_without_the_throttle_each_keystroke_would_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken variant."""
    told = Told(monkeypatch)
    monkeypatch.setattr(keystrokes, "REPEAT_S", 0)
    await told.strike(HERE, 1.0)
    assert len(told.changes) > 5
    told.keystrokes.gone(told.ana)


async def test_a_socket_is_followed_in_few_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(monkeypatch)
    for number in range(100):
        told.keystrokes.struck(told.ana, UUID(int=number))
    assert len(told.changes) == keystrokes.MAX_CHANNELS
    told.keystrokes.gone(told.ana)
    assert told.changes[keystrokes.MAX_CHANNELS :] == [False] * keystrokes.MAX_CHANNELS
    assert not told.keystrokes._pens
    assert not told.keystrokes._channels
