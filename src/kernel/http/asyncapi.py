"""The published AsyncAPI document: what sockets carry, from the Structs that decode and encode it.

Each frame of a client is an operation of its own, with the frames that may answer it; what the server sends by itself
is one more.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from kernel.http.about import About
from kernel.http.access import ANYONE, who
from kernel.http.examples import example
from kernel.http.schemas import SCHEMAS, ecma

Json: TypeAlias = dict[str, Any]
FrameType: TypeAlias = type[msgspec.Struct]

MEDIA_TYPE = "application/vnd.aai.asyncapi+json"
DURABLE = "durable"
EPHEMERAL = "ephemeral"
REPLY = "reply"
TAGS = {
    DURABLE: "Part of a channel's log: sent in the order of `seq`, and sent again by `resume` to whoever missed it",
    EPHEMERAL: "Of this moment: sent once to who is there, and never again",
    REPLY: "The answer to a frame of this client; `ref` says to which",
}
SECURITY: Json = {
    "frame": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A person's token, not in a header but in the first frame: `auth`",
    },
    "ticket": {
        "type": "httpApiKey",
        "in": "query",
        "name": "ticket",
        "description": "From `POST /api/ws/tickets`: for one connection, within 30 s; then no `auth` is needed",
    },
}


class SocketContract(msgspec.Struct, frozen=True, kw_only=True):
    """What a socket carries. Frames are Structs with a tag; `closes` says why the server closes, by code.

    `replies` says what may answer a client's frame; one that isn't in it is answered only when it is refused. What the
    server sends with a `seq` of the log is durable, unless it is a reply.
    """

    name: str
    address: str
    subprotocol: str
    summary: str
    receives: Sequence[FrameType]
    sends: Sequence[FrameType]
    replies: Mapping[FrameType, Sequence[FrameType]]
    refusal: FrameType
    closes: Mapping[int, str]


def tagged(base: FrameType) -> Iterator[FrameType]:
    """Yield the frames that derive from `base`, however deep, in the order of their making."""
    for kind in base.__subclasses__():
        if not kind.__subclasses__():
            yield kind
        yield from tagged(kind)


def route(sockets: Sequence[SocketContract], about: About) -> HTTPRouteHandler:
    """Return the handler that serves the document, as `asyncapi.json`."""

    @get("/asyncapi.json", opt=who(ANYONE), include_in_schema=False, media_type=MEDIA_TYPE)
    async def published() -> bytes:
        return msgspec.json.encode(document(sockets, about))

    return published


def document(sockets: Sequence[SocketContract], about: About) -> Json:
    """Return the document."""
    frames = [frame for socket in sockets for frame in (*socket.receives, *socket.sends)]
    references, schemas = msgspec.json.schema_components(frames, ref_template=SCHEMAS)
    payloads = dict(zip(frames, references, strict=True))
    licence = {"license": {"name": "Apache License 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}}
    published: Json = ecma(
        {
            "asyncapi": "3.0.0",
            "info": about.info() | licence,
            "defaultContentType": "application/json",
            "servers": {"parley": _server(about)},
            "channels": {socket.name: _channel(socket) for socket in sockets},
            "operations": {name: told for socket in sockets for name, told in _operations(socket)},
            "components": {
                "messages": {
                    f"{socket.name}.{_name(socket, frame)}": _message(socket, frame, payloads[frame])
                    for socket in sockets
                    for frame in (*socket.receives, *socket.sends)
                },
                "schemas": schemas,
                "securitySchemes": SECURITY,
                "tags": {name: {"name": name, "description": meaning} for name, meaning in TAGS.items()},
            },
        }
    )
    return published


def _server(about: About) -> Json:
    url = urlsplit(about.url)
    described = {
        "host": url.netloc,
        "protocol": "wss" if url.scheme == "https" else "ws",
        "description": "This one",
        "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in SECURITY],
    }
    return described | ({"pathname": url.path} if url.path.strip("/") else {})


def _channel(socket: SocketContract) -> Json:
    closes = "\n".join(f"- {code}: {why}" for code, why in socket.closes.items())
    names = [_name(socket, frame) for frame in (*socket.receives, *socket.sends)]
    return {
        "address": socket.address,
        "summary": socket.summary,
        "description": f"Close codes:\n\n{closes}",
        "servers": [{"$ref": "#/servers/parley"}],
        "messages": {name: {"$ref": f"#/components/messages/{socket.name}.{name}"} for name in names},
        "bindings": {"ws": _handshake(socket)},
    }


def _handshake(socket: SocketContract) -> Json:
    """Describe the request that opens the socket."""
    ticket = {"type": "string", "description": "Instead of an `auth` frame"}
    protocol = {"type": "string", "const": socket.subprotocol}
    return {
        "method": "GET",
        "query": {"type": "object", "properties": {"ticket": ticket}},
        "headers": {"type": "object", "properties": {"Sec-WebSocket-Protocol": protocol}},
        "bindingVersion": "0.1.0",
    }


def _operations(socket: SocketContract) -> Iterator[tuple[str, Json]]:
    channel = {"$ref": f"#/channels/{socket.name}"}
    for frame in socket.receives:
        answers = [*socket.replies.get(frame, ()), socket.refusal]
        yield (
            f"{socket.name}.{_name(socket, frame)}",
            {
                "action": "receive",
                "channel": channel,
                "summary": inspect.getdoc(frame),
                "messages": _references(socket, [frame]),
                "reply": {"channel": channel, "messages": _references(socket, answers)},
            },
        )
    yield (
        f"{socket.name}.tell",
        {
            "action": "send",
            "channel": channel,
            "summary": "What the server sends by itself",
            "messages": _references(socket, [frame for frame in socket.sends if _tag(socket, frame) != REPLY]),
        },
    )


def _references(socket: SocketContract, frames: Sequence[FrameType]) -> list[Json]:
    return [{"$ref": f"#/channels/{socket.name}/messages/{_name(socket, frame)}"} for frame in frames]


def _name(socket: SocketContract, frame: FrameType) -> str:
    """Both sides have frames of the same type: their names say who sends them."""
    return f"{'client' if frame in socket.receives else 'server'}.{frame.__struct_config__.tag}"


def _tag(socket: SocketContract, frame: FrameType) -> str:
    if frame == socket.refusal or any(frame in answers for answers in socket.replies.values()):
        return REPLY
    return DURABLE if "seq" in frame.__struct_fields__ else EPHEMERAL


def _message(socket: SocketContract, frame: FrameType, payload: Json) -> Json:
    tag = str(frame.__struct_config__.tag)
    described: Json = {
        "name": tag,
        "title": tag,
        "summary": inspect.getdoc(frame),
        "payload": payload,
        "examples": [{"name": tag, "payload": example(frame)}],
    }
    if "ref" in frame.__struct_fields__:
        described["correlationId"] = {"location": "$message.payload#/ref", "description": "Made by the client"}
    if frame in socket.sends:
        described["tags"] = [{"$ref": f"#/components/tags/{_tag(socket, frame)}"}]
    return described
