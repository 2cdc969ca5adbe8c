"""People who talk without end, and remember all that they were told: what a guarantee is held against."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from parley_client import Backoff, Client, Options, Record
from tests.support.chat import Frame
from tests.support.log import Log, read
from tests.support.servers import Host, Server

EAGER = Options(backoff=Backoff(base_s=0.05, cap_s=0.2))
PATIENCE_S = 40
A_MOMENT_S = 0.4


class Talker:
    """Talks in one context through the client; `talking` turns the talk on and off.

    `frames` and `acks` (by client_id) are what the server said; `accepted` is what the client made of it.
    """

    def __init__(
        self, url: str, token: str, context_id: str, *, name: str, window: int = 4, pace_s: float = 0.01
    ) -> None:
        self.name = name
        self.context_id = context_id
        self.window = window
        self.talking = True
        self.acks: dict[str, list[Frame]] = defaultdict(list)
        self.frames: list[Frame] = []
        self.accepted: list[Record] = []
        self.problems: list[Frame] = []
        self.unacknowledged: set[str] = set()
        self._client = Client(url, token=token, from_beginning=True, options=EAGER, tap=self._hear)
        self._pace_s = pace_s
        self._said = 0

    @property
    def sockets(self) -> int:
        """How often it was let in."""
        return self._client.connections

    @property
    def last_seq(self) -> int:
        """The last record that it accepted; there was none before it that it didn't."""
        return len(self.accepted)

    async def run(self) -> None:
        """Talk and listen until cancelled."""
        async with self._client, asyncio.TaskGroup() as group:
            group.create_task(self._talk(group))
            async for record in self._client.records():
                assert isinstance(record, Record), "the history is still the same"
                self.accepted.append(record)

    async def caught_up(self, seq: int) -> None:
        """Wait until nothing is unacknowledged and everything up to `seq` was accepted."""
        async with asyncio.timeout(PATIENCE_S):
            while self.unacknowledged or self.last_seq < seq:
                await asyncio.sleep(0.02)

    async def _talk(self, group: asyncio.TaskGroup) -> None:
        while True:
            if self.talking and len(self.unacknowledged) < self.window:
                self._said += 1
                self.unacknowledged.add(f"{self.name}-{self._said}")
                group.create_task(self._say(f"{self.name}-{self._said}", f"{self.name} says {self._said} ✓"))
            await asyncio.sleep(self._pace_s)

    async def _say(self, client_id: str, content: str) -> None:
        await self._client.send(("booking", self.context_id), content, client_id=client_id)
        self.unacknowledged.remove(client_id)

    def _hear(self, text: str) -> None:
        frame = json.loads(text)
        if frame["type"] == "error":
            self.problems.append(frame["problem"])
        elif "seq" in frame:
            self.frames.append(frame)
        if frame["type"] == "ack":
            self.acks[frame["message"]["client_id"]].append(frame)


def booking(server: Server, context_id: str, *people: str, window: int = 4) -> list[Talker]:
    """Make people and a booking of theirs on a server; returns a talker for each."""
    host = Host(server, server.cli("keys", "create", context_id))
    with host.http:
        tokens = {person: host.user(person) for person in people}
        host.context(context_id, dict.fromkeys(people, "worker"))
    return [Talker(server.url, token, context_id, name=name, window=window) for name, token in tokens.items()]


@asynccontextmanager
async def talking(*talkers: Talker) -> AsyncIterator[None]:
    """Let talkers run while the block does; none of them may stop by itself."""
    tasks = [asyncio.create_task(talker.run()) for talker in talkers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


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
