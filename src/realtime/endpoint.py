"""A socket's endpoint: admits, joins, serves and lets go.

Overview: an ASGI application for one path. Each socket is a task that waits for frames; what goes out is written by
whoever has something to say, straight to the transport. An endpoint says what its sessions are, and what joining
takes; the way in, the limits and the way out are the same at all of them. Several endpoints of one process share its
`Entrance`: what it bounds is the process.

Concurrency: single-threaded, on the event loop.

Guarantees:
- A socket is registered before it joins, and is looked at again after that, so that no deactivation is missed.
- Whatever happens, a socket that was registered is dropped, and its session ended.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from litestar import asgi
from litestar.enums import ScopeType
from litestar.types import Receive as AsgiReceive
from litestar.types import Scope, Send

from kernel.auth import Principal
from kernel.errors import NotFoundError, UnavailableError
from kernel.http.access import ANYONE, who
from kernel.settings import Settings
from kernel.telemetry.metrics import SOCKETS
from realtime import closing
from realtime.admission import Admission, Receive, RefusedError
from realtime.company import Company
from realtime.connection import Connection
from realtime.draining import Draining
from realtime.entrance import Entrance, Guest
from realtime.flusher import Flusher
from realtime.refusal import Sender, refuse
from realtime.session import Session
from realtime.socket import Socket, socket_for

log = structlog.get_logger(__name__)

SUBPROTOCOL = "parley.v1"


async def _nothing_pending() -> None:
    """For endpoints that owe nobody an answer."""


class Endpoint(ABC):
    """Serves the sockets of one path."""

    def __init__(
        self,
        name: str,
        *,
        company: Company,
        flusher: Flusher,
        admission: Admission,
        entrance: Entrance,
        settings: Settings,
        settled: Callable[[], Awaitable[None]] = _nothing_pending,
    ) -> None:
        self._open = SOCKETS.labels(name)
        self._company = company
        self._flusher = flusher
        self._admission = admission
        self._entrance = entrance
        self._settings = settings
        self._draining = Draining(company, entrance, settled)

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
        for connection in self._company.connections_of(user_id):
            connection.close(closing.DEACTIVATED, "user deactivated")

    async def drain(self, *, within_s: float) -> None:
        """Take no new sockets and ask the present ones to reconnect; see `Draining`."""
        self._entrance.close()
        await self._draining.run(within_s=within_s)

    @abstractmethod
    def _session(self, connection: Connection, principal: Principal) -> Session[Any]:
        """Return what reacts to the frames of a new connection."""

    @abstractmethod
    async def _join(self, connection: Connection) -> None:
        """Let a registered connection, all of whose frames are held back, hear what it is to hear, and say so.

        Raises:
            UnavailableError: not now.
        """

    async def _attend(self, scope: Any, receive: Receive, socket: Socket, guest: Guest) -> None:
        credential = await self._admission.credential(scope, receive)
        try:
            await guest.turn()
            principal = await self._admission.admit(credential)
        except UnavailableError as error:
            self._entrance.pause(error)
            raise RefusedError(closing.OVERLOADED, error.detail) from None
        if len(self._company.connections_of(principal.id)) >= self._settings.max_sockets_per_user:
            raise RefusedError(closing.TOO_MANY, f"at most {self._settings.max_sockets_per_user} sockets a user")
        limit = self._settings.max_socket_queue_bytes
        connection = Connection(principal.id, socket, flusher=self._flusher, queue_limit=limit)
        await self._serve(connection, principal, receive, guest)

    async def _serve(self, connection: Connection, principal: Principal, receive: Receive, guest: Guest) -> None:
        connection.hold_all()  # as soon as it is registered it may be told something
        self._company.register(connection)
        session = self._session(connection, principal)
        self._open.inc()
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
            self._open.dec()
            session.end()
            self._company.drop(connection)

    async def _listen(self, connection: Connection, session: Session[Any], receive: Receive) -> None:
        """Handle frames one by one. Who is sent elsewhere isn't heard any more, and sends it again there."""
        while not connection.closed:
            event = await receive()
            if event["type"] != "websocket.receive":
                break
            with self._draining.hearing(connection) as heard:
                if heard:
                    await session.receive(event.get("text"))


def socket_route(path: str, endpoint: Endpoint) -> Any:
    """Return the route of an endpoint; who may connect is its own business."""

    @asgi(path, opt=who(ANYONE), copy_scope=False)
    async def serve(scope: Scope, receive: AsgiReceive, send: Send) -> None:
        if scope["type"] != ScopeType.WEBSOCKET:
            raise NotFoundError("Connect with a WebSocket client")
        await endpoint(scope, receive, send)

    return serve
