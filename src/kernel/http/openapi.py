"""The published documents: OpenAPI, made from what the routes say of themselves, and AsyncAPI beside it.

Schemas come from msgspec, which decodes and encodes the traffic: what is published is what is enforced. Security and
refusals follow from each route's `who`, parameters and method.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Annotated, Any, TypeAlias, Union, get_args

import msgspec
from litestar import MediaType, Response, Router
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import OpenAPI
from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute
from litestar.types import Empty

from kernel.errors import NotFoundError, ParleyError, Problem
from kernel.http import asyncapi
from kernel.http.access import ANYONE, USER, who
from kernel.http.asyncapi import SocketContract
from kernel.http.operations import Operation, Parameter, operations
from kernel.http.problems import MEDIA_TYPE
from kernel.http.schemas import SCHEMAS, ecma

Json: TypeAlias = dict[str, Any]

LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern", "description")
SECURITY_SCHEMES: Json = {
    "user": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A person's token: signed by the host, or from `POST /api/tokens`",
    },
    "key": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "pk_…",
        "description": "The API key of a host's back end, from `parley keys create`",
    },
}
HEADERS: dict[int, Json] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}},
    429: {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds", "required": True}},
    503: {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds", "required": True}},
}
DONE = {200: "Done", 201: "Made", 202: "Accepted", 204: "Done, with nothing to say"}


class PublishedRoutes(ReceiveRoutePlugin):
    """Hears of every route as it is registered; `config` is what publishes them, under `/schema`."""

    def __init__(self, *, title: str, version: str, description: str, sockets: Sequence[SocketContract] = ()) -> None:
        routes: list[HTTPRoute] = []
        self._routes = routes
        self.config = _Config(
            title=title,
            version=version,
            description=description,
            render_plugins=[JsonRenderPlugin()],
            openapi_router=Router(
                "/schema",
                route_handlers=[asyncapi.route(sockets, title=title, version=version)],
                include_in_schema=False,
                opt=who(ANYONE),
                after_request=_documents_only,
            ),
            routes=routes,
        )

    def receive_route(self, route: BaseRoute) -> None:
        """Keep the route."""
        if isinstance(route, HTTPRoute):
            self._routes.append(route)


@dataclass
class _Config(OpenAPIConfig):
    routes: list[HTTPRoute] = field(default_factory=list)

    def to_openapi_schema(self) -> OpenAPI:
        plain = super().to_openapi_schema()
        return _Document(info=plain.info, servers=plain.servers, components=plain.components, routes=self.routes)


@dataclass
class _Document(OpenAPI):
    routes: list[HTTPRoute] = field(default_factory=list)

    def to_schema(self) -> Json:
        about = {"openapi": self.openapi, "info": self.info.to_schema(), "servers": [{"url": "/"}]}
        published: Json = ecma(about | _contract(list(operations(self.routes))))
        return published


async def _documents_only(response: Response[Any]) -> Response[Any]:
    """Where there is no document Litestar has a page of its own."""
    if response.status_code == NotFoundError.status:
        raise NotFoundError
    return response


def _contract(found: list[Operation]) -> Json:
    refusals = {kind.__name__: kind for one in found for kind in one.refusals()}
    kinds = [Problem, *(kind for one in found for kind in (one.body, one.reply) if kind is not None)]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=SCHEMAS)
    paths: dict[str, Json] = {}
    for one in found:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "tags": [{"name": tag} for tag in sorted({tag for one in found for tag in one.handler.resolve_tags()})],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {name: _refusal(kind) for name, kind in refusals.items()},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _operation(one: Operation) -> Json:
    refusals = {kind.status: {"$ref": f"#/components/responses/{kind.__name__}"} for kind in one.refusals()}
    successes = {status: _success(one, status) for status in one.successes()}
    told = {status: _told(spec) for status, spec in one.told.items()}
    described: Json = {
        "operationId": one.handler.operation_id,
        "summary": one.handler.summary,
        "description": inspect.getdoc(one.handler.fn),
        "tags": one.handler.resolve_tags(),
        "security": _security(one.callers),
        "parameters": [_parameter(parameter) for parameter in one.parameters()],
        "requestBody": None if one.body is None else {"required": True} | _body(one.body, "application/json"),
        "responses": {str(status): answer for status, answer in sorted((refusals | successes | told).items())},
    }
    return {name: value for name, value in described.items() if value not in (None, [])}


def _security(callers: frozenset[str]) -> list[Json]:
    """One alternative for each kind of caller, with the scope or role that it needs."""
    return [_requirement(caller) for caller in sorted(callers)]


def _requirement(caller: str) -> Json:
    if caller == ANYONE:
        return {}
    if caller.startswith("key:"):
        return {"key": [caller.removeprefix("key:")]}
    return {"user": [] if caller == USER else [caller]}


def _parameter(parameter: Parameter) -> Json:
    known, about = parameter.field, parameter.field.kwarg_definition
    limits = {name: getattr(about, name, None) for name in LIMITS}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    present, nullable = _present(known.annotation)
    schema = msgspec.json.schema(Annotated[present, msgspec.Meta(**given)])
    if nullable and schema.get("type") != "string":
        schema = {"anyOf": [schema, {"type": "null"}]}  # the word null is read as absence, where it isn't a text
    if known.default not in (None, Empty):
        schema["default"] = known.default
    described = {"name": parameter.name, "in": parameter.place, "schema": schema}
    return described | ({"required": True} if known.is_required else {})


def _present(kind: Any) -> tuple[Any, bool]:
    """Return the type without None, and whether that was in it: None is the absence of a parameter."""
    rest = tuple(one for one in get_args(kind) if one is not NoneType)
    nullable = NoneType in get_args(kind)
    return (Union[rest] if nullable else kind), nullable  # noqa: UP007 - made at run time


def _success(one: Operation, status: int) -> Json:
    kind = None if one.reply in {None, NoneType} else one.reply
    return {"description": DONE[status]} | ({} if kind is None else _body(kind, one.media_type))


def _told(spec: ResponseSpec) -> Json:
    return {"description": spec.description} | _body(spec.data_container, str(MediaType(spec.media_type).value))


def _refusal(kind: type[ParleyError]) -> Json:
    headers = {"headers": HEADERS[kind.status]} if kind.status in HEADERS else {}
    return {"description": inspect.getdoc(kind), **headers, **_body(Problem, MEDIA_TYPE)}


def _body(kind: Any, media_type: str) -> Json:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=SCHEMAS)
    return {"content": {media_type: {"schema": schema}}}
