"""Tickets over HTTP."""

from litestar import post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler

from kernel.auth import Principal
from kernel.http.access import USER, who
from modules.messaging.schemas.tickets import Ticket
from modules.messaging.tickets import Tickets


@post(
    "/api/ws/tickets",
    opt=who(USER),
    operation_id="createSocketTicket",
    summary="A single-use ticket for a socket",
    tags=["Sockets"],
)
async def create_ticket(caller: NamedDependency[Principal], tickets: NamedDependency[Tickets]) -> Ticket:
    """Good for one connection within 30 s; the socket ends when the token that bought the ticket does."""
    return await tickets.issue(caller)


HANDLERS: list[HTTPRouteHandler] = [create_ticket]
