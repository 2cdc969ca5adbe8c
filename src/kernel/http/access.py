"""Who may call what. Every route says so (`opt={"who": …}`), and one guard checks it before anything is parsed.

A route that says nothing is refused to everybody: forgetting is safe.
"""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from kernel.auth import Authenticator, Principal
from kernel.errors import ForbiddenError, ParleyError, UnauthenticatedError
from kernel.ratelimit import RateLimit

AUTHENTICATOR = "parley_authenticator"
REQUESTS = "parley_requests"
"""Under these names the application's state holds who knows the callers, and how much each person may ask."""

ANYONE = "anyone"
USER = "user"
ADMIN = "admin"


def key(scope: str) -> str:
    """Return the word for "an API key with this scope"."""
    return f"key:{scope}"


def who(*kinds: str) -> dict[str, Any]:
    """Return the `opt` that lets these callers in: `who(USER)`, `who(key("contexts"), USER)`."""
    return {"who": frozenset(kinds)}


def refuses(*errors: type[ParleyError]) -> dict[str, Any]:
    """Name refusals to publish that don't follow from the route; joined to its `who` with `|`."""
    return {"refuses": errors}


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Authenticate the caller, then let in whom the route names.

    Raises:
        UnauthenticatedError: no credentials, or bad ones.
        ForbiddenError: a caller of another kind, role or scope.
        TooManyRequestsError: a person who asks too much; hosts ask for many people, and are not limited.
    """
    allowed: frozenset[str] = handler.opt.get("who", frozenset())
    if ANYONE in allowed:
        return
    authenticator: Authenticator = connection.app.state[AUTHENTICATOR]
    principal = await authenticator.authenticate(_bearer(connection.headers.get("authorization", "")))
    if not any(_is(principal, kind) for kind in allowed):
        raise ForbiddenError("These credentials don't allow this call")
    requests: RateLimit | None = connection.app.state.get(REQUESTS)
    if requests is not None and principal.kind == "user":
        requests.take(principal.id)
    connection.scope["user"] = principal


def provide_caller(request: Request[Principal, Any, Any]) -> Principal:
    """Dependency `caller`: who the guard let in."""
    return request.user


def _bearer(header: str) -> str:
    scheme, _, credential = header.partition(" ")
    if scheme.lower() != "bearer" or not credential:
        raise UnauthenticatedError("Expected the header Authorization: Bearer …")
    return credential.strip()


def _is(principal: Principal, kind: str) -> bool:
    if kind.startswith("key:"):
        return principal.may(kind.removeprefix("key:"))
    if principal.kind != "user":
        return False
    return principal.takes_part if kind == USER else principal.role == kind
