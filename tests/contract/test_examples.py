"""Published examples are what they are examples of, and nobody has to make them up."""

import json
from collections.abc import Iterator
from types import NoneType
from typing import Annotated, Any, Literal
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest
from litestar.routes import HTTPRoute
from msgspec import UNSET, Meta, UnsetType

from app import create_app
from contract import about
from kernel.errors import Problem
from kernel.http import asyncapi
from kernel.http.examples import example, guessed
from kernel.http.operations import Operation, operations
from kernel.settings import Settings
from modules.messaging.gateway.contract import CHAT
from modules.messaging.schemas.channels import ChannelView
from modules.messaging.schemas.messages import Message
from modules.notifications.personal.contract import PERSONAL

Json = dict[str, Any]

APP = create_app(Settings(dev_login=True))
OPERATIONS = list(operations([route for route in APP.routes if isinstance(route, HTTPRoute)]))
SUCCESS = range(200, 300)
SOCKETS = [CHAT, PERSONAL]
FRAMES = [(socket, frame) for socket in SOCKETS for frame in (*socket.receives, *socket.sends)]
IDS = [f"{socket.name}.{kind.__module__.rpartition('.')[2]}.{kind.__name__}" for socket, kind in FRAMES]


@pytest.fixture(scope="module")
def document() -> Json:
    return APP.openapi_schema.to_schema()


@pytest.fixture(scope="module")
def sockets() -> Json:
    return asyncapi.document(SOCKETS, about("https://chat.example"))


def published(document: Json, one: Operation) -> Json:
    """Return what is published of an operation."""
    operation: Json = document["paths"][one.path][one.method.lower()]
    return operation


def bodies(document: Json, operation: Json) -> Iterator[tuple[int, str, Json]]:
    """Yield (status, media type, content) of everything that it answers with."""
    for status, answer in operation["responses"].items():
        shared = document["components"]["responses"].get(answer.get("$ref", "").rpartition("/")[2], answer)
        for media_type, content in shared.get("content", {}).items():
            yield int(status), media_type, content


def fault(document: Json, schema: Json, value: Any) -> str | None:
    """Return what is wrong with a value, as published."""
    error = next(jsonschema_rs.iter_errors(schema | {"components": document["components"]}, value), None)
    return None if error is None else str(error)


@pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: one.handler.operation_id)
def test_a_request_can_be_sent_as_shown(document: Json, one: Operation) -> None:
    operation = published(document, one)
    for parameter in operation.get("parameters", ()):
        assert fault(document, parameter["schema"], parameter["example"]) is None, parameter
    if one.body is not None:
        content = operation["requestBody"]["content"]["application/json"]
        assert fault(document, content["schema"], content["example"]) is None
        msgspec.json.decode(json.dumps(content["example"]), type=one.body)


@pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: one.handler.operation_id)
def test_every_answer_has_an_example_that_is_one(document: Json, one: Operation) -> None:
    statuses = set()
    for status, media_type, content in bodies(document, published(document, one)):
        statuses.add(status)
        shown = [content["example"]] if "example" in content else [one["value"] for one in content["examples"].values()]
        assert [wrong for value in shown if (wrong := fault(document, content["schema"], value))] == []
        if status in SUCCESS:
            assert media_type == one.media_type
            assert msgspec.json.decode(json.dumps(shown[0]), type=one.reply)
        elif media_type == "application/problem+json":
            problems = [msgspec.convert(value, Problem) for value in shown]
            assert {problem.status for problem in problems} == {status}
            assert len({problem.type for problem in problems}) == len(problems)
    assert statuses >= {status for status in one.successes() if one.reply not in {None, NoneType}}


@pytest.mark.parametrize(("socket", "frame"), FRAMES, ids=IDS)
def test_a_frame_s_example_comes_through_its_struct_unchanged(
    sockets: Json, socket: asyncapi.SocketContract, frame: Any
) -> None:
    side = "client" if frame in socket.receives else "server"
    message = sockets["components"]["messages"][f"{socket.name}.{side}.{frame.__struct_config__.tag}"]
    (shown,) = message["examples"]
    assert fault(sockets, message["payload"], shown["payload"]) is None
    decoded = msgspec.json.decode(json.dumps(shown["payload"]), type=frame)
    assert json.loads(msgspec.json.encode(decoded)).items() >= shown["payload"].items()


def test_every_field_has_an_example_from_its_type_or_its_name() -> None:
    """A new field needs `Meta(examples=…)`, or its name an entry in `kernel.http.words`."""
    kinds = [kind for one in OPERATIONS for kind in (one.body, one.reply) if kind not in {None, NoneType}]
    kinds += [frame for _, frame in FRAMES]
    assert sorted({field for kind in kinds for field in guessed(kind)}) == []


class Inner(msgspec.Struct):
    shoe_size: int


class Derived(ChannelView, frozen=True, kw_only=True):
    inner: Inner


class Sample(msgspec.Struct, tag="sample", tag_field="type"):
    told: Annotated[str, Meta(examples=["as told"])]
    user_id: str
    channel_id: UUID
    choice: Literal["only"]
    seq: int | None
    made_up: str
    inner: list[Inner]
    deleted_at: str | UnsetType = UNSET
    reason: str | None = None
    count: int = 3


def test_where_an_example_comes_from() -> None:
    shown = example(Sample)
    assert shown | {"channel_id": ""} == {
        "type": "sample",
        "told": "as told",
        "user_id": "ana",
        "channel_id": "",
        "choice": "only",
        "seq": 17,
        "made_up": "text",
        "inner": [{"shoe_size": 1}],
        "count": 3,
    }
    assert UUID(shown["channel_id"]).version == 7
    assert {"deleted_at", "reason"} <= example(Sample, full=True).keys()


def test_what_a_field_means_it_means_in_derived_structs_too() -> None:
    assert example(Derived)["id"] == example(ChannelView)["id"] == example(Message)["channel_id"]
    assert example(Derived)["id"] != example(Message)["id"]


def test_a_field_without_an_example_is_found() -> None:
    """The broken variant."""
    assert set(guessed(Sample)) == {"Sample.made_up", "Inner.shoe_size", "Sample.deleted_at"}


def invites(value: Any, told_by: str = "") -> Iterator[tuple[str, Json]]:
    """Yield every invitation in a JSON value, with the type of what tells it."""
    for one in value if isinstance(value, list) else []:
        yield from invites(one)
    if isinstance(value, dict):
        if {"invitor", "invitee"} <= value.keys():
            yield told_by, value
        for one in value.values():
            yield from invites(one, str(value.get("type") or told_by))


def test_invitations_are_as_they_can_be(document: Json, sockets: Json) -> None:
    """What the database wouldn't keep is no example, and what ended is told of as what it is."""
    answers = [content for one in OPERATIONS for *_, content in bodies(document, published(document, one))]
    examples = [content.get("example") for content in answers]
    examples += [one["payload"] for frame in sockets["components"]["messages"].values() for one in frame["examples"]]
    examples += list(document["webhooks"].values())
    found = list(invites(examples))
    assert {told_by.rpartition(".")[2] for told_by, _ in found} >= {"accepted", "expired", "reminder", "reminded"}
    for told_by, one in found:
        of_channel = {one[field] is not None for field in ("channel_id", "channel_role", "channel_title")}
        assert of_channel == {one["kind"] == "channel"}, told_by
        assert (one["responded_at"] is not None) == (one["status"] in {"accepted", "declined"}), told_by
        assert told_by.rpartition(".")[2] in {one["status"], "", "received", "created", "reminder", "reminded"}, told_by
