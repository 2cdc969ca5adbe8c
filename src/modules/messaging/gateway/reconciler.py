"""Keeps what sockets hear true to the database, whichever instance changed it.

Overview: PostgreSQL notifies every instance of a channel whose membership changed (a trigger of `chat_participants`);
with Redis, the heads of the channels that are listened to here are also looked at every few seconds, and at once when
messages of other instances may have been lost.

Guarantees:
- Who was removed hears nothing more within a moment, and who was added hears the channel from their joining on,
  also with Redis down.
- What another instance committed is delivered here within `POLL_S`, however the hint of it was lost.
"""

import asyncio
import time
from collections.abc import Collection, Coroutine, Iterable, Mapping
from contextlib import suppress
from functools import partial
from uuid import UUID

import structlog

from kernel.database import Database
from kernel.errors import UnavailableError
from modules.messaging.gateway.broadcast import Broadcast, channel_topic
from modules.messaging.gateway.resumption import Resumption
from modules.messaging.store import members
from modules.messaging.store.members import Members
from realtime.connection import Connection
from realtime.hub import Hub

log = structlog.get_logger(__name__)

POLL_S = 2.0
DOUBTFUL_POLL_S = 0.5
"""While other instances are known to be out of reach."""
GATHER_S = 0.03
"""In which what this process has committed itself is announced, and needs no reading; and many changes become one."""
RETRY_S = 0.1
CHUNK = 5_000


class Reconciler:
    """Runs beside the gateway; `start` it once, and `stop` it."""

    def __init__(
        self, *, database: Database, hub: Hub, broadcast: Broadcast, resumption: Resumption, poll: bool
    ) -> None:
        self._database = database
        self._hub = hub
        self._broadcast = broadcast
        self._resumption = resumption
        self._polls = poll
        self._changed: set[UUID] = set()
        self._everything = False
        self._awake = asyncio.Event()
        self._look = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        hub.on_doubt(self._look.set)

    def membership_changed(self, channel_id: str) -> None:
        """Look who takes part in a channel."""
        self._changed.add(UUID(channel_id))
        self._awake.set()

    def anything_changed(self) -> None:
        """Look who takes part in what: notifications may have been lost."""
        self._everything = True
        self._awake.set()

    def start(self) -> None:
        """Begin."""
        self._run(self._memberships())
        if self._polls:
            self._run(self._heads())

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _memberships(self) -> None:
        while True:
            await self._awake.wait()
            await asyncio.sleep(GATHER_S)
            self._awake.clear()
            changed, self._changed = self._changed, set()
            everything, self._everything = self._everything, False
            try:
                await self._reconcile(None if everything else changed)
            except Exception as error:
                if not isinstance(error, UnavailableError):
                    log.exception("reconciling_failed")
                self._changed |= changed
                self._everything |= everything
                await asyncio.sleep(RETRY_S)
                self._awake.set()

    async def _heads(self) -> None:
        while True:
            with suppress(TimeoutError):
                pause = POLL_S if self._hub.backplane.connected else DOUBTFUL_POLL_S
                async with asyncio.timeout(pause):  # not `wait_for`, which may swallow a cancellation until Python 3.12
                    await self._look.wait()
            self._look.clear()
            try:
                await self._look_at_heads()
            except UnavailableError:
                continue
            except Exception:
                log.exception("looking_at_heads_failed")

    async def _look_at_heads(self) -> None:
        followed = self._broadcast.feeds.channels
        for start in range(0, len(followed), CHUNK):
            async with self._database.connection() as connection:
                heads = await members.last_seqs(connection, followed[start : start + CHUNK])
            self._broadcast.feeds.reach_all(heads)

    async def _reconcile(self, channels: Collection[UUID] | None) -> None:
        """Compare these channels (None: all that concern somebody here) with what is listened to."""
        began = time.monotonic()
        here = {connection.user_id for connection in self._hub.connections}
        async with self._database.connection() as connection:
            if channels is None:
                channels = set(self._broadcast.feeds.channels) | await members.channels_of_all(connection, here)
            found = await members.members_of(connection, channels)
        for channel_id in channels:
            known = found.get(channel_id)
            if known is not None:
                self._reconcile_one(channel_id, known, began)

    def _reconcile_one(self, channel_id: UUID, found: Members, began: float) -> None:
        topic = channel_topic(channel_id)
        present = self._hub.listeners(topic)
        self._broadcast.feeds.reach(channel_id, found.last_seq)
        for connection in present:
            if connection.user_id not in found.joined:
                leave = partial(self._let_go, connection, channel_id, began)
                self._broadcast.feeds.after(channel_id, found.last_seq, leave)
        for connection in self._strangers(found.joined, present):
            if connection.joining:
                self._again(channel_id)
            else:
                self._run(self._let_in(connection, channel_id, max(0, found.joined[connection.user_id] - 1)))

    def _let_go(self, connection: Connection, channel_id: UUID, began: float) -> None:
        """Let somebody hear a channel no more; whoever began to hear since that was read may be back: look again."""
        if connection.subscribed_at < began:
            self._hub.unsubscribe(connection, channel_topic(channel_id))
        else:
            self._again(channel_id)

    def _strangers(self, joined: Mapping[str, int], present: Collection[Connection]) -> Iterable[Connection]:
        for user_id in joined:
            for connection in self._hub.connections_of(user_id):
                if connection not in present and not connection.closed:
                    yield connection

    def _again(self, channel_id: UUID) -> None:
        asyncio.get_running_loop().call_later(RETRY_S, self.membership_changed, str(channel_id))

    async def _let_in(self, connection: Connection, channel_id: UUID, after: int) -> None:
        """Let somebody hear a channel that they joined on another instance, from the record after `after` on.

        When the database is away meanwhile, they are let in once more when it is back.
        """
        topic = channel_topic(channel_id)
        if topic in connection.topics:  # the feed came to their joining first
            return
        connection.hold(topic)
        self._hub.subscribe(connection, topic)
        try:
            await self._hub.backplane.settled()
            await self._resumption.catch_up(connection, channel_id, after)
        except UnavailableError:
            self._hub.unsubscribe(connection, topic)
            self._again(channel_id)
        finally:
            connection.release(topic, 0)

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
