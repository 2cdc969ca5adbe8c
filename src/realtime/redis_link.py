"""One connection to Redis, from its handshake to its loss.

Overview: RESP3 lets one connection publish, subscribe and be pinged, so that there is one thing to watch, and what an
instance hears is in step with what it says. One task reads, one writes, one counts heartbeats; the first to fail ends
the others.

Guarantees: a Redis that stands still, or that the network swallows, is noticed after `MISSED_BEATS` heartbeats without
any answer, in at most two seconds. Beats are counted, not seconds, so that a stalled event loop accuses nobody.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

from redis.asyncio import ConnectionPool
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

BEAT_S = 0.5
MISSED_BEATS = 3
CONNECT_TIMEOUT_S = 1.5
REPLIES_A_TURN = 100

Command: TypeAlias = tuple[bytes | str, ...]


def pool_for(url: str) -> ConnectionPool:
    """Return where connections come from: `redis://`, `rediss://` or `unix://`, with everything that a URL may say.

    Raises:
        ValueError: the URL is none that the Redis client reads.
    """
    pool: ConnectionPool = ConnectionPool.from_url(
        url,
        protocol=3,
        client_name="parley",
        socket_timeout=None,  # heartbeats watch the connection
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    return pool


class Link:
    """A connection; `outgoing` is asked for commands after each `wake`, `on_push` gets what Redis sends unasked."""

    def __init__(
        self, pool: ConnectionPool, outgoing: Callable[[], list[Command]], on_push: Callable[[list[Any]], None]
    ) -> None:
        async def push(response: list[Any]) -> list[Any]:
            on_push(response)
            return response

        self._pool = pool
        self._pubsub: Any = PubSub(pool, push_handler_func=push)  # the default handler logs every message
        self._outgoing = outgoing
        self._awake = asyncio.Event()
        self._last: list[Command] = []
        self._missed = 0
        self._ping_due = False
        self._transport: asyncio.WriteTransport | None = None

    async def open(self) -> None:
        """Connect and log in, in `CONNECT_TIMEOUT_S`.

        Raises:
            RedisError, OSError, TimeoutError: Redis is away, or doesn't let us in.
        """
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await self._pubsub.connect()
        self._transport = self._pubsub.connection._writer.transport  # noqa: SLF001 - there is no other way to abort it

    def wake(self) -> None:
        """There is something to write: it is asked for in the next turn of the loop and leaves in one write."""
        self._awake.set()

    async def serve(self) -> None:
        """Read and write until the connection is lost.

        Raises:
            ExceptionGroup: why.
        """
        async with asyncio.TaskGroup() as group:
            for work in (self._read, self._write, self._beat):
                group.create_task(work())

    def quit(self) -> None:
        """Write what there is to write. Redis does all of it, and then ends the connection."""
        self._last = [("QUIT",)]
        self._awake.set()

    async def close(self) -> None:
        """End the connection, however far it came; what Redis hasn't taken yet is dropped."""
        if self._transport is not None:
            self._transport.abort()  # closing would wait for a peer that no longer reads
        with suppress(RedisError, OSError):
            await self._pubsub.aclose()
            await self._pool.disconnect()

    async def _read(self) -> None:
        read: Callable[..., Awaitable[Any]] = self._pubsub.connection.read_response
        while True:
            for _ in range(REPLIES_A_TURN):
                await read(timeout=math.inf, push_request=True)
                self._missed = 0
            await asyncio.sleep(0)  # replies that are here already are read without a pause

    async def _write(self) -> None:
        connection = self._pubsub.connection
        while True:
            await self._awake.wait()
            self._awake.clear()
            commands = self._outgoing() + self._last
            if self._ping_due:
                commands.append(("PING",))
                self._ping_due = False
            if commands:
                await connection.send_packed_command(connection.pack_commands(commands), check_health=False)

    async def _beat(self) -> None:
        while self._missed < MISSED_BEATS:
            self._missed += 1
            self._ping_due = True
            self._awake.set()
            await asyncio.sleep(BEAT_S)
        raise RedisConnectionError("No answer")
