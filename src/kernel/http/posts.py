"""What this server posts to addresses of the host's, as the `webhooks` of OpenAPI."""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import msgspec

from kernel.http.answers import content

Json: TypeAlias = dict[str, Any]


class Posts(msgspec.Struct, frozen=True, kw_only=True):
    """What is posted in one way. `bodies`: by their names, each with its Struct; `headers`: what else each carries."""

    tag: str
    headers: Sequence[Json]
    answers: Json
    bodies: Sequence[tuple[str, type[msgspec.Struct]]]


def kinds(posts: Sequence[Posts]) -> list[type[msgspec.Struct]]:
    """Return the Structs whose schemas are needed."""
    return [kind for one in posts for _, kind in one.bodies]


def webhooks(posts: Sequence[Posts]) -> Json:
    """Return the `webhooks` of the document."""
    return dict(_items(posts))


def _items(posts: Sequence[Posts]) -> Iterator[tuple[str, Json]]:
    for one in posts:
        for name, kind in one.bodies:
            operation = {
                "summary": name,
                "description": inspect.getdoc(kind),
                "tags": [one.tag],
                "security": [],
                "parameters": list(one.headers),
                "requestBody": {"required": True} | content(kind, "application/json"),
                "responses": one.answers,
            }
            yield name, {"post": operation}
