"""What operations answer, as OpenAPI publishes it: successes, and the problems of each status with an example each."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from types import NoneType
from typing import Any, TypeAlias

import msgspec
from litestar import MediaType
from litestar.openapi import ResponseSpec

from kernel import errors
from kernel.errors import FieldError, ParleyError, Problem
from kernel.http.examples import REQUEST_ID, example
from kernel.http.operations import Operation
from kernel.http.problems import MEDIA_TYPE
from kernel.http.schemas import SCHEMAS

Json: TypeAlias = dict[str, Any]

HEADERS: Json = {
    "X-Request-Id": {
        "description": "The request's own `X-Request-Id`, where that is sane, else a new one; it is in the log, too",
        "required": True,
        "schema": {"type": "string"},
        "example": REQUEST_ID,
    },
    "Retry-After": {
        "description": "Seconds until it makes sense to try again",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "WWW-Authenticate": {
        "description": "The scheme of the credentials that are wanted",
        "required": True,
        "schema": {"type": "string"},
        "example": "Bearer",
    },
}
HEADERS_OF: Mapping[int, Sequence[str]] = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}
DONE = {200: "Done", 201: "Made", 202: "Accepted", 204: "Done, with nothing to say"}

SAID: Mapping[type[ParleyError], ParleyError] = {
    errors.MalformedError: errors.MalformedError(
        "The input is not as documented", errors=[FieldError("/content", "Expected `str` of length >= 1")]
    ),
    errors.UnauthenticatedError: errors.UnauthenticatedError("The token has expired"),
    errors.ForbiddenError: errors.ForbiddenError("These credentials don't allow this call"),
    errors.ConflictError: errors.ConflictError("This Idempotency-Key was used for another request"),
    errors.TooLargeError: errors.TooLargeError("The body may have at most 1048576 bytes"),
    errors.UnavailableError: errors.UnavailableError("The database is away; try again"),
}
"""Examples of those that say more than their title."""


def components(found: Sequence[Operation]) -> Json:
    """Return what answers share: headers, and a response for each status that is refused in one way only."""
    groups = [kinds for one in found for kinds in _by_status(one.refusals()).values()]
    alone = {kinds[0].__name__: _refusal(kinds) for kinds in groups if len(kinds) == 1}
    responses = dict(sorted(alone.items()))
    return {"headers": HEADERS, "responses": responses}


def answers(one: Operation) -> Json:
    """Return the `responses` of an operation, by status."""
    refused = {status: _refused(kinds) for status, kinds in _by_status(one.refusals()).items()}
    done = {status: _success(one, status) for status in one.successes()}
    told = {status: _told(status, spec) for status, spec in one.told.items()}
    return {str(status): answer for status, answer in sorted((refused | done | told).items())}


def content(kind: Any, media_type: str) -> Json:
    """Return a body of this type, with an example."""
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=SCHEMAS)
    return {"content": {media_type: {"schema": schema, "example": example(kind)}}}


def _by_status(kinds: Iterable[type[ParleyError]]) -> dict[int, list[type[ParleyError]]]:
    return {status: list(group) for status, group in groupby(kinds, key=lambda kind: kind.status)}


def _refused(kinds: list[type[ParleyError]]) -> Json:
    return _refusal(kinds) if len(kinds) > 1 else {"$ref": f"#/components/responses/{kinds[0].__name__}"}


def _refusal(kinds: Sequence[type[ParleyError]]) -> Json:
    body = content(Problem, MEDIA_TYPE)["content"][MEDIA_TYPE]
    examples = {kind.slug: {"summary": kind.title, "value": _problem(kind)} for kind in kinds}
    return {
        "description": "\n\n".join(f"`{kind.slug}`: {inspect.getdoc(kind)}" for kind in kinds),
        "headers": _headers(kinds[0].status),
        "content": {MEDIA_TYPE: {"schema": body["schema"], "examples": examples}},
    }


def _problem(kind: type[ParleyError]) -> Any:
    said = SAID.get(kind)
    plain = Problem(type=f"/problems/{kind.slug}", title=kind.title, status=kind.status, request_id=REQUEST_ID)
    return msgspec.to_builtins(plain if said is None else said.problem(REQUEST_ID))


def _success(one: Operation, status: int) -> Json:
    kind = None if one.reply in {None, NoneType} else one.reply
    body = {} if kind is None else content(kind, one.media_type)
    return {"description": DONE[status], "headers": _headers(status), **body}


def _told(status: int, spec: ResponseSpec) -> Json:
    media_type = str(MediaType(spec.media_type).value)
    body = content(spec.data_container, media_type)
    for shown in spec.examples or ():
        body["content"][media_type]["example"] = msgspec.to_builtins(shown.value)
    return {"description": spec.description, "headers": _headers(status), **body}


def _headers(status: int) -> Json:
    names = ["X-Request-Id", *HEADERS_OF.get(status, ())]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
