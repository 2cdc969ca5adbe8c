"""The matrix of callers, operations and frames, made from what the server publishes: nothing in it is listed by hand.

What names something that belongs to people (a channel, a message, a context) is known by the names of its parameters
and fields, so a new way to a channel is in the matrix as soon as it is published.
"""

import json
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from tests.support.chat import chat
from tests.support.servers import Server

OWNED = ("channel_id", "message_id", "context_id", "invite_id")
BODIES: dict[str, dict[str, Any]] = {"addParticipant": {"user_id": "eve", "role": "member"}}
"""Where the published example is about somebody who takes part already."""
AFTER = {"type": "ping", "ref": "after"}


class Operation(msgspec.Struct, frozen=True):
    """A published operation, with its published examples."""

    name: str
    method: str
    path: str
    security: list[dict[str, list[str]]]
    examples: dict[str, Any]
    queries: frozenset[str]
    body: Any

    @property
    def owned(self) -> frozenset[str]:
        """What it names that belongs to people."""
        return frozenset(name for name in OWNED if f"{{{name}}}" in self.path or name in self.queries)

    def call(self, client: httpx.Client, **places: str) -> httpx.Response:
        """Call it with its examples, but about these places."""
        unknown = {
            "channel_id": str(uuid4()),
            "message_id": str(uuid4()),
            "delivery_id": str(uuid4()),
            "invite_id": str(uuid4()),
        }
        known = self.examples | unknown | {"user_id": "somebody"} | places
        query = {name: known[name] for name in self.queries & set(places)} | (
            {"q": "us"} if "q" in self.queries else {}
        )
        body = BODIES.get(self.name, self.body)
        return client.request(self.method, self.path.format(**known), json=body, params=query)

    def admits(self, kind: str, rights: frozenset[str]) -> bool:
        """Whether somebody with these scopes or this role is let in."""
        if {} in self.security:
            return True
        return any(kind in one and (set(one[kind]) <= rights or "*" in rights) for one in self.security)


def operations(server: Server) -> list[Operation]:
    """Return everything that is published over HTTP."""
    document = httpx.get(f"{server.url}/schema", trust_env=False).raise_for_status().json()
    return [_operation(path, method, told) for path, item in document["paths"].items() for method, told in item.items()]


def _operation(path: str, method: str, told: dict[str, Any]) -> Operation:
    parameters = told.get("parameters", [])
    content = told.get("requestBody", {}).get("content", {})
    return Operation(
        told["operationId"],
        method.upper(),
        path,
        told["security"],
        {one["name"]: one.get("example") for one in parameters if one["in"] == "path"},
        frozenset(one["name"] for one in parameters if one["in"] == "query"),
        content.get("application/json", {}).get("example"),
    )


def denied(answer: httpx.Response) -> bool:
    """Whether the caller is refused for who they are, not for what they ask."""
    return answer.status_code == 401 or (answer.status_code == 403 and answer.json()["type"] == "/problems/forbidden")


def seen(answer: httpx.Response) -> dict[str, Any]:
    """Return all that a caller can tell an answer by; ids of requests and the time are another each time."""
    headers = {name: value for name, value in answer.headers.items() if name not in {"x-request-id", "date"}}
    problem = answer.json()
    if "request_id" in problem:
        assert problem.pop("request_id") == answer.headers["x-request-id"]
    return {"status": answer.status_code, "headers": headers, "body": problem}


def frames(server: Server, socket: str = "chat") -> dict[str, dict[str, Any]]:
    """Return a published example of every frame that a client may send at a socket, by its type."""
    document = httpx.get(f"{server.url}/schema/asyncapi.json", trust_env=False).raise_for_status().json()
    told = document["components"]["messages"]
    return {
        message["name"]: message["examples"][0]["payload"]
        for name, message in told.items()
        if name.startswith(f"{socket}.client.")
    }


def frames_about(known: dict[str, dict[str, Any]], **places: str) -> dict[str, dict[str, Any]]:
    """Return every frame that names something owned, about these places."""
    found: dict[str, dict[str, Any]] = {}
    channel, context = places["channel_id"], {"type": "booking", "id": places["context_id"]}
    for tag, good in known.items():
        if tag == "message.send":
            plain = {name: value for name, value in good.items() if name not in {"channel_id", "context"}}
            found[tag] = plain | {"channel_id": channel}
            found[f"{tag} by context"] = plain | {"context": context}
        elif "channels" in good:
            found[tag] = good | {"channels": [{"channel_id": channel, "after_seq": 5}]}
        elif "user_ids" in good:
            found[tag] = good | {"user_ids": [places["user_id"]]}
        else:
            about = {name: places[name] for name in OWNED if name in good}
            if about:
                found[tag] = good | about
    return found


async def heard(url: str, token: str, frame: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a new socket hears of this frame."""
    async with chat(url, token) as socket:
        if "epoch" in frame:
            frame = frame | {"epoch": socket.ready["epoch"]}
        await socket.socket.send(json.dumps(frame))
        answers: list[dict[str, Any]] = []
        if "ref" in frame:  # answered after its turn to be written, or to be read
            while not answers or answers[-1].get("ref") != frame["ref"]:
                answers.append(await socket.receive())
        await socket.send(**AFTER)
        while (answer := await socket.receive())["type"] != "pong":
            answers.append(answer)
        return answers
