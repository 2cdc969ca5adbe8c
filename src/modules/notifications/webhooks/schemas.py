"""What goes in and out over HTTP."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bus import event_name
from kernel.clock import Timestamp, rfc3339, rfc3339_or_none
from kernel.errors import malformed_field
from kernel.http.examples import example
from kernel.incoming import Incoming
from kernel.text import NO_NUL, URL, pattern
from modules.notifications.webhooks import catalogue
from modules.notifications.webhooks.delivery import Fault, State
from modules.notifications.webhooks.sender import Sent
from modules.notifications.webhooks.service import REPLAYED_AT_ONCE, Change
from modules.notifications.webhooks.store.log import Logged
from modules.notifications.webhooks.webhook import DisabledReason, Webhook, living

DAY_S = 86_400
MAX_GRACE_S = 7 * DAY_S
SHOWN_BYTES = 500

EVENT_PATTERN = pattern(
    r"\A[a-z_]+(\.[a-z_]+)*(\.\*)?\Z", "must be the name of a type, or the beginning of some and .*"
)
Endpoint = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2000,
        pattern=URL,
        description="An https:// address that leads to the public internet",
        examples=["https://shop.example/parley"],
    ),
]
EventPattern = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=EVENT_PATTERN,
        description="A type from `GET /api/webhooks/event-types`, or the beginning of some of them and `.*`",
        examples=["chat.message.*"],
    ),
]
EventPatterns = Annotated[list[EventPattern], Meta(min_length=1, max_length=50)]
EventName = Annotated[str, Meta(description="A type of event", examples=["chat.message.created"])]
Description = Annotated[str, Meta(max_length=200, pattern=NO_NUL, examples=["Bookings, production"])]
Secret = Annotated[
    str,
    Meta(
        description="Signs what is sent. Shown now and never again",
        examples=["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="],
    ),
]


class PostWebhook(Incoming, frozen=True, kw_only=True):
    """A webhook to make."""

    url: Endpoint
    events: EventPatterns
    description: Description | None = None


class PatchWebhook(Incoming, frozen=True, kw_only=True):
    """What is to be another; what is left out stays."""

    url: Endpoint | UnsetType = UNSET
    events: EventPatterns | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET

    def change(self) -> Change:
        """Return it as the service knows it.

        Raises:
            MalformedError: no published type is meant by one of the events.
        """
        events = self.events if self.events is UNSET else known(self.events)
        return Change(url=self.url, events=events, description=self.description, enabled=self.enabled)


class PostRotation(Incoming, frozen=True):
    """How a secret is to be replaced. `grace_s`: for how long the old one signs, too."""

    grace_s: Annotated[int, Meta(ge=0, le=MAX_GRACE_S)] = DAY_S


class PostReplay(Incoming, frozen=True):
    """What to send again: all that was given up, of events since this moment."""

    since: Annotated[datetime, Meta(tz=True)]


class WebhookView(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook.

    `disabled_reason`: the host's wish, the answer 410, or five days of nothing but failures. `failing_since`: when the
    first of the failures happened that nothing has followed but failures. `previous_secret_until`: until when the
    secret before this one signs, too.
    """

    id: UUID
    url: Endpoint
    events: list[EventPattern]
    description: Description | None
    enabled: bool
    disabled_reason: DisabledReason | None
    failing_since: Timestamp | None
    previous_secret_until: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp


class WebhookWithSecret(WebhookView, frozen=True, kw_only=True):
    """A webhook and its secret."""

    secret: Secret


class WebhookPage(msgspec.Struct, frozen=True):
    """Webhooks, in the order in which they were made."""

    items: list[WebhookView]
    next: str | None


class AttemptView(msgspec.Struct, frozen=True):
    """One request. `status`: of the answer, where there was one; `fault`: what was wrong, where something was."""

    at: Timestamp
    duration_ms: int
    status: int | None
    fault: Fault | None


class WebhookDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way to a webhook. `attempts`: the last thirty, oldest first."""

    id: UUID
    event_id: UUID
    event_type: EventName
    state: State
    reason: str | None
    attempts: Annotated[
        list[AttemptView],
        Meta(examples=[[{"at": "2026-01-31T09:15:00.000000Z", "duration_ms": 87, "status": 204, "fault": None}]]),
    ]
    next_attempt_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp


class WebhookDeliveryPage(msgspec.Struct, frozen=True):
    """A webhook's log, newest first."""

    items: list[WebhookDelivery]
    next: str | None


class Replayed(msgspec.Struct, frozen=True):
    """How many are sent again. `more`: there may be others; ask again."""

    replayed: int
    more: bool


class TestOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a test. `body`: the beginning of the answer."""

    delivered: bool
    duration_ms: int
    status: int | None
    fault: Fault | None
    body: str


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """A type of event. `schema`: of the whole body that is posted, as JSON Schema."""

    type: EventName
    description: str
    schema: dict[str, Any]
    example: dict[str, Any]


class EventTypes(msgspec.Struct, frozen=True):
    """All types that a webhook may want."""

    items: list[EventType]


def known(patterns: list[str]) -> list[str]:
    """Return the patterns, each once.

    Raises:
        MalformedError: one of them means no published type.
    """
    for index, one in enumerate(patterns):
        if not catalogue.wanted([one]):
            raise malformed_field(f"/events/{index}", "means no event that is published; see /api/webhooks/event-types")
    return list(dict.fromkeys(patterns))


def view(webhook: Webhook, now: datetime) -> WebhookView:
    """Render a webhook."""
    return WebhookView(**_shown(webhook, now))


def with_secret(webhook: Webhook, now: datetime) -> WebhookWithSecret:
    """Render a webhook with its secret."""
    return WebhookWithSecret(**_shown(webhook, now), secret=webhook.secret)


def delivery(logged: Logged) -> WebhookDelivery:
    """Render a delivery."""
    return WebhookDelivery(
        id=logged.id,
        event_id=logged.event_id,
        event_type=logged.event_type,
        state=logged.state,
        reason=logged.reason,
        attempts=msgspec.convert(logged.attempts, list[AttemptView]),
        next_attempt_at=rfc3339(logged.due_at) if logged.state == "pending" else None,
        created_at=rfc3339(logged.created_at),
        updated_at=rfc3339(logged.updated_at),
    )


def result(sent: Sent) -> TestOutcome:
    """Render what came of a test."""
    return TestOutcome(
        delivered=sent.attempt.taken,
        duration_ms=sent.attempt.duration_ms,
        status=sent.attempt.status,
        fault=sent.attempt.fault,
        body=sent.body[:SHOWN_BYTES].decode(errors="replace"),
    )


def replayed(count: int) -> Replayed:
    """Render how many are sent again."""
    return Replayed(count, more=count >= REPLAYED_AT_ONCE)


def event_types() -> EventTypes:
    """Render the catalogue."""
    return EventTypes(
        [
            EventType(
                type=event_name(kind),
                description=catalogue.description(kind),
                schema=msgspec.json.schema(catalogue.payload_type(kind)),
                example=example(catalogue.payload_type(kind)),
            )
            for kind in catalogue.PUBLISHED
        ]
    )


def _shown(webhook: Webhook, now: datetime) -> dict[str, Any]:
    both = len(living(webhook.secret, webhook.previous_secret, webhook.previous_until, now)) > 1
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": webhook.events,
        "description": webhook.description,
        "enabled": webhook.disabled_at is None,
        "disabled_reason": webhook.disabled_reason,
        "failing_since": rfc3339_or_none(webhook.failing_since),
        "previous_secret_until": rfc3339_or_none(webhook.previous_until) if both else None,
        "created_at": rfc3339(webhook.created_at),
        "updated_at": rfc3339(webhook.updated_at),
    }
