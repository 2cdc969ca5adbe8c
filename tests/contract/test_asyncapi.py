"""The published AsyncAPI document agrees with what goes over the socket."""

import gzip
import json
from itertools import product
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import httpx
import jsonschema_rs
import msgspec
import pytest

from bus import event_name
from kernel.http.asyncapi import FrameType, tagged
from modules.messaging.gateway import client_frames, server_frames
from modules.messaging.gateway.contract import CHAT
from modules.notifications.personal.contract import PERSONAL
from modules.notifications.personal.deltas import DELTAS, Delta
from modules.notifications.personal.frames import ContactAdded, ContactRemoved, InviteFrame, PersonalFrame
from realtime import frames
from tests.contract.test_openapi import every
from tests.modules.notifications.webhooks.test_catalogue import event_of
from tests.support.chat import chat
from tests.support.inputs import example
from tests.support.servers import Host, Server

Json = dict[str, Any]
OFFICIAL = Path(__file__).parent / "official" / "asyncapi-3.0.0.json.gz"
OF_CONTACTS: set[FrameType] = {*tagged(InviteFrame), ContactAdded, ContactRemoved}
"""What the personal socket tells of what contacts publish."""


@pytest.fixture(scope="module")
def document(host: Host) -> Json:
    """The document as it is served, to anybody."""
    answer = httpx.get(f"{host.server.url}/schema/asyncapi.json", trust_env=False).raise_for_status()
    assert answer.headers["content-type"].startswith("application/vnd.aai.asyncapi+json")
    served: Json = answer.json()
    return served


def fault(document: Json, side: str, frame: Json, socket: str = "chat") -> str | None:
    """Return what is wrong with a frame, as published."""
    message = document["components"]["messages"].get(f"{socket}.{side}.{frame['type']}")
    if message is None:
        return "not published"
    schema = message["payload"] | {"components": document["components"]}
    error = next(jsonschema_rs.iter_errors(schema, frame), None)
    return None if error is None else str(error)


def test_every_frame_of_both_sides_is_published(document: Json) -> None:
    assert document["asyncapi"] == "3.0.0"
    messages = document["channels"]["chat"]["messages"].keys()
    incoming = {f"client.{kind.__struct_config__.tag}" for kind in frames.ClientFrame.__subclasses__()}
    everywhere: tuple[Any, ...] = (frames.AuthRefreshed, frames.ErrorFrame, frames.Presence, frames.Pong)
    outgoing = {f"server.{kind.__struct_config__.tag}" for kind in (*tagged(server_frames.ServerFrame), *everywhere)}
    assert messages == incoming | outgoing
    assert set(get_args(client_frames.Incoming)) == set(frames.ClientFrame.__subclasses__())
    personal = {f"client.{kind.__struct_config__.tag}" for kind in (frames.Auth, frames.Ping)}
    outgoing = {f"server.{kind.__struct_config__.tag}" for kind in (*tagged(PersonalFrame), *everywhere)}
    assert document["channels"]["personal"]["messages"].keys() == personal | outgoing
    operations = {f"chat.{name}" for name in incoming} | {f"personal.{name}" for name in personal}
    assert document["operations"].keys() == operations | {"chat.tell", "personal.tell"}
    for code, name in product((4401, 4403, 4404, 4408, 4429, 4400, 4008, 1009, 1012, 1013), ("chat", "personal")):
        assert f"- {code}: " in document["channels"][name]["description"]


def test_it_is_an_asyncapi_document_by_the_official_schema(document: Json) -> None:
    official = jsonschema_rs.validator_for(json.loads(gzip.decompress(OFFICIAL.read_bytes())))
    assert [str(error) for error in official.iter_errors(document)] == []
    del document["operations"]["chat.tell"]["action"]
    try:
        assert not official.is_valid(document)  # the broken variant
    finally:
        document["operations"]["chat.tell"]["action"] = "send"


REPLIES = {
    "auth": {"ready", "auth.refreshed"},
    "message.send": {"ack"},
    "message.revise": {"ack"},
    "message.delete": {"ack"},
    "reaction.add": {"ack"},
    "reaction.remove": {"ack"},
    "resume": {"resumed"},
    "presence.watch": {"presence"},
    "ping": {"pong"},
}
"""As promised; a frame that isn't named here is answered only when it is refused."""


def names(messages: list[Json]) -> set[str]:
    """Return what the references to messages end in."""
    return {reference["$ref"].partition("/messages/")[2] for reference in messages}


@pytest.mark.parametrize("kind", CHAT.receives, ids=lambda kind: str(kind.__struct_config__.tag))
def test_a_frame_says_what_answers_it(document: Json, kind: Any) -> None:
    tag = str(kind.__struct_config__.tag)
    operation = document["operations"][f"chat.client.{tag}"]
    assert names(operation["messages"]) == {f"client.{tag}"}
    assert names(operation["reply"]["messages"]) == {f"server.{name}" for name in REPLIES.get(tag, set()) | {"error"}}
    message = document["components"]["messages"][f"chat.client.{tag}"]
    assert ("correlationId" in message) == ("ref" in kind.__struct_fields__)


