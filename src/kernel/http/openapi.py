"""The published documents: OpenAPI, made from what the routes say of themselves, and AsyncAPI beside it.

Schemas come from msgspec, which decodes and encodes the traffic: what is published is what is enforced. Security and
refusals follow from each route's `who`, parameters and method.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, TypeAlias, Union, get_args

import msgspec
from litestar import Response, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import OpenAPI
from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute
from litestar.types import Empty

from kernel.errors import NotFoundError, Problem
from kernel.http import asyncapi
from kernel.http import posts as posted
from kernel.http.about import About
from kernel.http.access import ANYONE, USER, who
from kernel.http.answers import answers, components, content
from kernel.http.asyncapi import SocketContract
from kernel.http.examples import example
from kernel.http.operations import Operation, Parameter, operations
from kernel.http.posts import Posts
from kernel.http.schemas import SCHEMAS, ecma

Json: TypeAlias = dict[str, Any]

LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern", "description")


class PublishedRoutes(ReceiveRoutePlugin):
    """Hears of every route as it is registered; `config` is what publishes them, under `/schema`."""

    def __init__(self, about: About, *, sockets: Sequence[SocketContract] = (), posts: Sequence[Posts] = ()) -> None:
        routes: list[HTTPRoute] = []
        self._routes = routes
        self.config = _Config(
            title=about.title,
            version=about.version,
            about=about,
            render_plugins=[JsonRenderPlugin()],
            openapi_router=Router(
                "/schema",
                route_handlers=[asyncapi.route(sockets, about)],
                include_in_schema=False,
                opt=who(ANYONE),
                after_request=_documents_only,
            ),
            routes=routes,
            posts=posts,
        )

    def receive_route(self, route: BaseRoute) -> None:
        """Keep the route."""
        if isinstance(route, HTTPRoute):
            self._routes.append(route)


@dataclass(kw_only=True)
class _Config(OpenAPIConfig):
    about: About
    routes: list[HTTPRoute]
    posts: Sequence[Posts]

    def to_openapi_schema(self) -> OpenAPI:
        plain = super().to_openapi_schema()
        return _Document(info=plain.info, servers=plain.servers, about=self.about, routes=self.routes, posts=self.posts)


@dataclass(kw_only=True)
class _Document(OpenAPI):
    about: About
    routes: list[HTTPRoute]
    posts: Sequence[Posts]

    def to_schema(self) -> Json:
        licence = {"license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"}}
        servers = [{"url": "/", "description": "The server that this document is from"}]
        head = {"openapi": self.openapi, "info": self.about.info() | licence, "servers": servers}
        published: Json = ecma(head | _contract(list(operations(self.routes)), self.about, self.posts))
        return published


async def _documents_only(response: Response[Any]) -> Response[Any]:
    """Where there is no document Litestar has a page of its own."""
    if response.status_code == NotFoundError.status:
        raise NotFoundError
    return response


def _contract(found: list[Operation], about: About, posts: Sequence[Posts]) -> Json:
    kinds = [Problem, *(kind for one in found for kind in (one.body, one.reply) if kind is not None)]
    _, schemas = msgspec.json.schema_components([*kinds, *posted.kinds(posts)], ref_template=SCHEMAS)
    tags = sorted({tag for one in found for tag in one.handler.resolve_tags()})
    paths: dict[str, Json] = {}
    for one in found:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "tags": [{"name": tag, "description": about.tags.get(tag, "")} for tag in tags],
        "paths": paths,
        "webhooks": posted.webhooks(posts),
        "components": {"schemas": schemas, "securitySchemes": _schemes(about), **components(found)},
    }


def _operation(one: Operation) -> Json:
    described: Json = {
        "operationId": one.handler.operation_id,
        "summary": one.handler.summary,
        "description": inspect.getdoc(one.handler.fn),
        "tags": one.handler.resolve_tags(),
        "security": _security(one.callers),
        "parameters": [_parameter(parameter) for parameter in one.parameters()],
        "requestBody": None if one.body is None else {"required": True} | content(one.body, "application/json"),
        "responses": answers(one),
    }
    return {name: value for name, value in described.items() if value not in (None, [])}


def _schemes(about: About) -> Json:
    scopes = "\n".join(f"- `{scope}`: {meaning}" for scope, meaning in about.scopes.items())
    roles = "\n".join(f"- `{role}`: {meaning}" for role, meaning in about.roles.items())
    told = "signed by the host, or from `POST /api/tokens`. An operation may name a role that it wants"
    return {
        "user": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": f"A person's token: {told}:\n\n{roles}",
        },
        "key": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "pk_…",
            "description": f"The API key of a host's back end, from `parley keys create`. Its scopes:\n\n{scopes}",
        },
    }


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
    shown = example(present, parameter.name)
    described = {"name": parameter.name, "in": parameter.place, "schema": schema, "example": shown}
    return described | ({"required": True} if known.is_required else {})


def _present(kind: Any) -> tuple[Any, bool]:
    """Return the type without None, and whether that was in it: None is the absence of a parameter."""
    rest = tuple(one for one in get_args(kind) if one is not NoneType)
    nullable = NoneType in get_args(kind)
    return (Union[rest] if nullable else kind), nullable  # noqa: UP007 - made at run time
