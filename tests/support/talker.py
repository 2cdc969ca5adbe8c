"""A client that keeps the protocol's rules: sends again until acknowledged, resumes, accepts only the next seq."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from tests.support.chat import Frame
from tests.support.log import Log, read
from tests.support.servers import Host, Server

RECONNECT_S = 0.02
RETRY_S = 0.05
PATIENCE_S = 40
A_MOMENT_S = 0.4


class Talker:
    """Talks in one context and remembers every frame; `talking` turns its talk on and off."""

    def __init__(
        self, url: str, token: str, context_id: str, *, name: str, window: int = 4, pace_s: float = 0.01
    ) -> None:
        self.url = url
        self.name = name
        self.talking = True
        self.acks: dict[str, list[Frame]] = defaultdict(list)
        self.frames: list[Frame] = []
        self.accepted: list[Frame] = []
        self.problems: list[Frame] = []
        self.sockets = 0
        self.unacknowledged: dict[str, str] = {}
        self._token = token
        self.context_id = context_id
        self._context = {"type": "booking", "id": context_id}
        self.window = window
        self._pace_s = pace_s
        self._said = 0
        self._channel: str | None = None
        self._resuming = False

    @property
    def last_seq(self) -> int:
        """The last record that it accepted; there was none before it that it didn't."""
        return len(self.accepted)

    async def run(self) -> None:
        """Connect, and connect again whenever the socket ends, until cancelled."""
        while True:
            with suppress(OSError, websockets.WebSocketException, TimeoutError):
                async with websockets.connect(self.url, proxy=None, compression=None, max_queue=None) as socket:
                    await self._live(socket)
            await asyncio.sleep(RECONNECT_S)

    async def caught_up(self, seq: int) -> None:
        """Wait until nothing is unacknowledged and everything up to `seq` was accepted."""
        async with asyncio.timeout(PATIENCE_S):
            while self.unacknowledged or self.last_seq < seq:
                await asyncio.sleep(0.02)

    async def _live(self, socket: ClientConnection) -> None:
        await _send(socket, type="auth", token=self._token)
        ready = json.loads(await socket.recv())
        if ready["type"] != "ready":
            return
        self.sockets += 1
        self._resuming = False
        if self._channel is None and ready["channels"]:
            self._channel = ready["channels"][0]["channel_id"]
        self._epoch = ready["epoch"]
        await self._resume(socket)
        for client_id in list(self.unacknowledged):
            await self._say(socket, client_id)
        talk = asyncio.create_task(self._talk(socket))
        try:
            async for text in socket:
                await self._hear(socket, json.loads(text))
        finally:
            talk.cancel()
            await asyncio.gather(talk, return_exceptions=True)

    async def _talk(self, socket: ClientConnection) -> None:
        while True:
            if self.talking and len(self.unacknowledged) < self.window:
                self._said += 1
                client_id = f"{self.name}-{self._said}"
                self.unacknowledged[client_id] = f"{self.name} says {self._said} ✓"
                await self._say(socket, client_id)
            await asyncio.sleep(self._pace_s)

    async def _hear(self, socket: ClientConnection, frame: Frame) -> None:
        if frame["type"] == "error":
            self.problems.append(frame["problem"])
            await asyncio.sleep(RETRY_S)
            if frame.get("ref") in self.unacknowledged:
                await self._say(socket, frame["ref"])
            elif self._resuming:
                self._resuming = False
                await self._resume(socket)
        elif frame["type"] == "resumed":
            self._resuming = False
        elif "seq" in frame:
            await self._record(socket, frame)

    async def _record(self, socket: ClientConnection, frame: Frame) -> None:
        self.frames.append(frame)
        self._channel = frame["channel_id"]
        if frame["type"] == "ack":
            self.acks[frame["ref"]].append(frame)
            self.unacknowledged.pop(frame["ref"], None)
        if frame["seq"] == self.last_seq + 1:
            self.accepted.append(frame)
        elif frame["seq"] > self.last_seq:
            await self._resume(socket)

    async def _resume(self, socket: ClientConnection) -> None:
        if self._channel is not None and not self._resuming:
            self._resuming = True
            channels = [{"channel_id": self._channel, "after_seq": self.last_seq}]
            await _send(socket, type="resume", ref="resume", epoch=self._epoch, channels=channels)

    async def _say(self, socket: ClientConnection, client_id: str) -> None:
        content = self.unacknowledged[client_id]
        await _send(
            socket, type="message.send", ref=client_id, client_id=client_id, content=content, context=self._context
        )


def booking(server: Server, context_id: str, *people: str, window: int = 4) -> list[Talker]:
    """Make people and a booking of theirs on a server; returns a talker for each."""
    host = Host(server, server.cli("keys", "create", context_id))
    with host.http:
        tokens = {person: host.user(person) for person in people}
        host.context(context_id, dict.fromkeys(people, "worker"))
    return [Talker(server.ws_url, token, context_id, name=name, window=window) for name, token in tokens.items()]


@asynccontextmanager
async def talking(*talkers: Talker) -> AsyncIterator[None]:
    """Let talkers run while the block does."""
    tasks = [asyncio.create_task(talker.run()) for talker in talkers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def acknowledged(talker: Talker, *, more: int) -> None:
    """Return as soon as that many more of its messages are acknowledged."""
    wanted = len(talker.acks) + more
    async with asyncio.timeout(PATIENCE_S):
        while len(talker.acks) < wanted:
            await asyncio.sleep(0.001)


async def under_load(talkers: list[Talker]) -> None:
    """Return when each talker has heard of twenty more acknowledgements, and a moment later."""
    await asyncio.gather(*(acknowledged(talker, more=20) for talker in talkers))
    await asyncio.sleep(A_MOMENT_S)


async def settled(dsn: str, talkers: list[Talker]) -> Log:
    """Let the talk end and everybody catch up; returns the log."""
    for talker in talkers:
        talker.talking = False
    for talker in talkers:
        await talker.caught_up(0)
    log = await read(dsn, talkers[0].context_id)
    for talker in talkers:
        await talker.caught_up(log.last_seq)
    return log


async def _send(socket: ClientConnection, **frame: Any) -> None:
    await socket.send(json.dumps(frame))
