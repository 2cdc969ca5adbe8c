"""The published AsyncAPI document: what sockets carry, from the Structs that decode and encode it."""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from kernel.http.access import ANYONE, who
from kernel.http.schemas import SCHEMAS, ecma

Json: TypeAlias = dict[str, Any]
MEDIA_TYPE = "application/vnd.aai.asyncapi+json"


class SocketContract(msgspec.Struct, frozen=True, kw_only=True):
    """What a socket carries. Frames are Structs with a tag; `closes` says why the server closes, by code."""

    name: str
    address: str
    summary: str
    receives: Sequence[type[msgspec.Struct]]
    sends: Sequence[type[msgspec.Struct]]
    closes: Mapping[int, str]


def tagged(base: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    """Yield the frames that derive from `base`, however deep, in the order of their making."""
    for kind in base.__subclasses__():
        if not kind.__subclasses__():
            yield kind
        yield from tagged(kind)


def route(sockets: Sequence[SocketContract], *, title: str, version: str) -> HTTPRouteHandler:
    """Return the handler that serves the document, as `asyncapi.json`."""

    @get("/asyncapi.json", opt=who(ANYONE), include_in_schema=False, media_type=MEDIA_TYPE)
    async def published() -> bytes:
        return msgspec.json.encode(document(sockets, title=title, version=version))

    return published


def document(sockets: Sequence[SocketContract], *, title: str, version: str) -> Json:
    """Return the document."""
    frames = [frame for socket in sockets for frame in (*socket.receives, *socket.sends)]
    _, schemas = msgspec.json.schema_components(frames, ref_template=SCHEMAS)
    references, _ = msgspec.json.schema_components(frames, ref_template=SCHEMAS)
    payloads = dict(zip(frames, references, strict=True))
    published: Json = ecma(
        {
            "asyncapi": "3.0.0",
            "info": {"title": title, "version": version},
            "defaultContentType": "application/json",
            "channels": {socket.name: _channel(socket) for socket in sockets},
            "operations": {name: told for socket in sockets for name, told in _operations(socket)},
            "components": {
                "messages": {
                    name: _message(frame, payloads[frame]) for socket in sockets for name, frame in _named(socket)
                },
                "schemas": schemas,
            },
        }
    )
    return published


def _channel(socket: SocketContract) -> Json:
    closes = "\n".join(f"- {code}: {why}" for code, why in socket.closes.items())
    return {
        "address": socket.address,
        "summary": socket.summary,
        "description": f"Close codes:\n\n{closes}",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name, _ in _named(socket)},
    }


def _operations(socket: SocketContract) -> Iterator[tuple[str, Json]]:
    for action, frames in (("receive", socket.receives), ("send", socket.sends)):
        messages = [{"$ref": f"#/channels/{socket.name}/messages/{_name(action, frame)}"} for frame in frames]
        yield (
            f"{socket.name}.{action}",
            {
                "action": action,
                "channel": {"$ref": f"#/channels/{socket.name}"},
                "messages": messages,
            },
        )


def _named(socket: SocketContract) -> Iterable[tuple[str, type[msgspec.Struct]]]:
    for action, frames in (("receive", socket.receives), ("send", socket.sends)):
        yield from ((_name(action, frame), frame) for frame in frames)


def _name(action: str, frame: type[msgspec.Struct]) -> str:
    """Both sides have frames of the same type: their names say who sends them."""
    return f"{'client' if action == 'receive' else 'server'}.{frame.__struct_config__.tag}"


def _message(frame: type[msgspec.Struct], payload: Json) -> Json:
    return {"name": frame.__struct_config__.tag, "summary": inspect.getdoc(frame), "payload": payload}
