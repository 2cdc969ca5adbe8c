"""Invitations that there are, over HTTP: reading and answering them."""

from typing import Annotated, Literal
from uuid import UUID

from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter

from kernel.auth import Principal
from kernel.errors import ForbiddenError, malformed_field
from kernel.http.access import USER, refuses, who
from kernel.http.parameters import ChannelInQuery, Cursor, Limit, uuid_or_none
from kernel.text import UTF8
from modules.contacts.errors import InviteClosedError, NotAdmittedError, RemindedTooOftenError
from modules.contacts.events import Invite, InviteKind, InviteStatus
from modules.contacts.schemas.invites import AnsweredAll, InviteDetail, InvitePage, InviteStatistics, PutInvite
from modules.contacts.service.answering import Answering
from modules.contacts.service.listing import Listing
from modules.contacts.service.statistics import Statistics
from modules.contacts.store.listing import Direction, Filter

TAGS = ["Contacts"]

InDirection = Annotated[Direction | None, QueryParameter(name="direction", description="Whose: `received` by default")]
OfStatus = Annotated[InviteStatus | None, QueryParameter(name="status", description="Only these")]
OfKind = Annotated[InviteKind | None, QueryParameter(description="Only these")]
Text = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=100,
        pattern=UTF8,
        description="Part of the other person's username or display name, or of the message, whatever its case",
    ),
]


@get("/api/invites", opt=who(USER), operation_id="listInvites", summary="One's invitations, newest first", tags=TAGS)
async def list_invites(  # noqa: PLR0913 - the filters of the contract
    caller: NamedDependency[Principal],
    listing: NamedDependency[Listing],
    *,
    direction: InDirection = None,
    invite_status: OfStatus = None,
    kind: OfKind = None,
    channel_id: ChannelInQuery = None,
    q: Text = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> InvitePage:
    """Without `direction` and `status`, those that wait for one's answer; with either, of every status that is asked.

    One whose time is over isn't `pending`, also in the second or two until it is `expired`. With `q`, up to 2,000
    invitations are looked through for a page: it may hold few or none, and have a `next`.
    """
    asked = "pending" if direction is None and invite_status is None else invite_status
    wanted = Filter(direction=direction or "received", status=asked, kind=kind, channel_id=uuid_or_none(channel_id))
    return await listing.page(caller.id, wanted, text=q, limit=limit, cursor=cursor)


@get(
    "/api/invites/sent",
    opt=who(USER),
    operation_id="listSentInvites",
    summary="Invitations that one has sent, newest first",
    tags=TAGS,
)
async def list_sent_invites(
    caller: NamedDependency[Principal],
    listing: NamedDependency[Listing],
    *,
    invite_status: OfStatus = None,
    kind: OfKind = None,
    channel_id: ChannelInQuery = None,
    q: Text = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> InvitePage:
    """As `?direction=sent`: of every status."""
    wanted = Filter(direction="sent", status=invite_status, kind=kind, channel_id=uuid_or_none(channel_id))
    return await listing.page(caller.id, wanted, text=q, limit=limit, cursor=cursor)


@get(
    "/api/invites/stats",
    opt=who(USER),
    operation_id="getInviteStatistics",
    summary="Invitations in figures",
    tags=TAGS,
)
async def get_invite_statistics(
    caller: NamedDependency[Principal],
    statistics: NamedDependency[Statistics],
    asked_scope: Annotated[
        Literal["mine", "all"], QueryParameter(name="scope", description="`all`: everybody's; admins only")
    ] = "mine",
    direction: Annotated[Direction | None, QueryParameter(description="Of one's own: `all` by default")] = None,
) -> InviteStatistics:
    """One's own, or for admins those of the deployment."""
    if asked_scope == "mine":
        return await statistics.of(caller.id, direction or "all")
    if caller.role != "admin":
        raise ForbiddenError("Only admins see everybody's figures")
    if direction not in {None, "all"}:
        raise malformed_field("?direction", "only `all` goes with the scope `all`")
    return await statistics.of_all()


@get(
    "/api/invites/{invite_id:uuid}",
    opt=who(USER),
    operation_id="getInvite",
    summary="An invitation and its history",
    tags=TAGS,
)
async def get_invite(
    invite_id: FromPath[UUID], caller: NamedDependency[Principal], listing: NamedDependency[Listing]
) -> InviteDetail:
    """For its two people; to everybody else it isn't there."""
    return await listing.detail(caller.id, invite_id)


@put(
    "/api/invites/{invite_id:uuid}",
    opt=who(USER) | refuses(InviteClosedError, NotAdmittedError, RemindedTooOftenError),
    operation_id="answerInvite",
    summary="Accept, decline, revoke or remind",
    tags=TAGS,
)
async def answer_invite(
    invite_id: FromPath[UUID],
    data: JSONBody[PutInvite],
    caller: NamedDependency[Principal],
    answering: NamedDependency[Answering],
) -> Invite:
    """While it is pending and in time. What has its outcome already can be asked for again: 200, and nothing changes.

    Accepting an invitation into a channel makes one a participant a moment later. The invitor can remind three times at
    most, the automatic reminder among them, and 24 hours after the last one.
    """
    return await answering.act(caller.id, invite_id, data.action)


@post(
    "/api/invites/accept-all",
    opt=who(USER),
    status_code=200,
    operation_id="acceptAllInvites",
    summary="Accept every invitation that waits",
    tags=TAGS,
)
async def accept_all_invites(caller: NamedDependency[Principal], answering: NamedDependency[Answering]) -> AnsweredAll:
    """With a result for each, up to 1,000. One that can't be accepted now stays, and hurts no other."""
    return await answering.answer_all(caller.id, "accept")


@post(
    "/api/invites/decline-all",
    opt=who(USER),
    status_code=200,
    operation_id="declineAllInvites",
    summary="Decline every invitation that waits",
    tags=TAGS,
)
async def decline_all_invites(caller: NamedDependency[Principal], answering: NamedDependency[Answering]) -> AnsweredAll:
    """With a result for each, up to 1,000."""
    return await answering.answer_all(caller.id, "decline")


HANDLERS: list[HTTPRouteHandler] = [
    list_invites,
    list_sent_invites,
    get_invite_statistics,
    get_invite,
    answer_invite,
    accept_all_invites,
    decline_all_invites,
]
