"""The chat socket's endpoint: admits, joins, serves and lets go.

Overview: an ASGI application for one path. Each socket is a task that waits for frames; what goes out is written by
the hub, straight to the transport.

Guarantees:
- Joining is free of races: the connection hears live frames (held back) before the log's heads are read for `ready`;
  what was committed before that reading is covered by the heads, what came after is let through.
- Removal from a channel takes effect in the same step in which its record is announced.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from kernel.auth import Principal
from kernel.clock import now, rfc3339
from kernel.database import Database
from kernel.errors import UnavailableError
from kernel.settings import Settings
from kernel.telemetry.metrics import SOCKETS
from modules.messaging.gateway import closing
from modules.messaging.gateway import server_frames as server
from modules.messaging.gateway.admission import Admission, Receive, RefusedError
from modules.messaging.gateway.broadcast import Broadcast, channel_of, channel_topic
from modules.messaging.gateway.draining import Draining
from modules.messaging.gateway.entrance import Entrance, Guest
from modules.messaging.gateway.refusal import Sender, refuse
from modules.messaging.gateway.resumption import Resumption
from modules.messaging.gateway.session import Services, Session
from modules.messaging.store import members
from realtime.connection import Connection
from realtime.hub import Hub
from realtime.socket import Socket, socket_for

log = structlog.get_logger(__name__)

SUBPROTOCOL = "parley.v1"
CHANNELS_IN_READY = 200


class Gateway:
    """Serves `/ws/chat`."""

    def __init__(
        self,
        *,
        database: Database,
        hub: Hub,
        broadcast: Broadcast,
        resumption: Resumption,
        services: Services,
        admission: Admission,
        settled: Callable[[], Awaitable[None]],
        settings: Settings,
    ) -> None:
        self._database = database
        self._hub = hub
        self._admission = admission
        self._settings = settings
        self._broadcast = broadcast
        self._resumption = resumption
        self._services = services
        self._entrance = Entrance(
            max_sockets=settings.max_sockets,
            max_joining=settings.max_joining,
            turns=max(1, settings.database_pool_size // 2),
        )
        self._draining = Draining(hub, settled)
        self._limits = server.Limits(
            message_chars=settings.max_message_chars,
            frame_bytes=settings.max_frame_bytes,
            messages_per_s=settings.messages_per_s,
            message_burst=settings.message_burst,
            sockets_per_user=settings.max_sockets_per_user,
        )

    async def __call__(self, scope: Any, receive: Receive, send: Sender) -> None:
        """Serve one socket from its handshake to its end."""
        await receive()
        refusal = self._entrance.refusal()
        if refusal is not None:
            await refuse(scope, send, refusal)
            return
        with self._entrance.guest() as guest:
            offered = scope.get("subprotocols", [])
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if SUBPROTOCOL in offered else None})
            socket = socket_for(scope, send)
            try:
                await self._attend(scope, receive, socket, guest)
            except RefusedError as refused:
                socket.close(refused.code, refused.reason)
            finally:
                await socket.finish()

    def close_user(self, user_id: str) -> None:
        """Close every socket of somebody who was deactivated."""
        for connection in self._hub.connections_of(user_id):
            connection.close(closing.DEACTIVATED, "user deactivated")

    async def drain(self, *, within_s: float) -> None:
        """Take no new sockets and ask the present ones to reconnect; see `Draining`."""
        self._entrance.close()
        await self._draining.run(within_s=within_s)

    async def _attend(self, scope: Any, receive: Receive, socket: Socket, guest: Guest) -> None:
        credential = await self._admission.credential(scope, receive)
        try:
            await guest.turn()
            principal = await self._admission.admit(credential)
        except UnavailableError as error:
            self._entrance.pause(error)
            raise RefusedError(closing.OVERLOADED, error.detail) from None
        if len(self._hub.connections_of(principal.id)) >= self._settings.max_sockets_per_user:
            raise RefusedError(closing.TOO_MANY, f"at most {self._settings.max_sockets_per_user} sockets a user")
        limit = self._settings.max_socket_queue_bytes
        connection = Connection(principal.id, socket, flusher=self._hub.flusher, queue_limit=limit)
        await self._serve(connection, principal, receive, guest)

    async def _serve(self, connection: Connection, principal: Principal, receive: Receive, guest: Guest) -> None:
        connection.hold_all()  # as soon as it is registered it may be let into channels
        self._hub.register(connection)
        session = Session(self._services, connection, principal)
        SOCKETS.labels("chat").inc()
        try:
            await self._admission.check_active(principal.id)
            await self._join(connection)
            guest.joined()
            await self._listen(connection, session, receive)
        except RefusedError as error:
            connection.close(error.code, error.reason)
        except UnavailableError as error:
            self._entrance.pause(error)
            connection.close(closing.OVERLOADED, error.detail)
        except Exception:
            log.exception("session_failed", connection_id=str(connection.id))
            connection.close(closing.INTERNAL, "internal error")
        finally:
            SOCKETS.labels("chat").dec()
            session.end()
            self._hub.drop(connection)

    async def _listen(self, connection: Connection, session: Session, receive: Receive) -> None:
        """Handle frames one by one. Who is sent elsewhere isn't heard any more, and sends it again there."""
        while not connection.closed:
            event = await receive()
            if event["type"] != "websocket.receive":
                break
            with self._draining.hearing(connection) as heard:
                if heard:
                    await session.receive(event.get("text"))

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
