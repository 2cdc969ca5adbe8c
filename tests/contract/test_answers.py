"""Every operation is driven into the refusals that it documents, and answers with nothing that it doesn't."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from kernel.http.examples import example
from tests.contract.test_bad_bodies import WRITES
from tests.support.servers import Host

Json = dict[str, Any]

NOWHERE = {"context_type": "booking", "slug": "no-such-problem", "emoji": "\N{THUMBS UP SIGN}"}


class Operation(msgspec.Struct):
    """A published operation."""

    method: str
    path: str
    about: Json

    @property
    def body(self) -> Any:
        """A good body, or None."""
        kinds = [write.body for write in WRITES if (write.method, write.path) == (self.method, self.path)]
        return example(kinds[0]) if kinds else None

    @property
    def callers(self) -> set[str]:
        """Kinds of credentials that it takes; none: it is open."""
        return {kind for alternative in self.about["security"] for kind in alternative}

    @property
    def scopes(self) -> set[str]:
        """Scopes of the keys that it takes."""
        return {scope for alternative in self.about["security"] for scope in alternative.get("key", ())}

    def url(self) -> str:
        """An address where there is nothing."""
        names = [p["name"] for p in self.about.get("parameters", []) if p["in"] == "path"]
        return self.path.format(**{name: NOWHERE.get(name, str(uuid4())) for name in names})


class World(msgspec.Struct):
    """A server, its document, and clients of every kind."""

    document: Json
    clients: dict[str, httpx.Client]
    last: httpx.Response

    def operations(self) -> list[Operation]:
        """Return all that is published."""
        paths = self.document["paths"].items()
        return [Operation(method.upper(), path, about) for path, item in paths for method, about in item.items()]

    def documented(self, operation: Operation) -> dict[int, set[str]]:
        """Return the types of problems by status; none for a success."""
        found = {}
        for status, answer in operation.about["responses"].items():
            shared = self.document["components"]["responses"].get(answer.get("$ref", "").rpartition("/")[2], answer)
            body = shared.get("content", {}).get("application/problem+json", {})
            found[int(status)] = {shown["value"]["type"] for shown in body.get("examples", {}).values()}
        return found

    def call(self, operation: Operation, who: str, **request: Any) -> int:
        """Call it, and check that the answer is documented."""
        url = request.pop("url", None) or operation.url()
        answer = self.clients[who].request(operation.method, url, **request)
        known = self.documented(operation)
        name = operation.about["operationId"]
        assert answer.status_code in known, (name, answer.status_code, answer.text[:300])
        if answer.headers.get("content-type", "").startswith("application/problem+json"):
            assert answer.json()["type"] in known[answer.status_code], (name, answer.text[:300])
        self.last = answer
        return answer.status_code


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    document = httpx.get(f"{host.server.url}/schema", trust_env=False).raise_for_status().json()
    ana = host.user("ana")
    host.user("gone")
    gone = host.token("gone")
    host.http.delete("/api/users/gone").raise_for_status()
    poor = host.server.cli("keys", "create", "poor", "--scope", "tokens")
    poorer = host.server.cli("keys", "create", "poorer", "--scope", "notices")
    tokens = {
        "user": ana,
        "admin": host.token("ana", role="admin"),
        "auditor": host.token("ana", role="auditor"),
        "gone": gone,
        "poor": poor,
        "poorer": poorer,
        "bad": "not-a-token",
    }
    clients = {who: host.person(token) for who, token in tokens.items()}
    clients |= {"nobody": httpx.Client(base_url=host.server.url, trust_env=False, timeout=30), "key": host.http}
    yield World(document, clients, httpx.Response(200))
    for who, client in clients.items():
        if who != "key":
            client.close()


def best(operation: Operation) -> str:
    """Return who may do the most of those that it takes."""
    return "admin" if "user" in operation.callers else "key" if operation.callers else "nobody"


def test_without_good_credentials_it_is_401_and_without_the_right_403(world: World) -> None:
    for operation in world.operations():
        if not operation.callers:
            continue
        name = operation.about["operationId"]
        for who in ("nobody", "bad", *(["gone"] if "user" in operation.callers else [])):
            assert world.call(operation, who, json=operation.body) == 401, (name, who)
        for who in ("poor" if "tokens" not in operation.scopes else "poorer", "auditor"):
            assert world.call(operation, who, json=operation.body) == 403, (name, who)


def test_what_is_not_there_is_404(world: World) -> None:
    for operation in world.operations():
        if operation.method == "GET" and "{" in operation.path and "404" in operation.about["responses"]:
            assert world.call(operation, best(operation)) == 404, operation.about["operationId"]


def test_a_good_request_is_answered_as_documented(world: World) -> None:
    for operation in world.operations():
        world.call(operation, best(operation), json=operation.body)


def test_what_makes_no_sense_is_400_and_what_is_too_large_413(world: World) -> None:
    driven = 0
    for operation in world.operations():
        if operation.body is not None:
            assert world.call(operation, best(operation), content=b"{") == 400
            assert world.call(operation, best(operation), json={"not_a_field": 1}) == 400
            assert world.call(operation, best(operation), content=b" " * 1_100_000) == 413
            driven += 1
        for parameter in operation.about.get("parameters", []):
            if parameter["in"] == "query" and parameter["schema"].get("type") == "integer":
                url = f"{operation.url()}?{parameter['name']}=x"
                assert world.call(operation, best(operation), url=url) == 400
    assert driven >= 10


def test_one_idempotency_key_for_two_requests_is_409(world: World) -> None:
    driven = 0
    for operation in world.operations():
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.about.get("parameters", [])):
            who, headers = best(operation), {"Idempotency-Key": uuid4().hex}
            world.call(operation, who, json=operation.body, headers=headers)
            other = operation.body | {"expires_in_s": 61} if "expires_in_s" in operation.body else operation.body
            world.call(operation, who, json=other, headers=headers)
            driven += 1
    assert driven


def test_a_taken_username_is_409(world: World, host: Host) -> None:
    host.user("taken")
    (operation,) = [one for one in world.operations() if one.about["operationId"] == "putUser"]
    body = {"username": "taken", "display_name": "Another"}
    assert world.call(operation, "key", url="/api/users/another", json=body) == 409


def test_what_a_conversation_refuses_is_documented(world: World, host: Host) -> None:
    """Every reason, by status and the end of its type."""
    named = {one.about["operationId"]: one for one in world.operations()}
    host.user("ben")
    roles = {"ana": "claimant", "ben": "respondent"}
    view = host.context("refusals", roles, kind="dispute")
    assert view["channel"] is None
    with host.person(host.token("ben")) as ben:
        said = ben.post("/api/contexts/dispute/refusals/messages", json={"client_id": "b", "content": "mine"}).json()

    def refused(name: str, target: str, body: Json | None = None) -> tuple[int, str]:
        request = {} if body is None else {"json": body}
        status = world.call(named[name], "user", url=target, **request)
        return status, world.last.json()["type"].rpartition("/")[2]

    messages, theirs = f"/api/channels/{said['channel_id']}/messages", f"/api/messages/{said['id']}"
    mine = {"client_id": "a", "content": "hello"}
    assert world.call(named["postMessage"], "user", url=messages, json=mine) == 201
    assert world.call(named["postMessage"], "user", url=messages, json=mine) == 200
    own = f"/api/messages/{world.last.json()['id']}"
    assert refused("postMessage", messages, mine | {"content": "other"}) == (409, "client-id-conflict")
    assert refused("postMessage", messages, mine | {"content": "x" * 5_001}) == (413, "too-large")
    assert refused("reviseMessage", theirs, mine | {"client_id": "r"}) == (403, "forbidden")
    assert refused("deleteMessage", theirs) == (403, "forbidden")
    assert refused("addReaction", f"{theirs}/reactions/x") == (400, "malformed")
    assert world.call(named["deleteMessage"], "user", url=own) < 300
    assert refused("reviseMessage", own, mine | {"client_id": "r"}) == (409, "message-deleted")
    assert refused("addReaction", f"{own}/reactions/%F0%9F%91%8D") == (409, "message-deleted")
    host.context("refusals", roles, kind="dispute", status="closed")
    assert refused("postMessage", messages, mine | {"client_id": "c"}) == (409, "channel-closed")
    host.context("refusals", roles | {"ana": "observer"}, kind="dispute")
    assert refused("postMessage", messages, mine | {"client_id": "c"}) == (403, "read-only")
    assert refused("addReaction", f"{theirs}/reactions/%F0%9F%91%8D") == (403, "read-only")
    assert refused("openDirectChannel", "/api/channels/direct", {"user_id": "ben"}) == (403, "not-contacts")


def test_what_an_invitation_refuses_is_documented(world: World, host: Host) -> None:
    """Every reason, by status and the end of its type."""
    named = {one.about["operationId"]: one for one in world.operations()}
    for name in ("ivy", "jan"):
        host.user(name)

    def told(body: Json, who: str = "user") -> tuple[int, str]:
        status = world.call(named["invite"], who, json=body)
        return status, world.last.json().get("type", "").removeprefix("/problems/")

    with host.person(host.token("ivy")) as ivy, host.person(host.token("ana")) as ana:
        theirs = ivy.post("/api/channels/group", json={"title": "theirs", "participant_ids": []}).json()["id"]
        own = ana.post("/api/channels/group", json={"title": "own", "participant_ids": []}).json()["id"]
        into: Json = {"kind": "channel", "channel_id": own, "user_id": "ivy"}
        assert told({"user_id": "nobody-at-all"}) == (404, "person-not-found")
        assert told({"user_id": "ivy", "template": "never-was"}) == (404, "template-not-found")
        assert told(into | {"channel_id": theirs, "user_id": "jan"}) == (404, "not-found")
        assert told({"user_id": "ivy"}) == (201, "")
        assert told({"user_id": "ivy"}) == (409, "already-invited")
        assert ivy.post("/api/invites", json={"user_id": "ana"}).status_code == 200
        assert told({"user_id": "ivy"}) == (409, "already-contacts")
        ana.post(f"/api/channels/{own}/participants", json={"user_id": "ivy"}).raise_for_status()
        assert told(into) == (409, "already-member")
        ana.patch(f"/api/channels/{own}", json={"status": "archived"}).raise_for_status()
        assert told(into | {"user_id": "jan"}) == (409, "conflict")
        ana.delete(f"/api/channels/{own}/participants/ana").raise_for_status()
        assert told(into | {"user_id": "jan"}) == (404, "not-found")


def test_an_undocumented_answer_is_found(world: World) -> None:
    """The broken variant: one status, then one type of problem, isn't published."""
    (operation,) = [one for one in world.operations() if one.about["operationId"] == "getMe"]
    kept = operation.about["responses"]
    for missing in ("401", "200"):
        less = {status: answer for status, answer in kept.items() if status != missing}
        changed = msgspec.structs.replace(operation, about=operation.about | {"responses": less})
        with pytest.raises(AssertionError):
            world.call(changed, "nobody" if missing == "401" else "user")
    plain: Json = {"401": {"content": {"application/problem+json": {"examples": {}}}}}
    with pytest.raises(AssertionError):
        world.call(msgspec.structs.replace(operation, about=operation.about | {"responses": kept | plain}), "nobody")
