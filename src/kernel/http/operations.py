"""What a route says of itself: its callers, parameters, body, and the statuses that it can answer with."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.params import HeaderParameter, ParameterKwarg
from litestar.routes import HTTPRoute
from litestar.typing import FieldDefinition

from kernel import errors
from kernel.auth.principal import DeactivatedError
from kernel.http.access import ADMIN, ANYONE, USER

IDEMPOTENCY_KEY = "Idempotency-Key"
NOT_FROM_OUTSIDE = {"data", "request", "scope", "state"}


class Parameter(msgspec.Struct, frozen=True):
    """Something in the path, the query or the headers, under its outside name."""

    place: str
    name: str
    field: FieldDefinition


class Operation(msgspec.Struct, frozen=True):
    """A handler at its path."""

    path: str
    path_names: frozenset[str]
    method: str
    handler: HTTPRouteHandler

    @property
    def callers(self) -> frozenset[str]:
        """Who may call it, in the words of `kernel.http.access`."""
        callers: frozenset[str] = self.handler.opt.get("who", frozenset())
        return callers

    @property
    def body(self) -> Any:
        """Type of the body, or None."""
        data = self.handler.parsed_fn_signature.parameters.get("data")
        return data and data.annotation

    @property
    def reply(self) -> Any:
        """Type of what a success answers."""
        returned = self.handler.parsed_fn_signature.return_type
        if returned.is_subclass_of(Response):
            return returned.inner_types[0].raw
        return returned.raw

    @property
    def media_type(self) -> str:
        """Of a success."""
        return str(getattr(self.handler.media_type, "value", self.handler.media_type) or "application/json")

    @property
    def told(self) -> dict[int, ResponseSpec]:
        """What the handler says itself of its answers."""
        return dict(self.handler.responses or {})

    def parameters(self) -> list[Parameter]:
        """Return what comes in besides the body."""
        inside = self.handler.resolve_dependencies().keys() | NOT_FROM_OUTSIDE
        fields = self.handler.parsed_fn_signature.parameters.items()
        return [self._parameter(name, field) for name, field in fields if name not in inside and not field.is_di_field]

    def _parameter(self, name: str, field: FieldDefinition) -> Parameter:
        about = field.kwarg_definition
        name = (isinstance(about, ParameterKwarg) and about.name) or name
        if name in self.path_names:
            return Parameter("path", name, field)
        return Parameter("header" if isinstance(about, HeaderParameter) else "query", name, field)

    def successes(self) -> list[int]:
        """Statuses of success: a write that leaves its status open answers 201 when it made something, else 200."""
        status_is_open = self.handler.parsed_fn_signature.return_type.is_subclass_of(Response)
        is_object = isinstance(self.reply, type) and issubclass(self.reply, msgspec.Struct)
        if self.method in {"POST", "PUT"} and status_is_open and is_object:
            return [200, 201]
        return [self.handler.status_code]

    def refusals(self) -> list[type[errors.ParleyError]]:
        """Refusals that can occur: those that follow from callers and input, and those that the route `refuses`."""
        parameters = self.parameters()
        asked: dict[type[errors.ParleyError], bool] = {
            errors.MalformedError: self.body is not None or any(map(_can_be_malformed, parameters)),
            errors.UnauthenticatedError: self.callers != {ANYONE},
            DeactivatedError: any(not caller.startswith("key:") for caller in self.callers - {ANYONE}),
            errors.ForbiddenError: self.callers != {ANYONE},
            errors.NotFoundError: bool(self.path_names),
            errors.ConflictError: any(parameter.name == IDEMPOTENCY_KEY for parameter in parameters),
            errors.TooLargeError: self.body is not None,
            errors.TooManyRequestsError: bool(self.callers & {USER, ADMIN}),
            errors.UnavailableError: self.callers != {ANYONE},
            errors.InternalError: True,
        }
        found = {kind for kind, can_be in asked.items() if can_be} | set(self.handler.opt.get("refuses", ()))
        return sorted(found, key=lambda kind: (kind.status, kind.slug))


def _can_be_malformed(parameter: Parameter) -> bool:
    """An id in a path that can't be one is an id that doesn't exist."""
    return parameter.place != "path" or parameter.field.annotation is not UUID


def operations(routes: list[HTTPRoute]) -> Iterator[Operation]:
    """Yield those that are part of the contract, always in the same order."""
    for route in routes:
        for method, (handler, _) in sorted(route.route_handler_map.items(), key=lambda one: str(one[0])):
            if handler.resolve_include_in_schema():
                yield Operation(route.path_format, frozenset(route.path_parameters), str(method), handler)
