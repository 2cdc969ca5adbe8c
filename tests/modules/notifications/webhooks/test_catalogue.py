"""What is published is what is sent, and all that is published can be wanted."""

import json
from typing import Any
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest

from bus import Event, event_name
from kernel.http.examples import example, guessed
from modules.notifications.webhooks import catalogue, schemas
from modules.notifications.webhooks.contract import POSTED

KINDS = [pytest.param(kind, id=event_name(kind)) for kind in POSTED]
NAMES = catalogue.names()


def event_of(kind: type[Event]) -> Event:
    """Return an event of this type."""
    data = example(catalogue.payload_type(kind))["data"]
    return msgspec.convert(data | {"type": event_name(kind)}, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_sent_is_as_published_and_holds_all_of_the_event(kind: type[Event]) -> None:
    schema = msgspec.json.schema(catalogue.payload_type(kind))
    event = event_of(kind)
    sent: Any = json.loads(catalogue.payload(event))
    jsonschema_rs.validate(schema, sent)
    assert sent["type"] == event_name(kind)
    assert sent["timestamp"].endswith("Z")
    own = json.loads(msgspec.json.encode(event))
    assert sent["data"] == {name: own[name] for name in own if name not in {"type", "occurred_at"}}
    assert next(iter(sent["data"])) == "event_id"
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(schema, sent | {"data": {}})


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_an_example(kind: type[Event]) -> None:
    assert guessed(catalogue.payload_type(kind)) == []


def test_the_published_types_are_those_of_the_contract() -> None:
    assert set(NAMES) == {
        "chat.message.created",
        "chat.message.revised",
        "chat.message.deleted",
        "chat.participant.joined",
        "chat.participant.left",
        "chat.channel.read",
        "contacts.invite.created",
        "contacts.invite.accepted",
        "contacts.invite.declined",
        "contacts.invite.revoked",
        "contacts.invite.expired",
        "contacts.invite.reminded",
        "contacts.contact.added",
        "contacts.contact.removed",
        "identity.user.updated",
        "identity.user.deactivated",
        "notifications.delivery.changed",
    }
    assert [one.type for one in schemas.event_types().items] == NAMES


def test_nothing_of_a_person_but_their_id_is_sent_when_they_change() -> None:
    fields = {name for kind in catalogue.PUBLISHED for name in kind.__struct_fields__}
    assert not fields & {"phone", "email", "connect_pin", "content"}


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("chat.message.created", {"chat.message.created"}),
        ("chat.message.*", {"chat.message.created", "chat.message.revised", "chat.message.deleted"}),
        ("chat.*", {name for name in NAMES if name.startswith("chat.")}),
        ("identity.*", {"identity.user.updated", "identity.user.deactivated"}),
        ("chat", set()),
        ("chat.message", set()),
        ("chat.mess.*", set()),
        ("contacts.*", {name for name in NAMES if name.startswith("contacts.")}),
        ("contact.*", set()),
        ("webhook.test", set()),
    ],
)
def test_a_pattern_is_a_name_or_the_beginning_of_some(pattern: str, meant: set[str]) -> None:
    assert catalogue.wanted([pattern]) == meant


def test_the_id_in_an_example_is_one() -> None:
    shown = example(catalogue.payload_type(catalogue.WebhookTest))["data"]["webhook_id"]
    assert str(UUID(shown)) == shown
