"""Inviting over HTTP."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from kernel.auth import Principal
from kernel.database import Transaction
from kernel.errors import ConflictError, NotFoundError, ParleyError, undecodable
from kernel.http.access import USER, refuses, who
from kernel.http.idempotency import Idempotency, IdempotencyKey
from modules.contacts.errors import (
    AlreadyContactsError,
    AlreadyInvitedError,
    AlreadyMemberError,
    BlockedByYouError,
    DeclinedBeforeError,
    PersonNotFoundError,
    TemplateNotFoundError,
)
from modules.contacts.events import Invite
from modules.contacts.schemas.inviting import InviteResult, InviteResults, PostInvite, PostInvites
from modules.contacts.service.inviting import Inviting, Work
from modules.contacts.service.limits import Searcher
from modules.contacts.service.outcomes import Invited, Outcome

T = TypeVar("T")

TAGS = ["Contacts"]
REFUSALS = refuses(
    NotFoundError,
    PersonNotFoundError,
    TemplateNotFoundError,
    ConflictError,
    AlreadyContactsError,
    AlreadyInvitedError,
    AlreadyMemberError,
    BlockedByYouError,
    DeclinedBeforeError,
)


@post("/api/invites", opt=who(USER) | REFUSALS, operation_id="invite", summary="Invite somebody", tags=TAGS)
async def invite(
    request: Request[Principal, Any, Any],
    data: JSONBody[PostInvite],
    inviting: NamedDependency[Inviting],
    idempotency: NamedDependency[Idempotency],
    idempotency_key: IdempotencyKey = None,
) -> Response[Invite]:
    """201 with the invitation; 200 with the other one's, now accepted, when they had invited the caller as a contact.

    Nobody by this pin or id, oneself, and somebody who has blocked the caller are answered alike (404), and only so
    many of these an hour. Into a channel only who could add the invitee there invites; they need not be contacts.
    """
    once = _Once(request, idempotency, idempotency_key, _only, Invited)
    invited = await inviting.invite(_searcher(request), [data], once)
    return Response(invited.invite, status_code=201 if invited.status == "created" else 200)


@post(
    "/api/invites/bulk",
    opt=who(USER),
    operation_id="inviteMany",
    summary="Invite up to 100 people",
    tags=TAGS,
    status_code=200,
)
async def invite_many(
    request: Request[Principal, Any, Any],
    data: JSONBody[PostInvites],
    inviting: NamedDependency[Inviting],
    idempotency: NamedDependency[Idempotency],
    idempotency_key: IdempotencyKey = None,
) -> InviteResults:
    """A result for each, in their order, with the problem that it would have had alone; the others stand.

    Pointers lead into the whole body. 429 for all only when the caller's misses of this hour were used up before.
    """
    once = _Once(request, idempotency, idempotency_key, _results, InviteResults)
    return await inviting.invite(_searcher(request), [_entry(item) for item in data.invites], once)


HANDLERS: list[HTTPRouteHandler] = [invite, invite_many]


class _Once(Generic[T]):
    """Answers a request once, with what `read` makes of the outcomes."""

    def __init__(
        self,
        request: Request[Principal, Any, Any],
        idempotency: Idempotency,
        key: str | None,
        read: Callable[[list[Outcome]], T],
        kind: type[T],
    ) -> None:
        self._asked = (request, key)
        self._idempotency = idempotency
        self._read = read
        self._kind = kind

    async def answered(self) -> T | None:
        return await self._idempotency.answered(*self._asked, self._kind)

    async def __call__(self, work: Work) -> T:
        async def answer(tx: Transaction) -> T:
            return self._read(await work(tx))

        return await self._idempotency.once(*self._asked, answer, self._kind)


def _searcher(request: Request[Principal, Any, Any]) -> Searcher:
    return Searcher(request.user.id, request.client.host if request.client else "")


def _entry(item: object) -> PostInvite | ParleyError:
    try:
        return msgspec.convert(item, PostInvite)
    except msgspec.ValidationError as error:
        return undecodable(error)


def _only(outcomes: Sequence[Outcome]) -> Invited:
    (outcome,) = outcomes
    if isinstance(outcome, ParleyError):
        raise outcome
    return outcome


def _results(outcomes: Sequence[Outcome]) -> InviteResults:
    return InviteResults([_result(index, outcome) for index, outcome in enumerate(outcomes)])


def _result(index: int, outcome: Outcome) -> InviteResult:
    if isinstance(outcome, Invited):
        return InviteResult(outcome.status, outcome.invite)
    problem = outcome.problem()
    at = f"/invites/{index}"
    errors = [msgspec.structs.replace(one, pointer=at + one.pointer) for one in problem.errors or ()]
    return InviteResult("error", problem=msgspec.structs.replace(problem, errors=errors or None))
