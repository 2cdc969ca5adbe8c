"""Marks over HTTP."""

from uuid import UUID

from litestar import put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from kernel.auth import Principal
from kernel.http.access import USER, who
from modules.messaging.schemas.marks import Marks, PutMark
from modules.messaging.service.marking import Marking


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
    marking: NamedDependency[Marking],
) -> Marks:
    """Moves forward only, never past the head; also counts as delivered."""
    return await marking.mark(caller.id, channel_id, data.seq, read=True)


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
    marking: NamedDependency[Marking],
) -> Marks:
    """Moves forward only, never past the head."""
    return await marking.mark(caller.id, channel_id, data.seq, read=False)


HANDLERS: list[HTTPRouteHandler] = [mark_read, mark_delivered]
