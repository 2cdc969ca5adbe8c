"""Blocks over HTTP."""

from litestar import delete, get, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler

from kernel.auth import Principal
from kernel.http.access import USER, refuses, who
from kernel.http.parameters import Cursor, HostIdInPath, Limit
from modules.contacts.errors import TooManyBlocksError
from modules.contacts.schemas.contacts import BlockPage
from modules.contacts.service.blocking import Blocking

TAGS = ["Contacts"]


@get("/api/blocks", opt=who(USER), operation_id="listBlocks", summary="Whom one blocks, newest first", tags=TAGS)
async def list_blocks(
    caller: NamedDependency[Principal],
    blocking: NamedDependency[Blocking],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> BlockPage:
    """With the names of those with whom there was an invitation, either way; of others there is the id alone."""
    return await blocking.page(caller.id, limit=limit, cursor=cursor)


@put(
    "/api/blocks/{user_id:str}",
    opt=who(USER) | refuses(TooManyBlocksError),
    operation_id="block",
    summary="Block somebody",
    tags=TAGS,
    status_code=204,
)
async def block(user_id: HostIdInPath, caller: NamedDependency[Principal], blocking: NamedDependency[Blocking]) -> None:
    """The two are no contacts any more, their direct channel is archived, and invitations that wait between them end.
    To the other it looks as if the caller weren't there. At most 10,000; an id that nobody has can be blocked, too.
    """
    await blocking.block(caller.id, user_id)


@delete("/api/blocks/{user_id:str}", opt=who(USER), operation_id="unblock", summary="Block somebody no more", tags=TAGS)
async def unblock(
    user_id: HostIdInPath, caller: NamedDependency[Principal], blocking: NamedDependency[Blocking]
) -> None:
    """They don't become contacts again by it. Without `PARLEY_REQUIRE_CONTACT` their direct channel is open again,
    unless the other blocks the caller, too.
    """
    await blocking.unblock(caller.id, user_id)


HANDLERS: list[HTTPRouteHandler] = [list_blocks, block, unblock]
