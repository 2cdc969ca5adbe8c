"""Channels over HTTP."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from litestar import Request, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from kernel.auth import Principal
from kernel.database import Transaction
from kernel.errors import ConflictError, TooManyRequestsError
from kernel.http.access import USER, refuses, who
from kernel.http.idempotency import Idempotency, IdempotencyKey
from kernel.http.parameters import HostIdInPath
from modules.messaging.errors import ClosedError, NotContactsError
from modules.messaging.schemas.channels import (
    ChannelDetail,
    ChannelSettings,
    ParticipantView,
    PatchChannel,
    PatchParticipant,
    PostDirect,
    PostGroup,
    PostParticipant,
    PutSettings,
)
from modules.messaging.service.channels import Channels
from modules.messaging.service.groups import Groups
from modules.messaging.service.opening import Made, Once, Opening


@post(
    "/api/channels/direct",
    opt=who(USER) | refuses(NotContactsError, TooManyRequestsError),
    operation_id="openDirectChannel",
    summary="The direct channel with somebody",
    tags=["Channels"],
)
async def open_direct(
    request: Request[Principal, Any, Any],
    data: JSONBody[PostDirect],
    opening: NamedDependency[Opening],
    channels: NamedDependency[Channels],
    idempotency: NamedDependency[Idempotency],
    idempotency_key: IdempotencyKey = None,
) -> Response[ChannelDetail]:
    """There is one for each pair: 201 when it was made by this request, 200 when it was there.

    With `PARLEY_REQUIRE_CONTACT` the two must be contacts, also where they have a channel from before. Without it, who
    is blocked, whichever of the two blocks the other, looks like somebody unknown.
    """
    caller = request.user.id
    made = await opening.direct(caller, data.user_id, _once(idempotency, request, idempotency_key))
    return Response(await channels.detail(caller, made.channel_id), status_code=_status(made))


@post(
    "/api/channels/group",
    opt=who(USER) | refuses(NotContactsError, TooManyRequestsError),
    operation_id="createGroup",
    summary="Make a group",
    tags=["Channels"],
)
async def create_group(
    request: Request[Principal, Any, Any],
    data: JSONBody[PostGroup],
    opening: NamedDependency[Opening],
    channels: NamedDependency[Channels],
    idempotency: NamedDependency[Idempotency],
    idempotency_key: IdempotencyKey = None,
) -> ChannelDetail:
    """The caller is its `admin`, the others are `member`s. At most `PARLEY_MAX_PARTICIPANTS`, with the caller.

    With `PARLEY_REQUIRE_CONTACT` all must be contacts of the caller's.
    """
    caller = request.user.id
    made = await opening.group(caller, data, _once(idempotency, request, idempotency_key))
    return await channels.detail(caller, made.channel_id)


@get(
    "/api/channels/{channel_id:uuid}",
    opt=who(USER),
    operation_id="getChannel",
    summary="A channel and its participants",
    tags=["Channels"],
)
async def get_channel(
    channel_id: FromPath[UUID], caller: NamedDependency[Principal], channels: NamedDependency[Channels]
) -> ChannelDetail:
    """In the order in which they joined. People who were deactivated are shown under their pseudonyms."""
    return await channels.detail(caller.id, channel_id)


@patch(
    "/api/channels/{channel_id:uuid}",
    opt=who(USER) | refuses(ConflictError, ClosedError, TooManyRequestsError),
    operation_id="changeChannel",
    summary="Another title or status for a group",
    tags=["Channels"],
)
async def change_channel(
    channel_id: FromPath[UUID],
    data: JSONBody[PatchChannel],
    caller: NamedDependency[Principal],
    groups: NamedDependency[Groups],
    channels: NamedDependency[Channels],
) -> ChannelDetail:
    """Its admins only. What is left out stays; null isn't accepted. `archived` closes it for writing.

    An archived group can be reopened and left; all else answers 409.
    """
    await groups.patch(caller.id, channel_id, data)
    return await channels.detail(caller.id, channel_id)


@put(
    "/api/channels/{channel_id:uuid}/settings",
    opt=who(USER),
    operation_id="putChannelSettings",
    summary="One's own settings for a channel",
    tags=["Channels"],
)
async def put_settings(
    channel_id: FromPath[UUID],
    data: JSONBody[PutSettings],
    caller: NamedDependency[Principal],
    channels: NamedDependency[Channels],
) -> ChannelSettings:
    """Nobody is alerted of what a channel says while they have muted it."""
    return await channels.mute(caller.id, channel_id, data.muted_until)


@post(
    "/api/channels/{channel_id:uuid}/participants",
    opt=who(USER) | refuses(ConflictError, ClosedError, NotContactsError, TooManyRequestsError),
    operation_id="addParticipant",
    summary="Add somebody to a group",
    tags=["Channels"],
)
async def add_participant(
    request: Request[Principal, Any, Any],
    channel_id: FromPath[UUID],
    data: JSONBody[PostParticipant],
    groups: NamedDependency[Groups],
    channels: NamedDependency[Channels],
    idempotency: NamedDependency[Idempotency],
    idempotency_key: IdempotencyKey = None,
) -> Response[ParticipantView]:
    """Its admins only. 200 when they are in it already in this role, 409 when in another."""
    caller = request.user.id
    made = await groups.add(caller, channel_id, data, _once(idempotency, request, idempotency_key))
    return Response(await channels.participant(caller, channel_id, data.user_id), status_code=_status(made))


@patch(
    "/api/channels/{channel_id:uuid}/participants/{user_id:str}",
    opt=who(USER) | refuses(ConflictError, ClosedError, TooManyRequestsError),
    operation_id="changeParticipant",
    summary="Another role for somebody in a group",
    tags=["Channels"],
)
async def change_participant(
    channel_id: FromPath[UUID],
    user_id: HostIdInPath,
    data: JSONBody[PatchParticipant],
    caller: NamedDependency[Principal],
    groups: NamedDependency[Groups],
    channels: NamedDependency[Channels],
) -> ParticipantView:
    """Its admins only. The last admin can't become anything else: 409."""
    await groups.change_role(caller.id, channel_id, user_id, data.role)
    return await channels.participant(caller.id, channel_id, user_id)


@delete(
    "/api/channels/{channel_id:uuid}/participants/{user_id:str}",
    opt=who(USER) | refuses(ConflictError, ClosedError, TooManyRequestsError),
    operation_id="removeParticipant",
    summary="Take somebody out of a group, or leave it",
    tags=["Channels"],
)
async def remove_participant(
    channel_id: FromPath[UUID],
    user_id: HostIdInPath,
    caller: NamedDependency[Principal],
    groups: NamedDependency[Groups],
) -> None:
    """Its admins, and everybody themselves. When the last admin leaves, the moderator who has been there longest
    becomes admin, or else the member; when the last participant leaves, the group is archived.
    """
    await groups.remove(caller.id, channel_id, user_id)


HANDLERS: list[HTTPRouteHandler] = [
    open_direct,
    create_group,
    get_channel,
    change_channel,
    put_settings,
    add_participant,
    change_participant,
    remove_participant,
]


def _once(idempotency: Idempotency, request: Request[Principal, Any, Any], key: str | None) -> Once:
    async def once(work: Callable[[Transaction], Awaitable[Made]]) -> Made:
        return await idempotency.once(request, key, work, Made)

    return once


def _status(made: Made) -> int:
    return 201 if made.is_new else 200
