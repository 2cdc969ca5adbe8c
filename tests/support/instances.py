"""Instances of a backplane in this process, and what each of them was told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from realtime.backplane import Backplane
from realtime.redis_backplane import RedisBackplane

PATIENCE_S = 20


class Instance:
    """A backplane and its listener."""

    def __init__(self, backplane: Backplane) -> None:
        self.backplane = backplane
        self.heard: list[tuple[str, bytes]] = []
        self.doubts = 0
        backplane.listen(lambda topic, payload: self.heard.append((topic, payload)), self._doubt)

    def _doubt(self) -> None:
        self.doubts += 1

    async def hear(self, *topics: str) -> None:
        """Subscribe, and wait until that has taken effect."""
        for topic in topics:
            self.backplane.subscribe(topic)
        await self.backplane.settled()

    def say(self, topic: str, *payloads: bytes) -> None:
        """Publish, all in this turn of the loop."""
        for payload in payloads:
            self.backplane.publish(topic, payload)


Join = Callable[[str], Awaitable[Instance]]


@asynccontextmanager
async def joining() -> AsyncIterator[Join]:
    """Start instances on the Redis at an address; stop them all at the end."""
    async with AsyncExitStack() as stack:

        async def join(url: str) -> Instance:
            instance = Instance(RedisBackplane(url))
            await instance.backplane.start()
            stack.push_async_callback(instance.backplane.stop)
            return instance

        yield join


async def until(met: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Wait for what is bound to happen.

    Raises:
        TimeoutError: it didn't.
    """
    async with asyncio.timeout(within_s):
        while not met():
            await asyncio.sleep(0.005)
