"""What the fields of the contract may hold: a name means the same everywhere in it, so an example goes by the name.

A type's own `Meta(examples=…)` comes first; these names have types that say no more than `str` or `int`. The people and
things are those of one small story: ana, who works on booking b-1042, and ben, who supervises it.
"""

from collections.abc import Mapping
from typing import Any

MOMENT = "2026-01-31T09:15:00.000000Z"
LATER = "2026-01-31T10:15:00.000000Z"
MESSAGE_ID = "019c1355-8e20-7b3d-9d6c-4f1e0a7c2b10"
CHANNEL_ID = "019c1350-21d8-7c52-8e3a-6b0d9f4a1c77"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEiLCJleHAiOjE3Njk4NTQ1MDB9.c2lnbmF0dXJl"  # opens nothing
ANA = {"user_id": "ana", "username": "ana.lopez", "display_name": "Ana López"}
BEN = {"user_id": "ben", "username": "ben.okoye", "display_name": "Ben Okoye"}
INVITE: Mapping[str, Any] = {
    "id": "019c1355-2d40-7f63-8b1a-9e7c5d30a4f8",
    "kind": "contact",
    "status": "pending",
    "invitor": ANA,
    "invitee": BEN,
    "channel_id": None,
    "channel_title": None,
    "channel_role": None,
    "message": "We worked together at Dock 4.",
    "created_at": MOMENT,
    "expires_at": "2026-02-14T09:15:00.000000Z",
    "responded_at": None,
    "metadata": {"site": "Dock 4"},
}
ACCEPTED = {**INVITE, "status": "accepted", "responded_at": LATER}
DECLINED = {**INVITE, "status": "declined", "responded_at": LATER}
REVOKED = {**INVITE, "status": "revoked"}
EXPIRED = {**INVITE, "status": "expired"}
COUNTS = {"pending": 1, "accepted": 6, "declined": 1, "revoked": 1, "expired": 1}
NO_COUNTS = dict.fromkeys(COUNTS, 0)

OF_FIELDS: Mapping[str, Any] = {
    "Answered.invite": ACCEPTED,
    "Answered.invite_id": INVITE["id"],
    "AuthRefreshed.expires_at": LATER,
    "ChannelView.id": CHANNEL_ID,
    "ContactAddedData.users": [ANA, BEN],
    "ContactRemovedData.users": [ANA, BEN],
    "ContextRef.id": "b-1042",
    **{f"Invite.{field}": value for field, value in INVITE.items() if value is not None},
    **{f"InviteAccepted{of}.invite": ACCEPTED for of in ("", "Data")},
    **{f"InviteDeclined{of}.invite": DECLINED for of in ("", "Data")},
    **{f"InviteExpired{of}.invite": EXPIRED for of in ("", "Data")},
    **{f"InviteRevoked{of}.invite": REVOKED for of in ("", "Data")},
    "InviteDetail.history": [{"status": "pending", "at": MOMENT, "by": "ana"}],
    "InviteStatistics.counts": {"contact": COUNTS, "channel": {**NO_COUNTS, "accepted": 2}},
    "InviteStatistics.scope": "mine",
    "Notice.title": "Timesheets are due",
    "PutSettings.muted_until": "2026-02-01T07:00:00.000000Z",
    "QuietHoursBody.end": "09:00",
    "Ticket.expires_at": LATER,
    "TestOutcome.body": "thank you",
    "TestOutcome.status": 204,
    "TokenReply.expires_at": LATER,
}
"""By Struct (or one that it derives from) and field: what means something of its own. It comes before anything else."""

CHOICES = {
    "kind": ("text", "context"),
    "presence": ("online",),
    "email": ("ana@example.org", True),
    "user_ids": (["ana", "ben"], "ben,zoe"),
    "status": ("ready", "open", "active", "sent", "online", "created"),
}
"""Names of several meanings: the first that the type accepts."""

