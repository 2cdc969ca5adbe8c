"""Identity over HTTP."""

from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response, Router, delete, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from kernel.auth import Principal
from kernel.clock import rfc3339
from kernel.database import Transaction
from kernel.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    TooManyRequestsError,
    UnavailableError,
    undecodable,
)
from kernel.http.access import ANYONE, USER, key, refuses, who
from kernel.http.idempotency import Idempotency, IdempotencyKey
from kernel.http.parameters import HostIdInPath
from modules.identity.schemas import (
    BatchReply,
    BatchResult,
    ConnectPin,
    LoginReply,
    LoginRequest,
    Me,
    TokenReply,
    TokenRequest,
    User,
    UserBatch,
    UserBody,
    UserEntry,
)
from modules.identity.service import Outcome, People
from modules.identity.store import Saved
from modules.identity.tokens import Grant, Tokens

DEV_LOGIN_TOKEN_S = 86_400


@put(
    "/api/users/{user_id:str}",
    opt=who(key("users")) | refuses(ConflictError),
    operation_id="putUser",
    summary="Create or replace a person",
)
async def put_user(user_id: HostIdInPath, data: JSONBody[UserBody], people: NamedDependency[People]) -> Response[User]:
    """The body is the whole wanted profile: what is left out is emptied.

    201 when the person is new; 200 otherwise. The host is the authority, so somebody deactivated comes back:
    as new, with a fresh profile and pin. The ids `me`, `batch` and `login` are reserved.
    """
    entry = UserEntry(user_id=user_id, **msgspec.structs.asdict(data))
    saved = await people.put(entry)
    return Response(
        User.of(entry, saved.created_at, saved.updated_at),
        status_code=201 if saved.status == "created" else 200,
    )


@post(
    "/api/users/batch",
    opt=who(key("users")),
    operation_id="putUsers",
    summary="Create or replace up to 100 people",
    status_code=200,
)
async def put_users(data: JSONBody[UserBatch], people: NamedDependency[People]) -> BatchReply:
    """A result for each entry, in their order; a bad entry fails alone. Pointers lead into the whole body."""
    read = [_entry(item) for item in data.users]
    entries = [item for item in read if isinstance(item, UserEntry)]
    outcomes = iter(await people.put_all(entries))
    settled = [next(outcomes) if isinstance(item, UserEntry) else item for item in read]
    return BatchReply(
        [_result(index, data.users[index], outcome) for index, outcome in enumerate(settled)],
    )


@get("/api/users/me", opt=who(USER), operation_id="getMe", summary="One's own profile")
async def get_me(caller: NamedDependency[Principal], people: NamedDependency[People]) -> Me:
    """With the connect pin, which lets others send one an invitation."""
    return await people.me(caller.id)


@put(
    "/api/users/me/connect-pin",
    opt=who(USER) | refuses(NotFoundError, TooManyRequestsError),
    operation_id="renewConnectPin",
    summary="A new connect pin",
)
async def renew_connect_pin(caller: NamedDependency[Principal], people: NamedDependency[People]) -> ConnectPin:
    """The old one finds nobody any more, from the answer on. At most three at once, and one every 20 seconds."""
    return ConnectPin(await people.renew_pin(caller.id))


@delete("/api/users/{user_id:str}", opt=who(key("users")), operation_id="deactivateUser", summary="Deactivate")
async def deactivate_user(user_id: HostIdInPath, people: NamedDependency[People]) -> None:
    """Tokens are refused, sockets closed, the profile is erased; what they wrote stays, under a pseudonym."""
    await people.deactivate(user_id)


@post(
    "/api/tokens",
    opt=who(key("tokens")) | refuses(NotFoundError, ConflictError),
    operation_id="mintToken",
    summary="Mint a token for a person",
)
async def mint_token(
    request: Request[Principal, Any, Any],
    data: JSONBody[TokenRequest],
    tokens: NamedDependency[Tokens],
    idempotency: NamedDependency[Idempotency],
    idempotency_key: IdempotencyKey = None,
) -> TokenReply:
    """For hosts that don't sign tokens themselves. 409 where only the host's own keys are configured."""
    grant = await tokens.grant(data.user_id, expires_in_s=data.expires_in_s, role=data.role)

    async def remembered(_tx: Transaction) -> Grant:
        return grant

    if idempotency_key is not None:
        grant = await idempotency.once(request, idempotency_key, remembered, Grant)
    return _token_reply(tokens, grant)


@post(
    "/api/users/login",
    opt=who(ANYONE) | refuses(UnavailableError),
    operation_id="login",
    summary="Development only: become anybody",
    status_code=200,
)
async def login(
    data: JSONBody[LoginRequest], people: NamedDependency[People], tokens: NamedDependency[Tokens]
) -> LoginReply:
    """Get or create the person with this username. Exists only with `PARLEY_DEV_LOGIN=true`."""
    me = await people.get_or_create(data.username, data.display_name)
    grant = await tokens.grant(me.user_id, expires_in_s=DEV_LOGIN_TOKEN_S)
    return LoginReply(user=me, token=tokens.sign(grant))


@post("/api/users/login", opt=who(ANYONE), include_in_schema=False)
async def no_login() -> None:
    """Answer as for any path that doesn't exist."""
    raise NotFoundError


def routes(people: People, tokens: Tokens, idempotency: Idempotency, *, dev_login: bool) -> list[Router]:
    """Return identity's routes."""
    handlers: list[HTTPRouteHandler] = [put_user, put_users, get_me, renew_connect_pin, deactivate_user, mint_token]
    return [
        Router(
            path="/",
            route_handlers=[*handlers, login if dev_login else no_login],
            dependencies={
                "people": _given(people),
                "tokens": _given(tokens),
                "idempotency": _given(idempotency),
            },
            tags=["Identity"],
        )
    ]


T = TypeVar("T")


def _given(value: T) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


def _entry(item: object) -> UserEntry | MalformedError:
    try:
        return msgspec.convert(item, UserEntry)
    except msgspec.ValidationError as error:
        return undecodable(error)


def _result(index: int, item: object, outcome: Outcome) -> BatchResult:
    user_id = item.get("user_id") if isinstance(item, dict) else None
    user_id = user_id if isinstance(user_id, str) else None
    if isinstance(outcome, Saved):
        return BatchResult(user_id, outcome.status)
    problem = outcome.problem()
    prefix = f"/users/{index}"
    errors = [msgspec.structs.replace(one, pointer=prefix + one.pointer) for one in problem.errors or []]
    return BatchResult(user_id, "error", msgspec.structs.replace(problem, errors=errors or None))


def _token_reply(tokens: Tokens, grant: Grant) -> TokenReply:
    return TokenReply(tokens.sign(grant), rfc3339(datetime.fromtimestamp(grant.expires_at, UTC)))
