"""Messaging's face: what `app` wires."""

from collections.abc import Sequence
from typing import Any

from litestar import asgi
from litestar.enums import ScopeType
from litestar.types import ControllerRouterHandler, Receive, Scope, Send

from bus import Bus
from kernel.auth import Authenticator
from kernel.database import Database
from kernel.errors import NotFoundError
from kernel.http.access import ANYONE, who
from kernel.settings import Settings
from modules.messaging.contexts import Contexts
from modules.messaging.conversations import Conversations
from modules.messaging.gateway.admission import Admission
from modules.messaging.gateway.broadcast import Broadcast
from modules.messaging.gateway.contract import CHAT
from modules.messaging.gateway.gateway import Gateway
from modules.messaging.ports import People
from modules.messaging.routes import router
from modules.messaging.service import Messaging
from modules.messaging.tickets import Tickets
from modules.messaging.writer import Writer
from realtime.hub import Hub


class MessagingModule:
    """Contexts, channels, messages and the chat socket."""

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        bus: Bus,
        hub: Hub,
        people: People,
        authenticator: Authenticator,
    ) -> None:
        broadcast = Broadcast(hub)
        tickets = Tickets(database)
        self.conversations = Conversations(database)
        self.writer = Writer(database, bus, broadcast)
        self.messaging = Messaging(database, people, self.writer, settings)
        contexts = Contexts(database, bus, people, broadcast, max_participants=settings.max_participants)
        self.gateway = Gateway(
            database=database,
            hub=hub,
            messaging=self.messaging,
            authenticator=authenticator,
            admission=Admission(authenticator=authenticator, tickets=tickets, people=people, settings=settings),
            settled=self.writer.settled,
            settings=settings,
        )
        self.routes: Sequence[ControllerRouterHandler] = [
            router(contexts, self.messaging, tickets),
            _socket(self.gateway),
        ]

        self.sockets = (CHAT,)

    async def start(self) -> None:
        """Begin to write."""
        self.writer.start()

    async def stop(self) -> None:
        """Finish what is queued."""
        await self.writer.stop()


def _socket(gateway: Gateway) -> Any:
    @asgi("/ws/chat", opt=who(ANYONE), copy_scope=False)
    async def chat_socket(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.WEBSOCKET:
            raise NotFoundError("Connect with a WebSocket client")
        await gateway(scope, receive, send)

    return chat_socket
