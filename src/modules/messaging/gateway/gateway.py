"""The chat socket's endpoint: what joining takes. The rest is that of every endpoint, see `realtime.endpoint`.

Guarantees:
- Joining is free of races: the connection hears live frames (held back) before the log's heads are read for `ready`;
  what was committed before that reading is covered by the heads, what came after is let through.
- Removal from a channel takes effect in the same step in which its record is announced.
"""

from collections.abc import Awaitable, Callable, Iterable
from uuid import UUID

import asyncpg

from kernel.auth import Principal
from kernel.clock import now, rfc3339
from kernel.database import Database
from kernel.settings import Settings
from modules.messaging.gateway import server_frames as server
from modules.messaging.gateway.broadcast import Broadcast, channel_of, channel_topic
from modules.messaging.gateway.session import Services, Session
from modules.messaging.store import members
from realtime.admission import Admission
from realtime.connection import Connection
from realtime.endpoint import Endpoint
from realtime.entrance import Entrance
from realtime.hub import Hub

CHANNELS_IN_READY = 200


class Gateway(Endpoint):
    """Serves `/ws/chat`."""

    def __init__(
        self,
        *,
        database: Database,
        hub: Hub,
        broadcast: Broadcast,
        services: Services,
        admission: Admission,
        entrance: Entrance,
        settled: Callable[[], Awaitable[None]],
        settings: Settings,
    ) -> None:
        super().__init__(
            "chat",
            company=hub,
            flusher=hub.flusher,
            admission=admission,
            entrance=entrance,
            settings=settings,
            settled=settled,
        )
        self._database = database
        self._hub = hub
        self._broadcast = broadcast
        self._resumption = services.resumption
        self._services = services
        self._limits = server.Limits(
            message_chars=settings.max_message_chars,
            frame_bytes=settings.max_frame_bytes,
            messages_per_s=settings.messages_per_s,
            message_burst=settings.message_burst,
            sockets_per_user=settings.max_sockets_per_user,
        )

    def _session(self, connection: Connection, principal: Principal) -> Session:
        return Session(self._services, connection, principal)

    async def _join(self, connection: Connection) -> None:
        """Subscribe first, with frames held back, then read the heads; see the guarantees above.

        Announcements change subscriptions meanwhile. They and what was read agree when the loop ends, and whatever
        changes after that is announced.
        """
        async with self._database.connection() as c:
            self._subscribe_to(connection, await members.channel_ids(c, connection.user_id))
        heads = await self._heads(connection)
        while not self._hears(connection, heads):
            heads = await self._heads(connection)
        connection.send(server.frame(self._ready(connection, heads, await self._resumption.epoch.get())))
        for head in heads:
            connection.hold(channel_topic(head["channel_id"]))
            self._broadcast.release(connection, head["channel_id"], head["last_seq"])
        connection.release_all()

    async def _heads(self, connection: Connection) -> list[asyncpg.Record]:
        await self._hub.backplane.settled()
        async with self._database.connection() as c:
            return await members.heads(c, connection.user_id, CHANNELS_IN_READY)

    def _hears(self, connection: Connection, heads: list[asyncpg.Record]) -> bool:
        """Whether the connection hears these channels, and them only, from these heads on; else it does next time."""
        same = self._subscribe_to(connection, [head["channel_id"] for head in heads])
        started = [self._broadcast.feeds.start(head["channel_id"], head["last_seq"]) for head in heads]
        return same and all(started)

    def _subscribe_to(self, connection: Connection, channels: Iterable[UUID]) -> bool:
        """Make the connection hear these channels only; returns whether it already did."""
        wanted = {channel_topic(channel) for channel in channels}
        present = {topic for topic in connection.topics if channel_of(topic)}
        for topic in present - wanted:
            self._hub.unsubscribe(connection, topic)
        for topic in wanted - present:
            self._hub.subscribe(connection, topic)
        return wanted == present

    def _ready(self, connection: Connection, heads: list[asyncpg.Record], epoch: str) -> server.Ready:
        return server.Ready(
            connection_id=connection.id,
            user_id=connection.user_id,
            epoch=epoch,
            server_time=rfc3339(now()),
            heartbeat_s=self._settings.ws_heartbeat_s,
            limits=self._limits,
            channels=[server.ChannelHead(*head) for head in heads[:CHANNELS_IN_READY]],
            more=len(heads) > CHANNELS_IN_READY,
        )
