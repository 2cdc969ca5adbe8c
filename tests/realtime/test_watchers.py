"""Watchers on another instance hear of a change that happened while the way to them was gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from uuid import uuid4

import msgspec
import pytest

from realtime.connection import Connection
from realtime.hub import Hub
from realtime.presence.memory import MemoryPresence
from realtime.presence.redis import RedisPresence
from realtime.presence.watchers import Watchers
from realtime.redis_backplane import RedisBackplane
from tests.support.devices import device, line_of
from tests.support.redis_server import RedisServer

PATIENCE_S = 20


class Instance:
    """An instance's hub, with presence and watchers."""

    def __init__(self, url: str) -> None:
        self.backplane = RedisBackplane(url)
        self.hub = Hub(self.backplane)
        self.presence = RedisPresence(MemoryPresence(self.hub, 300), url)
        self.watchers = Watchers(self.hub, self.presence)

    async def watch(self, user_id: str, other: str) -> Connection:
        """Let somebody watch another."""
        watcher = device(self.hub, user_id)
        self.watchers.listen_to(watcher, [other])
        await self.watchers.tell(watcher, [other])
        return watcher


@asynccontextmanager
async def instance(url: str) -> AsyncIterator[Instance]:
    """Run an instance."""
    one = Instance(url)
    async with AsyncExitStack() as stack:
        for part in (one.backplane, one.presence, one.watchers):
            await part.start()
            stack.push_async_callback(part.stop)
        yield one


async def becomes(watcher: Connection, status: str, *, within_s: float = PATIENCE_S) -> None:
    """Wait until a watcher's last news is this."""
    async with asyncio.timeout(within_s):
        while _told(watcher)[-1:] != [status]:
            await asyncio.sleep(0.02)


def _told(watcher: Connection) -> list[str]:
    frames = [msgspec.json.decode(frame.payload) for frame in line_of(watcher).frames]
    return [frame["status"] for frame in frames if frame["type"] == "presence"]


async def changed_while_cut_off(one: Instance, two: Instance) -> Connection:
    """Let ana watch ben on one instance, who comes on another in the moment in which that loses its way to others."""
    while not one.presence._others:  # noticing another instance is a doubt of its own
        await asyncio.sleep(0.05)
    ben = uuid4().hex
    watcher = await one.watch("ana", ben)
    await becomes(watcher, "offline")
    two.hub.on_doubt(partial(_come, two, ben))
    assert two.backplane._link is not None
    await two.backplane._link.close()
    return watcher


def _come(two: Instance, user_id: str) -> None:
    if not two.backplane.connected and not two.hub.connections_of(user_id):
        device(two.hub, user_id)


async def test_who_came_while_others_could_not_be_told_is_told_of_afterwards(redis_server: RedisServer) -> None:
    async with instance(redis_server.url) as one, instance(redis_server.url) as two:
        await becomes(await changed_while_cut_off(one, two), "online")


async def test_the_same_check_finds_what_is_told_once(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken variant: what couldn't be told is forgotten."""
    monkeypatch.setattr(Watchers, "_remember", lambda *_: None)
    async with instance(redis_server.url) as one, instance(redis_server.url) as two:
        watcher = await changed_while_cut_off(one, two)
        with pytest.raises(TimeoutError):
            await becomes(watcher, "online", within_s=4)
