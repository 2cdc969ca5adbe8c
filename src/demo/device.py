"""Somebody's device, as a host application would have it: Parley's own client, and what was heard with it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from demo.cast import Person, Scene
from parley_client import Client, Message, MessageCreated

PATIENCE_S = 15


class Device:
    """A connected client. Remembers which messages came out of it."""

    def __init__(self, owner: Person, label: str, client: Client) -> None:
        self.owner = owner
        self.label = label
        self.client = client
        self._heard: set[tuple[str, int]] = set()
        self._news = asyncio.Condition()

    def __str__(self) -> str:
        return f"{self.owner.short} ({self.label})"

    async def write(self, scene: Scene, text: str) -> tuple[Message, float]:
        """Send a message into a context; returns it, and after how many milliseconds it was acknowledged.

        Raises:
            Refused: the owner may not write there.
            TimeoutError: there was no answer.
        """
        begun = time.perf_counter()
        async with asyncio.timeout(PATIENCE_S):
            message = await self.client.send((scene.context_type, scene.context_id), text)
        return message, (time.perf_counter() - begun) * 1000

    async def hears(self, message: Message) -> bool:
        """Wait for a message; returns whether it came."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S), self._news:
                await self._news.wait_for(lambda: (message.channel_id, message.seq) in self._heard)
                return True
        return False

    async def listen(self) -> None:
        """Take in what happens, until cancelled."""
        async for record in self.client.records():
            if isinstance(record, MessageCreated):
                async with self._news:
                    self._heard.add((record.channel_id, record.seq))
                    self._news.notify_all()


@asynccontextmanager
async def device(url: str, token: str, owner: Person, label: str) -> AsyncIterator[Device]:
    """Connect; disconnect at the end."""
    async with Client(url, token=token) as client:
        opened = Device(owner, label, client)
        listening = asyncio.create_task(opened.listen())
        try:
            yield opened
        finally:
            listening.cancel()
