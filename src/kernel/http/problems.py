"""Renders every failure as `application/problem+json` (RFC 9457), in one place."""

import http
import re
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
PATH = re.compile(r" - at `(?P<path>[^`]*)`\Z")
STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


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
    if isinstance(error, msgspec.ValidationError):
        return MalformedError("The input is not as documented", errors=[field_error(str(error))])
    if isinstance(error, msgspec.DecodeError):
        return MalformedError(f"The body is not valid JSON: {error}")
    if isinstance(error, ValidationException):
        return _from_validation(error)
    if isinstance(error, HTTPException) and error.status_code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return _from_status(error)
    return None


def field_error(message: str, prefix: str = "") -> FieldError:
    """Turn msgspec's message, which ends in a path such as `$.a[0]`, into a JSON pointer and the rest."""
    match = PATH.search(message)
    if match is None:
        return FieldError(prefix, message)
    steps = [name or index for name, index in STEP.findall(match["path"])]
    pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
    return FieldError(prefix + pointer, message[: match.start()])


def _from_validation(error: ValidationException) -> MalformedError:
    extra = error.extra if isinstance(error.extra, list) else []
    errors = [FieldError(_pointer(item), str(item.get("message", ""))) for item in extra if isinstance(item, dict)]
    return MalformedError("The input is not as documented", errors=errors or None)


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
