"""The matrix of callers, operations and frames, made from what is published."""

import json
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from modules.messaging.gateway import client_frames
from tests.contract.test_bad_bodies import WRITES
from tests.support.chat import chat
from tests.support.inputs import example
from tests.support.servers import Host

PLACES = {
    "context_type": "booking",
    "context_id": "theirs",
    "user_id": "somebody",
    "slug": "conflict",
    "emoji": "\N{THUMBS UP SIGN}",
}
FRAMES: dict[str, Any] = {str(f.__struct_config__.tag): f for f in client_frames.ClientFrame.__subclasses__()}
AFTER = {"type": "ping", "ref": "after"}


class Operation(msgspec.Struct, frozen=True):
    """A published operation."""

    name: str
    method: str
    path: str
    security: list[dict[str, list[str]]]

    def call(self, client: httpx.Client, **places: str) -> httpx.Response:
        """Call it with a good body."""
        unknown = {name: str(uuid4()) for name in ("channel_id", "delivery_id", "message_id")}
        known = PLACES | unknown | places
        bodies = [write.body for write in WRITES if (write.method, write.path) == (self.method, self.path)]
        body = example(bodies[0]) if bodies else None
        return client.request(self.method, self.path.format(**known), json=body)

    def admits(self, kind: str, rights: frozenset[str]) -> bool:
        """Whether somebody with these scopes or this role is let in."""
        if {} in self.security:
            return True
        return any(kind in one and (set(one[kind]) <= rights or "*" in rights) for one in self.security)


def operations(host: Host) -> list[Operation]:
    """Return everything that is published."""
    document = httpx.get(f"{host.server.url}/schema", trust_env=False).raise_for_status().json()
    return [
        Operation(operation["operationId"], method.upper(), path, operation["security"])
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def seen(answer: httpx.Response) -> dict[str, Any]:
    """Return all that a caller can tell an answer by; ids of requests and the time are another each time."""
    headers = {name: value for name, value in answer.headers.items() if name not in {"x-request-id", "date"}}
    problem = answer.json()
    assert problem.pop("request_id") == answer.headers["x-request-id"]
    return {"status": answer.status_code, "headers": headers, "body": problem}


def frames_about(channel: str, context: str) -> dict[str, dict[str, Any]]:
    """Return every frame that names a channel or a context, about these."""
    found: dict[str, dict[str, Any]] = {}
    for tag, kind in FRAMES.items():
        good = example(kind)
        if "context" in good:
            other = {"context": {"type": "booking", "id": context}, "channel_id": None}
            found[f"{tag} by context"] = good | other
        if "channel_id" in good:
            found[tag] = good | {"channel_id": channel} | ({"context": None} if "context" in good else {})
        if "channels" in good:
            found[tag] = good | {"channels": [{"channel_id": channel, "after_seq": 0}]}
    return found


async def heard(url: str, token: str, frame: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a new socket hears of this frame."""
    async with chat(url, token) as socket:
        if "epoch" in frame:
            frame = frame | {"epoch": socket.ready["epoch"]}
        await socket.socket.send(json.dumps(frame))
        if frame["type"] == "message.send":  # answered after its turn to be written
            return [await socket.receive()]
        await socket.send(**AFTER)
        answers = []
        while (answer := await socket.receive())["type"] != "pong":
            answers.append(answer)
        return answers
