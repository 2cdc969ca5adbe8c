"""Renders every failure as `application/problem+json` (RFC 9457), in one place."""

import http
import re
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, ValidationException
from litestar.params import HeaderParameter, ParameterKwarg

from kernel.errors import (
    FieldError,
    ForbiddenError,
    InternalError,
    MalformedError,
    MethodNotAllowedError,
    NotFoundError,
    ParleyError,
    Problem,
    UnauthenticatedError,
    malformed_field,
    undecodable,
)
from kernel.http.request_id import request_id_of
from kernel.text import in_words

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
MISSING = re.compile(r"\AMissing required query parameter '(?P<name>[^']+)'")
BY_STATUS: dict[int, type[ParleyError]] = {
    400: MalformedError,
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
}


def render(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Turn any exception into a problem response; only unexpected ones are logged, with their traceback."""
    known = understood(request, error)
    if known is None:
        log.error("request_failed", exc_info=error)
        known = InternalError("Something went wrong here; the request id helps us to find it")
    return Response(
        known.problem(request_id_of(request.scope)),
        status_code=known.status,
        media_type=MEDIA_TYPE,
        headers=dict(known.headers()),
    )


def understood(request: Request[Any, Any, Any], error: Exception) -> ParleyError | None:
    """Translate the errors of libraries at the edge into ours; None for what nobody expected."""
    if isinstance(error, ParleyError):
        return error
    if isinstance(error, msgspec.MsgspecError | RecursionError):
        return undecodable(error)
    if isinstance(error, ValidationException):
        return _from_validation(request, error)
    if isinstance(error, HTTPException) and error.status_code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return _from_status(error)
    return None


def _from_validation(request: Request[Any, Any, Any], error: ValidationException) -> MalformedError:
    extra = error.extra if isinstance(error.extra, list) else []
    if any(item.get("key") == "data" and item.get("message") == "'data'" for item in extra):
        return MalformedError("A JSON body is needed")
    if missing := MISSING.match(error.detail):
        return malformed_field(f"?{missing['name']}", "is needed")
    errors = [FieldError(_pointer(request, item), in_words(str(item.get("message", "")))) for item in extra]
    return MalformedError("The input is not as documented" if errors else error.detail, errors=errors or None)


def _pointer(request: Request[Any, Any, Any], item: dict[str, Any]) -> str:
    """Name a parameter as it is called outside."""
    field = request.route_handler.parsed_fn_signature.parameters.get(item.get("key", ""))
    parameter = field and field.kwarg_definition
    name = (isinstance(parameter, ParameterKwarg) and parameter.name) or str(item.get("key", ""))
    if name in request.path_params:
        return f"{{{name}}}"
    return f"{name}:" if isinstance(parameter, HeaderParameter) else f"?{name}"


def _from_status(error: HTTPException) -> ParleyError:
    if isinstance(error, MethodNotAllowedException):
        allow = (error.headers or {}).get("allow", "")
        return MethodNotAllowedError(allow.replace("GET", "GET, HEAD"))
    kind = BY_STATUS.get(error.status_code, MalformedError)
    return kind("" if kind in {NotFoundError, UnauthenticatedError} else error.detail)
