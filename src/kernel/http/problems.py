"""Renders every failure as `application/problem+json` (RFC 9457), in one place."""

import http
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from kernel.errors import (
    FieldError,
    ForbiddenError,
    MalformedError,
    NotFoundError,
    ParleyError,
    Problem,
    TooLargeError,
    UnauthenticatedError,
    undecodable,
)
from kernel.http.request_id import request_id_of

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
BY_STATUS: dict[int, type[ParleyError]] = {
    400: MalformedError,
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    413: TooLargeError,
}

def render(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Turn any exception into a problem response; only unexpected ones are logged, with their traceback."""
    known = understood(error)
    if known is None:
        log.error("request_failed", exc_info=error)
        known = ParleyError("Something went wrong here; the request id helps us to find it")
    return Response(
        known.problem(request_id_of(request.scope)),
        status_code=known.status,
        media_type=MEDIA_TYPE,
        headers=dict(known.headers()),
    )


def understood(error: Exception) -> ParleyError | None:
    """Translate the errors of libraries at the edge into ours; None for what nobody expected."""
    if isinstance(error, ParleyError):
        return error
    if isinstance(error, msgspec.MsgspecError | RecursionError):
        return undecodable(error)
    if isinstance(error, ValidationException):
        return _from_validation(error)
    if isinstance(error, HTTPException) and error.status_code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return _from_status(error)
    return None


def _from_validation(error: ValidationException) -> MalformedError:
    extra = error.extra if isinstance(error.extra, list) else []
    if any(item.get("key") == "data" and item.get("message") == "'data'" for item in extra):
        return MalformedError("A JSON body is needed")
    errors = [FieldError(_pointer(item), str(item.get("message", ""))) for item in extra if isinstance(item, dict)]
    return MalformedError("The input is not as documented" if errors else error.detail, errors=errors or None)


def _pointer(item: dict[str, Any]) -> str:
    key, source = str(item.get("key", "")), str(item.get("source", ""))
    if source == "body":
        return "/" + key.replace(".", "/") if key else ""
    return f"?{key}"


def _from_status(error: HTTPException) -> ParleyError:
    kind = BY_STATUS.get(error.status_code)
    if kind is not None:
        return kind("" if kind in {NotFoundError, UnauthenticatedError} else error.detail)
    known = ParleyError(error.detail)
    status = http.HTTPStatus(error.status_code)
    known.status, known.title, known.slug = status.value, status.phrase, status.phrase.lower().replace(" ", "-")  # type: ignore[misc]
    return known
