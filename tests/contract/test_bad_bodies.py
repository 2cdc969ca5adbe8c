"""Every documented field of every body, with everything wrong in its place: the documented problem, and no trace."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from litestar.routes import HTTPRoute

from app import create_app
from kernel.http.operations import Operation, operations
from kernel.settings import Settings
from tests.support.inputs import Bad, bad_bodies, broken_bodies, example
from tests.support.servers import Host, Server
from tests.support.tables import contents, settled

IN_PATHS = {
    "user_id": "ana",
    "context_type": "booking",
    "context_id": "b1",
    "slug": "conflict",
    "emoji": "\N{THUMBS UP SIGN}",
    "name": "crew",
    "message_id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "webhook_id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "invite_id": "01890a5d-ac96-774b-bcce-b302099a8057",
}
ANA = {"user_id": "ana", "role": "worker"}
ZOE = {"username": "zoe", "display_name": "Zoe"}
LISTED_SEPARATELY = {"putUsers": {"/users/0"}}
"""Entries of a batch fail alone: the answer is a result for each, not a refusal."""


def writes() -> list[Operation]:
    """Return the operations that take a body."""
    app = create_app(Settings(dev_login=True))
    routes = [route for route in app.routes if isinstance(route, HTTPRoute)]
    return [one for one in operations(routes) if one.body is not None]


WRITES = writes()


@pytest.fixture(scope="module")
def clients(host: Host) -> Iterator[dict[str, httpx.Client]]:
    """A host and a person who takes part in a conversation."""
    ana, _ = host.user("ana"), host.user("ben")
    host.context("b1", {"ana": "worker", "ben": "supervisor"})
    with host.person(ana) as person, host.person(host.token("ana", role="admin")) as admin:
        yield {"key": host.http, "user": person, "anyone": person, "admin": admin}


@pytest.fixture(scope="module")
def channel(server: Server, clients: dict[str, httpx.Client]) -> str:
    message = {"client_id": "first", "content": "hello"}
    answer = clients["user"].post("/api/contexts/booking/b1/messages", json=message)
    settled(server.environment["DATABASE_URL"])
    return str(answer.raise_for_status().json()["channel_id"])


@pytest.fixture
def untouched(server: Server, channel: str) -> Iterator[None]:
    """Nothing is written by whatever the test sends."""
    before = contents(server.environment["DATABASE_URL"])
    yield
    assert contents(server.environment["DATABASE_URL"]) == before


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.handler.operation_id)
@pytest.mark.usefixtures("untouched")
def test_a_bad_body_gets_the_documented_problem(
    write: Operation, clients: dict[str, httpx.Client], channel: str
) -> None:
    separate = LISTED_SEPARATELY.get(str(write.handler.operation_id), set())
    client = clients[min(kind.partition(":")[0] for kind in write.callers)]
    path = write.path.format(**IN_PATHS, channel_id=channel)
    tables = [bad for bad in [*bad_bodies(write.body), *broken_bodies()] if bad.pointer not in separate]
    assert len(tables) >= 20
    wrong = []
    for bad in tables:
        answer = client.request(write.method, path, content=bad.body, headers={"Content-Type": "application/json"})
        if (fault := _fault(bad, answer)) is not None:
            wrong.append((bad.what, bad.body[:200], fault, answer.status_code, answer.text[:400]))
    assert wrong == []


def _fault(bad: Bad, answer: httpx.Response) -> str | None:
    if answer.status_code != 400:
        return "status"
    if answer.headers["content-type"] != "application/problem+json":
        return "content type"
    problem = answer.json()
    if problem["type"] != "/problems/malformed" or problem["request_id"] != answer.headers["x-request-id"]:
        return "problem"
    if bad.pointer is None:
        return None if problem["detail"] else "detail"
    said = [error["message"] for error in problem.get("errors", []) if error["pointer"] == bad.pointer]
    return None if any(bad.says in message for message in said) else "errors"


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.handler.operation_id)
def test_the_examples_that_bad_input_is_made_from_are_good(write: Operation) -> None:
    """Otherwise the table would test something else than the field that it says."""
    msgspec.json.decode(json.dumps(example(write.body)), type=write.body)


RULES: dict[str, tuple[str, Any, int, str, str]] = {
    "a long text": ("messages", {"client_id": "1", "content": "x" * 5001}, 413, "/content", "5000"),
    "long, in four bytes each": (
        "messages",
        {"client_id": "1", "content": "\U0001f600" * 5001},
        413,
        "/content",
        "5000",
    ),
    "much metadata": ("context", {"participants": [], "metadata": {"a": "x" * 16384}}, 400, "/metadata", "16384"),
    "NUL in metadata": ("context", {"participants": [], "metadata": {"a": ["\0"]}}, 400, "/metadata", "U+0000"),
    "NUL in a name": ("context", {"participants": [], "metadata": {"a\0": 1}}, 400, "/metadata", "U+0000"),
    "a crowd": ("context", {"participants": [ANA] * 1001}, 400, "/participants", "1000"),
    "somebody twice": ("context", {"participants": [ANA] * 2}, 400, "/participants/1/user_id", "twice"),
    "a stranger": ("context", {"participants": [ANA | {"user_id": "who"}]}, 400, "/participants/0/user_id", "unknown"),
    "a strange role": (
        "context",
        {"participants": [ANA | {"role": "chef"}]},
        400,
        "/participants/0/role",
        "supervisor",
    ),
    "a strange zone": ("user", ZOE | {"time_zone": "Mars/Base"}, 400, "/time_zone", "IANA"),
    "a strange phone": ("user", ZOE | {"phone": "+1234567"}, 400, "/phone", "telephone"),
    "a reserved prefix": ("user", ZOE | {"username": "deactivated-zoe"}, 400, "/username", "deactivated-"),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.usefixtures("untouched")
def test_rules_beyond_the_schema_name_the_field_and_the_limit(
    clients: dict[str, httpx.Client], channel: str, rule: str
) -> None:
    what, body, status, pointer, says = RULES[rule]
    method, url, who = {
        "messages": ("POST", f"/api/channels/{channel}/messages", "user"),
        "context": ("PUT", "/api/contexts/booking/b1", "key"),
        "user": ("PUT", "/api/users/zoe", "key"),
    }[what]
    answer = clients[who].request(method, url, json=body)
    assert answer.status_code == status, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert says in error["message"]


@pytest.mark.usefixtures("untouched")
def test_a_batch_answers_for_each_entry_and_bad_ones_leave_no_trace(clients: dict[str, httpx.Client]) -> None:
    bad: list[Any] = [
        1,
        None,
        [],
        {},
        {"user_id": "\0"},
        {"user_id": "x", "username": "x", "display_name": "x", "more": 1},
    ]
    results = clients["key"].post("/api/users/batch", json={"users": bad}).raise_for_status().json()["results"]
    assert [result["status"] for result in results] == ["error"] * len(bad)
    assert all(result["problem"]["errors"][0]["pointer"].startswith(f"/users/{i}") for i, result in enumerate(results))


def test_a_repeated_name_in_an_object_counts_once_as_its_last(clients: dict[str, httpx.Client], channel: str) -> None:
    body = b'{"client_id": "twice", "content": "first", "content": "second"}'
    answer = clients["user"].post(f"/api/channels/{channel}/messages", content=body)
    assert answer.status_code == 201
    assert answer.json()["content"] == "second"


def test_the_checker_finds_a_trace(server: Server, clients: dict[str, httpx.Client], channel: str) -> None:
    """The broken variant of `untouched`: something is written after all."""
    settled(server.environment["DATABASE_URL"])
    before = contents(server.environment["DATABASE_URL"])
    clients["user"].put(f"/api/channels/{channel}/read", json={"seq": 1}).raise_for_status()
    after = contents(server.environment["DATABASE_URL"])
    assert {name for name in after if after[name] != before[name]} == {"chat_participants"}
