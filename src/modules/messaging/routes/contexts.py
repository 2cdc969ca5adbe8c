"""Contexts over HTTP."""

from typing import Annotated

import msgspec
from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, PathParameter

from kernel.auth import Principal
from kernel.errors import FieldError, MalformedError
from kernel.http.access import USER, key, refuses, who
from kernel.http.parameters import HostIdInPath
from kernel.text import holds_nul
from modules.messaging.contexts import Contexts
from modules.messaging.routes.sent import WRITING, sent
from modules.messaging.schemas.base import CONTEXT_TYPE
from modules.messaging.schemas.contexts import METADATA_BYTES, ContextView, PutContext
from modules.messaging.schemas.messages import Message, PostMessage
from modules.messaging.service.writing import Writing
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
) -> Response[ContextView]:
    """The whole wanted state; the difference to the present becomes membership records of the channel's log."""
    _check_metadata(data)
    created = await contexts.put(context_type, context_id, data)
    view = await contexts.view(context_type, context_id, None)
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
    contexts: NamedDependency[Contexts],
) -> ContextView:
    """`channel` is null until the first message."""
    return await contexts.view(context_type, context_id, None if caller.kind == "key" else caller.id)


@post(
    "/api/contexts/{context_type:str}/{context_id:str}/messages",
    opt=who(USER) | refuses(*WRITING),
    operation_id="postContextMessage",
    summary="Write into a context's conversation",
    tags=["Messages"],
)
async def post_context_message(
    context_type: ContextTypeInPath,
    context_id: HostIdInPath,
    data: JSONBody[PostMessage],
    caller: NamedDependency[Principal],
    writing: NamedDependency[Writing],
) -> Response[Message]:
    """The first message makes the channel, however many race for it. A repeated client_id answers 200."""
    return sent(await writing.send(caller.id, ContextKey(context_type, context_id), data))


HANDLERS: list[HTTPRouteHandler] = [put_context, get_context, post_context_message]


def _check_metadata(data: JSONBody[PutContext]) -> None:
    size = len(msgspec.json.encode(data.metadata))
    if size > METADATA_BYTES:
        raise MalformedError("metadata", errors=[FieldError("/metadata", f"at most {METADATA_BYTES} bytes as JSON")])
    if holds_nul(data.metadata):
        raise MalformedError("metadata", errors=[FieldError("/metadata", "U+0000 is not accepted")])