def test_what_is_durable_has_a_place_in_the_log_and_nothing_else_has(document: Json) -> None:
    durable = set()
    for kind in CHAT.sends:
        name = f"server.{kind.__struct_config__.tag}"
        (tag,) = (one["$ref"].rpartition("/")[2] for one in document["components"]["messages"][f"chat.{name}"]["tags"])
        if tag == "durable":
            durable.add(name)
            assert {"channel_id", "seq"} <= set(kind.__struct_fields__), name
        elif tag == "ephemeral":
            assert "seq" not in kind.__struct_fields__, name
    told = names(document["operations"]["chat.tell"]["messages"])
    assert {"server.message.created", "server.participant.left", "server.channel.archived"} <= durable <= told
    assert not told & {"server.ack", "server.error", "server.ready", "server.resumed", "server.pong"}


def test_how_to_get_in_is_published(document: Json, host: Host) -> None:
    (server,) = document["servers"].values()
    assert server["protocol"] == "ws"
    assert {one["$ref"].rpartition("/")[2] for one in server["security"]} == {"frame", "ticket"}
    for name, address in (("chat", "/ws/chat"), ("personal", "/ws/notifications")):
        handshake = document["channels"][name]["bindings"]["ws"]
        assert handshake["headers"]["properties"]["Sec-WebSocket-Protocol"]["const"] == "parley.v1"
        assert document["channels"][name]["address"] == address


def test_what_the_personal_socket_tells_by_itself(document: Json) -> None:
    of_contacts = {f"server.{kind.__struct_config__.tag}" for kind in OF_CONTACTS}
    assert {"server.invite.received", "server.invite.reminder", "server.contact.removed"} < of_contacts
    others = {"server.badge", "server.notice", "server.presence"}
    assert names(document["operations"]["personal.tell"]["messages"]) == of_contacts | others
    answers = {"auth": {"server.ready", "server.auth.refreshed"}, "ping": {"server.pong"}}
    for tag, expected in answers.items():
        operation = document["operations"][f"personal.client.{tag}"]
        assert names(operation["reply"]["messages"]) == expected | {"server.error"}
    for kind in PERSONAL.receives:
        good = example(kind)
        assert fault(document, "client", good, "personal") is None
        assert fault(document, "client", good | {"more": 1}, "personal")


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
        about = {"ref": "c", "message_id": ack["message"]["id"]}
        await at_ana.send(type="message.revise", client_id="revision", content="hello, all", **about)
        await at_ana.send(type="reaction.add", emoji="\N{THUMBS UP SIGN}", **about)
        await at_ana.send(type="reaction.remove", emoji="\N{THUMBS UP SIGN}", **about)
        await at_ana.send(type="message.delete", **about)
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


async def test_what_the_personal_socket_tells_is_as_published(document: Json, server: Server, host: Host) -> None:
    ana, ben = host.user("ana"), host.user("ben")
    name = uuid4().hex
    host.context(name, {"ana": "claimant", "ben": "respondent"}, kind="dispute")
    async with chat(server.personal_url, ben) as page, chat(server.ws_url, ana) as at_ana:
        ack = await at_ana.message("hello", context={"type": "dispute", "id": name})
        await page.receive("badge")
        with host.person(ben) as http:
            http.put(f"/api/channels/{ack['channel_id']}/read", json={"seq": 1}).raise_for_status()
        await page.receive("badge")
        words = {"title": "Hello", "body": "there", "user_ids": ["ben"]}
        for body in (words, words | {"link": "/here"}):
            host.http.post("/api/notices", json=body).raise_for_status()
            await page.receive("notice")
        await page.send(type="auth", token=ben)
        await page.send(type="shout", ref="r")
        await page.send(type="ping")
        await page.receive("pong")
    assert [(frame, wrong) for frame in page.seen if (wrong := fault(document, "server", frame, "personal"))] == []
    every_kind = {str(kind.__struct_config__.tag) for kind in PERSONAL.sends if kind not in OF_CONTACTS}
    assert every_kind - {frame["type"] for frame in page.seen} == {"presence"}


@pytest.mark.parametrize("delta", DELTAS, ids=lambda delta: event_name(delta.event))
def test_what_contacts_publish_is_told_as_published(document: Json, delta: Delta) -> None:
    """Who is told what, and when, is in `tests/modules/notifications/personal/test_contacts`."""
    told = [json.loads(msgspec.json.encode(content)) for _, content in delta.tells(event_of(delta.event))]
    assert told
    assert [(frame, wrong) for frame in told if (wrong := fault(document, "server", frame, "personal"))] == []


def test_the_check_finds_a_frame_that_is_not_as_published(document: Json) -> None:
    """The broken variants."""
    assert fault(document, "server", {"type": "shout"}) == "not published"
    assert fault(document, "server", {"type": "auth.refreshed", "expires_at": 5})
    assert fault(document, "client", json.loads('{"type": "ping", "ref": 5}'))
