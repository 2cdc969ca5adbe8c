"""Messaging over HTTP."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter

from kernel.auth import Principal
from kernel.errors import FieldError, MalformedError
from kernel.http.access import USER, key, who
from kernel.http.parameters import MAX_SEQ, HostIdInPath, SeqInQuery
from kernel.text import holds_nul
from modules.messaging.contexts import Contexts
from modules.messaging.schemas import (
    CONTEXT_TYPE,
    METADATA_BYTES,
    ContextView,
    LogPage,
    Marks,
    Message,
    MessagePage,
    PostMessage,
    PutContext,
    PutMark,
    Ticket,
)
from modules.messaging.service import Messaging
from modules.messaging.tickets import Tickets
from modules.messaging.writer import ContextKey

ContextTypeInPath = Annotated[str, PathParameter(pattern=CONTEXT_TYPE)]


@put(
    "/api/contexts/{context_type:str}/{context_id:str}",
    opt=who(key("contexts")),
    operation_id="putContext",
    summary="Make a context as the host wants it",
    tags=["Contexts"],
)
async def put_context(
    context_type: ContextTypeInPath,
    context_id: HostIdInPath,
    data: JSONBody[PutContext],
    contexts: NamedDependency[Contexts],
    messaging: NamedDependency[Messaging],
) -> Response[ContextView]:
    """The whole wanted state; the difference to the present becomes membership records of the channel's log."""
    _check_metadata(data)
    created = await contexts.put(context_type, context_id, data)
    view = await messaging.context(context_type, context_id, None)
    return Response(view, status_code=201 if created else 200)


@get(
    "/api/contexts/{context_type:str}/{context_id:str}",
    opt=who(key("contexts"), USER),
    operation_id="getContext",
    summary="A context, its participants and its channel",
    tags=["Contexts"],
)
async def get_context(
    context_type: ContextTypeInPath,
    context_id: HostIdInPath,
    caller: NamedDependency[Principal],
    messaging: NamedDependency[Messaging],
) -> ContextView:
    """`channel` is null until the first message."""
    return await messaging.context(context_type, context_id, None if caller.kind == "key" else caller.id)


@post(
    "/api/contexts/{context_type:str}/{context_id:str}/messages",
    opt=who(USER),
    operation_id="postContextMessage",
    summary="Write into a context's conversation",
    tags=["Messages"],
)
async def post_context_message(
    context_type: ContextTypeInPath,
    context_id: HostIdInPath,
    data: JSONBody[PostMessage],
    caller: NamedDependency[Principal],
    messaging: NamedDependency[Messaging],
) -> Response[Message]:
    """The first message makes the channel, however many race for it. A repeated client_id answers 200."""
    return _sent(*await messaging.send(caller.id, ContextKey(context_type, context_id), data))


@post(
    "/api/channels/{channel_id:uuid}/messages",
    opt=who(USER),
    operation_id="postMessage",
    summary="Write into a channel",
    tags=["Messages"],
)
async def post_message(
    channel_id: FromPath[UUID],
    data: JSONBody[PostMessage],
    caller: NamedDependency[Principal],
    messaging: NamedDependency[Messaging],
) -> Response[Message]:
    """Answers after the commit. A repeated client_id answers 200 with the message that it made."""
    return _sent(*await messaging.send(caller.id, channel_id, data))


@get(
    "/api/channels/{channel_id:uuid}/messages",
    opt=who(USER),
    operation_id="listMessages",
    summary="A channel's messages",
    tags=["Messages"],
)
async def list_messages(
    channel_id: FromPath[UUID],
    caller: NamedDependency[Principal],
    messaging: NamedDependency[Messaging],
    before_seq: SeqInQuery = None,
    after_seq: SeqInQuery = None,
    around_seq: SeqInQuery = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
) -> MessagePage:
    """Texts in ascending order; the newest page when nothing is asked."""
    if sum(bound is not None for bound in (before_seq, after_seq, around_seq)) > 1:
        message = "only one of before_seq, after_seq and around_seq"
        raise MalformedError(message, errors=[FieldError("?before_seq", message)])
    return await messaging.history(
        caller.id, channel_id, before=before_seq, after=after_seq, around=around_seq, limit=limit
    )


@get(
    "/api/channels/{channel_id:uuid}/log",
    opt=who(USER),
    operation_id="readLog",
    summary="A channel's raw records",
    tags=["Messages"],
)
async def read_log(
    channel_id: FromPath[UUID],
    caller: NamedDependency[Principal],
    messaging: NamedDependency[Messaging],
    after_seq: Annotated[int, QueryParameter(ge=0, le=MAX_SEQ)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
) -> LogPage:
    """Every record after `after_seq`, in order, and where the log ends: for catching up."""
    return await messaging.log(caller.id, channel_id, after=after_seq, limit=limit)


@put(
    "/api/channels/{channel_id:uuid}/read",
    opt=who(USER),
    operation_id="markRead",
    summary="Everything up to seq was read",
    tags=["Messages"],
)
async def mark_read(
    channel_id: FromPath[UUID],
    data: JSONBody[PutMark],
    caller: NamedDependency[Principal],
    messaging: NamedDependency[Messaging],
) -> Marks:
    """Moves forward only, never past the head; also counts as delivered."""
    return await messaging.mark(caller.id, channel_id, data.seq, read=True)


@put(
    "/api/channels/{channel_id:uuid}/delivered",
    opt=who(USER),
    operation_id="markDelivered",
    summary="Everything up to seq has arrived",
    tags=["Messages"],
)
async def mark_delivered(
    channel_id: FromPath[UUID],
    data: JSONBody[PutMark],
    caller: NamedDependency[Principal],
    messaging: NamedDependency[Messaging],
) -> Marks:
    """Moves forward only, never past the head."""
    return await messaging.mark(caller.id, channel_id, data.seq, read=False)


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


HANDLERS: list[HTTPRouteHandler] = [
    put_context,
    get_context,
    post_context_message,
    post_message,
    list_messages,
    read_log,
    mark_read,
    mark_delivered,
    create_ticket,
]


def router(contexts: Contexts, messaging: Messaging, tickets: Tickets) -> Router:
    """Return messaging's routes."""
    return Router(
        path="/",
        route_handlers=HANDLERS,
        dependencies={
            "contexts": Provide(lambda: contexts, sync_to_thread=False),
            "messaging": Provide(lambda: messaging, sync_to_thread=False),
            "tickets": Provide(lambda: tickets, sync_to_thread=False),
        },
    )


def _sent(message: Message, created: bool) -> Response[Message]:  # noqa: FBT001 - unpacked from `send`
    return Response(message, status_code=201 if created else 200)


def _check_metadata(data: JSONBody[PutContext]) -> None:
    size = len(msgspec.json.encode(data.metadata))
    if size > METADATA_BYTES:
        raise MalformedError("metadata", errors=[FieldError("/metadata", f"at most {METADATA_BYTES} bytes as JSON")])
    if holds_nul(data.metadata):
        raise MalformedError("metadata", errors=[FieldError("/metadata", "U+0000 is not accepted")])
