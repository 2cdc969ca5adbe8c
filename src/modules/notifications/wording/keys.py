"""The texts that there are, and what may stand in them: what every catalogue is held against.

Keys are a contract with hosts that write catalogues of their own: they stay when our words change.
"""

from collections.abc import Mapping

import msgspec


class Shape(msgspec.Struct, frozen=True):
    """What a text is made with: names in braces, and the number (one of them) that it has plural forms for."""

    placeholders: frozenset[str] = frozenset()
    counts: str | None = None


PLAIN = Shape()
NAMED = Shape(frozenset({"name"}))

SHAPES: Mapping[str, Shape] = {
    # An alert: a title for push, and one line for every medium.
    "messages.title": Shape(frozenset({"count"}), counts="count"),
    "messages.text": Shape(frozenset({"count"}), counts="count"),
    "messages.text_from": Shape(frozenset({"count", "name"}), counts="count"),
    "messages.text_from_several": Shape(frozenset({"count", "names"}), counts="count"),
    "names.and_others": Shape(frozenset({"name", "others"}), counts="others"),
    # An alert about an invitation: the same, with the name of the other one, where there is one to show.
    "invites.received_title": PLAIN,
    "invites.received": PLAIN,
    "invites.received_from": NAMED,
    "invites.reminder_title": PLAIN,
    "invites.reminder": PLAIN,
    "invites.reminder_from": NAMED,
    "invites.accepted_title": PLAIN,
    "invites.accepted": PLAIN,
    "invites.accepted_from": NAMED,
    # Answers to an SMS.
    "sms.stop_reply": PLAIN,
    "sms.help_reply": PLAIN,
    # Around the line in an e-mail.
    "email.open": PLAIN,
    "email.why": PLAIN,
    "email.open_invite": PLAIN,
    "email.why_invite": PLAIN,
    "email.unsubscribe": PLAIN,
    # The page behind the link to unsubscribe.
    "unsubscribe.title": PLAIN,
    "unsubscribe.question": PLAIN,
    "unsubscribe.button": PLAIN,
    "unsubscribe.done": PLAIN,
    "unsubscribe.again": PLAIN,
    "unsubscribe.invalid": PLAIN,
}
