"""The backplane of many instances: Redis pub/sub.

Overview: what an instance publishes in one turn of the event loop leaves in one write, the payloads of one topic in
one PUBLISH, since a PUBLISH is what costs. Redis tells every subscriber, the sender too, which knows its own by the
instance id in front. Names are `parley:{database}:{topic}`, because pub/sub itself knows no databases.

Concurrency: single-threaded, on the event loop. One task connects, serves the connection until it is lost (see
`redis_link`) and connects again, for ever.

Guarantees: those of `Backplane`. A subscription has taken effect when Redis has confirmed it. `on_doubt` is called
when the connection is lost, at most two seconds after Redis or the way to it has gone, and again after a new
connection has subscribed to everything. While Redis is away nothing is kept for it: memory stays as it is.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog

from kernel.backoff import delays
from kernel.telemetry.metrics import BACKPLANE_CONNECTED, BACKPLANE_MESSAGES
from realtime import redis_framing
from realtime.redis_link import Command, Link, pool_for
from realtime.redis_traffic import Subscriptions, Waiting

log = structlog.get_logger(__name__)

SETTLE_TIMEOUT_S = 1.0
RETRY_FIRST_S = 0.1
RETRY_LONGEST_S = 1.0

SENT, RECEIVED, DROPPED = (BACKPLANE_MESSAGES.labels(way) for way in ("sent", "received", "dropped"))


class RedisBackplane:
    """Tells the other instances through a Redis at `url`.

    Raises:
        ValueError: the URL is none that the Redis client reads.
    """

    def __init__(self, url: str) -> None:
        self._pool = pool_for(url)
        self._prefix = f"parley:{self._pool.connection_kwargs.get('db', 0)}:"
        self._instance = os.urandom(redis_framing.INSTANCE_BYTES)
        self._subscriptions = Subscriptions()
        self._waiting = Waiting()
        self._link: Link | None = None
        self._connected = False
        self._settled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._waits = delays(RETRY_FIRST_S, RETRY_LONGEST_S)
        self._problem: type[BaseException] | None = None

    @property
    def connected(self) -> bool:
        """Whether Redis is there and has confirmed every subscription asked for before it came."""
        return self._connected

    def listen(self, on_message: Callable[[str, bytes], None], on_doubt: Callable[[], None]) -> None:
        """See `Backplane`."""
        self._on_message = on_message
        self._on_doubt = on_doubt

    async def start(self) -> None:
        """Begin to connect, and wait for the first attempt, but for no more than a second."""
        self._task = asyncio.create_task(self._run())
        await self.settled()

    async def stop(self) -> None:
        """Say what is left to say, for a second at most, then disconnect."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._link is not None:
            self._link.quit()
            await asyncio.wait([task], timeout=SETTLE_TIMEOUT_S)
        task.cancel()
        await asyncio.wait([task])
        self._connected = False
        BACKPLANE_CONNECTED.set(0)

    def subscribe(self, topic: str) -> None:
        """See `Backplane`."""
        self._change(topic, wanted=True)

    def unsubscribe(self, topic: str) -> None:
        """See `Backplane`."""
        self._change(topic, wanted=False)

    def _change(self, topic: str, *, wanted: bool) -> None:
        self._subscriptions.change(topic, wanted=wanted)
        if self._link is not None:
            self._settled.clear()
            self._link.wake()

    async def settled(self) -> None:
        """See `Backplane`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                await self._settled.wait()

    def publish(self, topic: str, payload: bytes) -> None:
        """See `Backplane`."""
        if self._link is not None and self._connected and self._waiting.add(topic, payload):
            self._link.wake()
        else:
            DROPPED.inc()

    def _outgoing(self) -> list[Command]:
        SENT.inc(self._waiting.count)
        return self._subscriptions.take(self._prefix) + self._waiting.take(self._prefix, self._instance)

    def _on_push(self, push: list[Any]) -> None:
        if push[0] == b"message":
            self._receive(push[1].decode().removeprefix(self._prefix), push[2])
        elif push[0] in (b"subscribe", b"unsubscribe"):
            self._subscriptions.confirm()
            self._up_if_settled()

    def _receive(self, topic: str, message: bytes) -> None:
        if redis_framing.sender(message) == self._instance:
            return
        try:
            for payload in redis_framing.split(message):
                if topic in self._subscriptions.topics:
                    RECEIVED.inc()
                    self._call(self._on_message, topic, payload)
        except ValueError:
            log.warning("backplane_message_unreadable", bytes=len(message))

    def _call(self, listener: Callable[..., None], *what: Any) -> None:
        try:
            listener(*what)
        except Exception:
            log.exception("backplane_listener_failed")

    async def _run(self) -> None:
        """Connect, serve and lose connections until stopped."""
        while True:
            await self._serve()
            if self._task is None:
                return
            await asyncio.sleep(next(self._waits))

    async def _serve(self) -> None:
        """Serve one connection until it is lost."""
        link = Link(self._pool, self._outgoing, self._on_push)
        try:
            await link.open()
            self._link = link
            self._subscriptions.connect()
            self._up_if_settled()
            await link.serve()
        except Exception as error:  # noqa: BLE001 - whatever it was, another connection is the answer
            if self._task is not None:
                self._report(error)
                self._down()
        finally:
            self._link = None
            self._subscriptions.disconnect()
            await link.close()

    def _up_if_settled(self) -> None:
        if not self._subscriptions.settled:
            return
        self._settled.set()
        if not self._connected:
            self._connected, self._problem = True, None
            self._waits = delays(RETRY_FIRST_S, RETRY_LONGEST_S)
            BACKPLANE_CONNECTED.set(1)
            log.info("backplane_connected")
            self._call(self._on_doubt)

    def _down(self) -> None:
        DROPPED.inc(self._waiting.count)
        self._waiting.clear()
        BACKPLANE_CONNECTED.set(0)
        was_connected, self._connected = self._connected, False
        self._settled.set()
        if was_connected:
            self._call(self._on_doubt)

    def _report(self, error: BaseException) -> None:
        """Log why Redis is away, once for each reason."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if type(error) is not self._problem:
            self._problem = type(error)
            log.warning("backplane_away", error=type(error).__name__)
