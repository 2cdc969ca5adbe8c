"""The published AsyncAPI document agrees with what goes over the socket."""

import json
from typing import Any, get_args
from uuid import uuid4

import httpx
import jsonschema_rs
import pytest

from kernel.http.asyncapi import tagged
from modules.messaging.gateway import client_frames, server_frames
from modules.messaging.gateway.contract import CHAT
from tests.contract.test_openapi import every
from tests.support.chat import chat
from tests.support.inputs import example
from tests.support.servers import Host, Server

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document(host: Host) -> Json:
    """The document as it is served, to anybody."""
    answer = httpx.get(f"{host.server.url}/schema/asyncapi.json", trust_env=False).raise_for_status()
    assert answer.headers["content-type"].startswith("application/vnd.aai.asyncapi+json")
    served: Json = answer.json()
    return served


def fault(document: Json, side: str, frame: Json) -> str | None:
    """Return what is wrong with a frame, as published."""
    message = document["components"]["messages"].get(f"{side}.{frame['type']}")
    if message is None:
        return "not published"
    schema = message["payload"] | {"components": document["components"]}
    error = next(jsonschema_rs.iter_errors(schema, frame), None)
    return None if error is None else str(error)


def test_every_frame_of_both_sides_is_published(document: Json) -> None:
    assert document["asyncapi"] == "3.0.0"
    messages = document["channels"]["chat"]["messages"].keys()
    incoming = {f"client.{kind.__struct_config__.tag}" for kind in client_frames.ClientFrame.__subclasses__()}
    outgoing = {f"server.{kind.__struct_config__.tag}" for kind in tagged(server_frames.ServerFrame)}
    assert messages == incoming | outgoing
    assert set(get_args(client_frames.Incoming)) == set(client_frames.ClientFrame.__subclasses__())
    assert document["operations"].keys() == {"chat.receive", "chat.send"}
    for code in (4401, 4403, 4404, 4408, 4429, 4400, 4008, 1009, 1012, 1013):
        assert f"- {code}: " in document["channels"]["chat"]["description"]


def test_every_reference_leads_somewhere(document: Json) -> None:
    for reference in set(every(document, "$ref")):
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found


@pytest.mark.parametrize("kind", CHAT.receives, ids=lambda kind: str(kind.__struct_config__.tag))
def test_good_frames_are_good_by_the_document_and_bad_ones_are_not(document: Json, kind: Any) -> None:
    good = example(kind)
    assert fault(document, "client", good) is None
    assert fault(document, "client", good | {"more": 1})
    for field in kind.__struct_fields__:
        assert fault(document, "client", good | {field: [[]]}), field


async def test_what_the_server_sends_is_as_published(document: Json, server: Server, host: Host) -> None:
    ana, ben = host.user("ana"), host.user("ben")
    name = uuid4().hex
    two = {"ana": "claimant", "ben": "respondent"}
    host.context(name, two, kind="dispute")
    context = {"type": "dispute", "id": name}
    async with chat(server.ws_url, ana) as at_ana, chat(server.ws_url, ben) as at_ben:
        ack = await at_ana.message("hello", context=context)
        await at_ana.message("hello again\0", context=context)
        host.context(name, {**two, "ben": "party"}, kind="dispute")
        host.context(name, two, kind="dispute", status="closed")
        host.context(name, two, kind="dispute")
        await at_ana.send(type="read", channel_id=ack["channel_id"], seq=1)
        await at_ana.send(type="auth", token=ana)
        after = [{"channel_id": ack["channel_id"], "after_seq": 0}]
        await at_ana.send(type="resume", ref="r", epoch=at_ana.ready["epoch"], channels=after)
        await at_ana.send(type="resume", ref="r", epoch="another", channels=after)
        host.context(name, {"ana": "claimant"}, kind="dispute")
        host.context(name, two, kind="dispute")
        await at_ana.receive("participant.joined")
        await at_ana.send(type="ping")
        await at_ana.receive("pong")
        await at_ben.send(type="ping", ref="last")
        await at_ben.receive("pong")
        seen = [at_ana.ready, *at_ana.seen, *at_ben.seen]
    assert [(frame, wrong) for frame in seen if (wrong := fault(document, "server", frame))] == []
    every_kind = {str(kind.__struct_config__.tag) for kind in CHAT.sends}
    assert every_kind - {frame["type"] for frame in seen} <= {"presence", "typing", "receipt"}


def test_the_check_finds_a_frame_that_is_not_as_published(document: Json) -> None:
    """The broken variants."""
    assert fault(document, "server", {"type": "shout"}) == "not published"
    assert fault(document, "server", {"type": "auth.refreshed", "expires_at": 5})
    assert fault(document, "client", json.loads('{"type": "ping", "ref": 5}'))
