"""Search over HTTP."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from kernel.auth import Principal
from kernel.errors import NotFoundError, TooManyRequestsError
from kernel.http.access import USER, refuses, who
from kernel.http.parameters import ChannelInQuery, Cursor, Limit, uuid_or_none
from kernel.text import NO_NUL
from modules.messaging.schemas.base import CONTEXT_TYPE
from modules.messaging.schemas.search import SearchPage
from modules.messaging.search.cursors import position_of
from modules.messaging.search.query import MAX_QUERY_CHARS, MAX_TERMS
from modules.messaging.search.searching import Searching, Where

ABOUT_Q = (
    f"At most {MAX_TERMS} words, which a message must all have. Each is found as the beginning of a word, in scripts "
    "without spaces anywhere; case and accents don't matter"
)


@get(
    "/api/search",
    opt=who(USER) | refuses(NotFoundError, TooManyRequestsError),
    operation_id="searchMessages",
    summary="Messages in one's own channels, newest first",
    tags=["Search"],
)
async def search_messages(
    q: Annotated[str, QueryParameter(min_length=1, max_length=MAX_QUERY_CHARS, pattern=NO_NUL, description=ABOUT_Q)],
    caller: NamedDependency[Principal],
    searching: NamedDependency[Searching],
    channel_id: ChannelInQuery = None,
    context_type: Annotated[
        str | None, QueryParameter(pattern=CONTEXT_TYPE, description="Only channels of such contexts")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> SearchPage:
    """As messages are now: revised ones by their last content, deleted ones not at all."""
    before = None if cursor is None else position_of(cursor)
    return await searching.find(caller.id, q, Where(uuid_or_none(channel_id), context_type), before=before, limit=limit)


HANDLERS: list[HTTPRouteHandler] = [search_messages]
