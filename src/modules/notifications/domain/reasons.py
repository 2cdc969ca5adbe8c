"""Every reason for what is decided: the one list that the ledger, open alerts, operators and the guide share."""

from typing import Literal, TypeAlias

Never: TypeAlias = Literal[
    "deactivated",
    "not_participant",
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

Now: TypeAlias = Literal["first_choice", "stayed_unread", "others_failed"]
"""Why something is sent now by this transport."""

Reason: TypeAlias = Never | NotNow | Now