BY_NAME: Mapping[str, Any] = {
    # people
    "user_id": "ana",
    "participant_ids": ["ben", "cleo"],
    "by": "ben",
    "deleted_by": "ana",
    "username": "ana.lopez",
    "display_name": "Ana López",
    "avatar_url": "https://example.org/ana.png",
    "phone": "+442079460000",
    "time_zone": "Europe/London",
    "locale": "en-GB",
    "connect_pin": "K7QX2-M9DPA",
    "role": "worker",
    "last_seen_at": MOMENT,
    "sender_id": "ana",
    "sender_name": "Ana López",
    "recipient_ids": ["ben", "cleo"],
    # credentials
    "token": JWT,
    "ticket": "Zk3vN8hQ2yLr5tWb7xJc9dPf1gMa4sKe",
    "expires_in_s": 3600,
    # contexts and channels
    "context_type": "booking",
    "context_id": "b-1042",
    "title": "Crane operator, 12 March",
    "metadata": {"site": "Dock 4"},
    "channel_id": CHANNEL_ID,
    "channel_role": "member",
    "channel_title": "Dock 4, nights",
    "participant_count": 2,
    "muted_until": "2026-02-01T07:00:00.000000Z",
    # invitations
    "invite_id": "019c1355-9c41-7e02-8f5b-7a30d2c6e914",
    "message": "We worked together at Dock 4.",
    "total": 12,
    "acceptance_rate": 0.8,
    "median_response_s": 5400.0,
    "more": False,
    # notices
    "body": "Please confirm last week's hours by Friday.",
    "link": "/timesheets/2026-05",
    # the log and marks
    "id": MESSAGE_ID,
    "message_id": MESSAGE_ID,
    "delivery_id": "019c1355-e410-7d0a-b2c4-91e57f30aa64",
    "subscription_id": "019c1357-02c6-7a1e-9f0b-6e4d8c315b72",
    "connection_id": "019c1355-1b7c-7e91-a5f2-30c86d24e905",
    "message_seq": 16,
    "message_preview": "Can you be at the gate at nine?",
    "seq": 17,
    "last_seq": 17,
    "after_seq": 12,
    "before_seq": 12,
    "around_seq": 12,
    "from_seq": 16,
    "to_seq": 17,
    "last_read_seq": 17,
    "last_delivered_seq": 17,
    "unread_count": 0,
    "total_unread": 3,
    "revision": 0,
    "hash": "9f2b6c1e0d7a4835f1c2b39e68d0a47751be93c0f4862d1a7e5093bcd8f61e24",
    "content": "Can you be at the gate at nine?",
    "preview": "Can you be at the gate at nine?",
    "client_id": "0192f3c4-7b1e-7c3a-9a55-2f6f0d1c9e01",
    "emoji": "\N{THUMBS UP SIGN}",
    # sockets
    "ref": "7",
    "epoch": "019c0f1e-44a2-7b8c-8d15-e2a90b6f7c31",
    "heartbeat_s": 30,
    "message_chars": 5000,
    "frame_bytes": 16384,
    "messages_per_s": 5,
    "message_burst": 20,
    "sockets_per_user": 10,
    "target_id": MESSAGE_ID,
    "details": {"user_id": "cleo", "role": "supervisor", "by": "ben"},
    # notifications
    "push": True,
    "sms": True,
    "messages": True,
    "reason": "quiet_hours",
    "transport": "sms",
    "category": "messages",
    "state": "delivered",
    "message_count": 2,
    "provider_id": "SM5ef8732a3c49700934481addd5ce1659",
    "attempts": 1,
    "paused_until": "2026-02-01T07:00:00.000000Z",
    # invitations
    "reminders": 1,
    # webhooks
    "webhook_id": "019c1340-7f02-7d19-a7c6-52b90e1f8d34",
    "event_id": "019c1355-8e20-7b3d-9d6c-4f1e0a7c2b10",
    "events": ["chat.message.*", "identity.user.updated"],
    "description": "Bookings, production",
    "duration_ms": 87,
    "replayed": 3,
    "schema": {"type": "object"},
    "example": {"type": "identity.user.updated"},
    # contacts
    "of": "ana",
    "since": MOMENT,
    "usernames": "ben.ito,zoe",
    # everywhere
    "q": "gate",
    "next": "AZwTVY4ge02dbE8eCnwrEA",
    "cursor": "AZwTVY4ge02dbE8eCnwrEA",
    "limit": 50,
    "Idempotency-Key": "4e6a3b52-booking-1042",
}

SELDOM = frozenset(
    {
        "Invite.channel_id",
        "Invite.channel_role",
        "Invite.channel_title",
        "Invite.responded_at",
        "PostInvite.channel_id",
        "PostInvite.channel_role",
        "PostInvite.template",
        "PostInvite.user_id",  # instead of `connect_pin`
        "context",  # instead of `channel_id`
        "deleted_at",
        "details",
        "direct_user",
        "edited_at",
        "paused_until",
        "muted_until",
        "problem",
        "reason",
        "reset",
        "responded_at",
        "target_id",
    }
)
"""Fields for special states, of one Struct or of all: left out of an example where they may be, else null where that
may be.
"""
