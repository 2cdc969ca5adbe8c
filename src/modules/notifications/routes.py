"""Preferences, the ledger, and Twilio's webhooks over HTTP."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import parse_qs
from uuid import UUID

from litestar import MediaType, Request, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from kernel.auth import Principal
from kernel.errors import ForbiddenError, TooLargeError, UnavailableError, malformed_field
from kernel.http.access import ADMIN, ANYONE, USER, refuses, who
from kernel.http.parameters import Cursor, HostIdInQuery, Limit
from modules.notifications.domain.delivery import State
from modules.notifications.errors import BadSignatureError, NotReplayableError
from modules.notifications.schemas import (
    DeliveryOut,
    DeliveryPage,
    PreferencesIn,
    PreferencesOut,
    delivery_out,
    preferences_out,
)
from modules.notifications.service import Notifications
from modules.notifications.transports.twilio_webhooks import TwilioWebhooks, answer, report, twiml

TAGS = ["Notifications"]
Twiml = Annotated[str, Meta(examples=['<?xml version="1.0" encoding="UTF-8"?><Response></Response>'])]
SIGNATURE = "x-twilio-signature"


@get(
    "/api/notifications/preferences",
    opt=who(USER),
    operation_id="getNotificationPreferences",
    summary="What you want to hear of, and when not",
    tags=TAGS,
)
async def get_preferences(
    caller: NamedDependency[Principal], notifications: NamedDependency[Notifications]
) -> PreferencesOut:
    return preferences_out(await notifications.preferences(caller.id))


@put(
    "/api/notifications/preferences",
    opt=who(USER),
    operation_id="putNotificationPreferences",
    summary="Choose what you want to hear of, and when not",
    tags=TAGS,
)
async def put_preferences(
    caller: NamedDependency[Principal], data: JSONBody[PreferencesIn], notifications: NamedDependency[Notifications]
) -> PreferencesOut:
    chosen = data.chosen()
    if chosen.paused_until is not None:
        _utc(chosen.paused_until)
    await notifications.choose(caller.id, chosen)
    return preferences_out(chosen)


@get(
    "/api/notifications/deliveries",
    opt=who(USER),
    operation_id="listDeliveries",
    summary="The ledger of SMS and push: your own; for admins everybody's",
    tags=TAGS,
)
async def list_deliveries(
    caller: NamedDependency[Principal],
    notifications: NamedDependency[Notifications],
    user_id: HostIdInQuery = None,
    delivery_state: Annotated[State | None, QueryParameter(name="state")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DeliveryPage:
    found = await notifications.deliveries(
        user_id=_whose(caller, user_id),
        state=delivery_state,
        before=None if cursor is None else _from_cursor(cursor),
        limit=limit + 1,
    )
    page = found[:limit]
    return DeliveryPage(
        items=[delivery_out(delivery) for delivery in page],
        next=_cursor(page[-1].id) if len(found) > limit else None,
    )


@post(
    "/api/admin/notifications/deliveries/{delivery_id:uuid}/replay",
    opt=who(ADMIN) | refuses(NotReplayableError),
    status_code=200,
    operation_id="replayDelivery",
    summary="Try a dead delivery again, through the same gates",
    tags=TAGS,
)
async def replay_delivery(delivery_id: FromPath[UUID], notifications: NamedDependency[Notifications]) -> DeliveryOut:
    return delivery_out(await notifications.replay(delivery_id))


@post(
    "/webhooks/twilio/status",
    opt=who(ANYONE) | refuses(BadSignatureError, TooLargeError, UnavailableError),
    status_code=204,
    operation_id="twilioStatus",
    summary="Twilio reports what became of an SMS (signed)",
    tags=["Webhooks"],
)
async def twilio_status(
    request: Request[Any, Any, Any],
    notifications: NamedDependency[Notifications],
    twilio_webhooks: NamedDependency[TwilioWebhooks],
) -> None:
    form = await _signed(request, twilio_webhooks)
    told = report(parse_qs(request.scope["query_string"].decode("latin-1")), form)
    if told is not None:
        await notifications.report(told)


@post(
    "/webhooks/twilio/inbound",
    opt=who(ANYONE) | refuses(BadSignatureError, TooLargeError, UnavailableError),
    status_code=200,
    media_type=MediaType.XML,
    operation_id="twilioInbound",
    summary="Somebody answers an SMS: STOP, START, HELP (signed)",
    tags=["Webhooks"],
)
async def twilio_inbound(
    request: Request[Any, Any, Any],
    notifications: NamedDependency[Notifications],
    twilio_webhooks: NamedDependency[TwilioWebhooks],
) -> Twiml:
    heard = answer(await _signed(request, twilio_webhooks))
    reply = None
    if heard is not None:
        reply = await notifications.answered(
            provider_id=heard.provider_id, phone=heard.phone, body=heard.body, handled=heard.handled
        )
    return twiml(reply)


async def _signed(request: Request[Any, Any, Any], webhooks: TwilioWebhooks) -> dict[str, str]:
    query = request.scope["query_string"].decode("latin-1")
    path = request.scope["raw_path"].partition(b"?")[0].decode("latin-1")
    return webhooks.form(f"{path}?{query}" if query else path, await request.body(), request.headers.get(SIGNATURE))


def _whose(caller: NamedDependency[Principal], asked: str | None) -> str | None:
    if caller.role == "admin":
        return asked
    if asked not in {None, caller.id}:
        raise ForbiddenError("Only admins read other people's deliveries")
    return caller.id


def _cursor(delivery_id: FromPath[UUID]) -> str:
    return base64.urlsafe_b64encode(delivery_id.bytes).decode().rstrip("=")


def _from_cursor(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise malformed_field("?cursor", "isn't one that was given out") from None


def _utc(moment: datetime) -> None:
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise malformed_field("/paused_until", "is out of range") from None


HANDLERS = [get_preferences, put_preferences, list_deliveries, replay_delivery, twilio_status, twilio_inbound]
