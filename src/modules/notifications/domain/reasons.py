"""Every reason for what is decided: the one list that the ledger, open alerts, operators and the guide share."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

Never: TypeAlias = Literal[
    "deactivated",
    "not_participant",
    "answered",
    "withdrawn",
    "deleted",
    "read",
    "muted",
    "preferences",
    "transport_off",
    "no_address",
    "no_subscription",
    "invalid_address",
    "opted_out",
    "reached_otherwise",
    "time_zone_unknown",
    "seen",
]
"""Why something is never sent."""

NotNow: TypeAlias = Literal[
    "on_screen",
    "online_active",
    "paused",
    "quiet_hours",
    "grace",
    "waiting_for_push",
    "waiting_for_sms",
    "on_hold",
    "cost_cap",
    "cost_cap_recipient",
]
"""Why something isn't sent now. All of it passes, and then it is decided again."""

CHOSEN: frozenset[NotNow] = frozenset({"paused", "quiet_hours"})
"""What people put off by their own choice, and what another choice may end."""

Now: TypeAlias = Literal["first_choice", "stayed_unread", "others_failed"]
"""Why something is sent now by this transport."""

Reason: TypeAlias = Never | NotNow | Now

MEANING: Mapping[Reason, str] = {
    "deactivated": "the person is gone",
    "not_participant": "they take no part in the channel",
    "answered": "the invitation was answered",
    "withdrawn": "the invitation was revoked, or its time is over",
    "deleted": "what they hadn't seen was deleted",
    "read": "nothing is left that they haven't seen",
    "muted": "they muted the channel",
    "preferences": "they switched it off",
    "transport_off": "this transport isn't set up",
    "no_address": "nobody knows an address",
    "no_subscription": "no browser is subscribed to push",
    "invalid_address": "the provider says that nothing can be sent to this address",
    "opted_out": "the address wants no more of it",
    "reached_otherwise": "another step has told them already",
    "time_zone_unknown": "quiet hours apply, and nobody knows where they are",
    "seen": "they have used a device since",
    "on_screen": "the channel is on the screen of a device that they use",
    "online_active": "they are using a device",
    "paused": "they paused notifications",
    "quiet_hours": "it is quiet where they are, or about to be",
    "grace": "it is too young",
    "waiting_for_push": "push goes first, or needs time to be noticed",
    "waiting_for_sms": "SMS goes first, or needs time to be noticed",
    "on_hold": "the transport is held back because its provider fails",
    "cost_cap": "the deployment's SMS of the day are used up",
    "cost_cap_recipient": "the person's SMS of the day are used up",
    "first_choice": "no better transport is possible",
    "stayed_unread": "a better transport was accepted, and it stayed unread or unanswered",
    "others_failed": "a better transport failed, or nobody knows what became of it",
}
"""Each reason in words, for operators."""
