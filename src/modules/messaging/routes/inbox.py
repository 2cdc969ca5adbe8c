"""The inbox over HTTP."""

from typing import Annotated, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from kernel.auth import Principal
from kernel.http.access import USER, who
from kernel.http.parameters import Cursor, Limit
from modules.messaging.schemas.channels import ChannelPage
from modules.messaging.service.inbox import Inbox
from modules.messaging.store.inbox import Filter


@get(
    "/api/channels",
    opt=who(USER),
    operation_id="listChannels",
    summary="One's channels, newest message first",
    tags=["Channels"],
)
async def list_channels(
    caller: NamedDependency[Principal],
    inbox: NamedDependency[Inbox],
    kind: Annotated[Literal["context", "direct", "group"] | None, QueryParameter(description="Only these")] = None,
    *,
    unread: Annotated[bool, QueryParameter(description="Only those with unread messages")] = False,
    archived: Annotated[bool, QueryParameter(description="Only the archived ones, instead of the active ones")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ChannelPage:
    """Channels without messages stand where they were made. A channel that gets a message moves to the front."""
    wanted = Filter(kind=kind, unread=unread, archived=archived)
    return await inbox.page(caller.id, wanted, limit=limit, cursor=cursor)


HANDLERS: list[HTTPRouteHandler] = [list_channels]
