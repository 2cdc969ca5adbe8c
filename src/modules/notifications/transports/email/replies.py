"""What an SMTP server's refusal says of a message, its address, or us.

Sources: RFC 5321, 4.2; RFC 3463 and IANA's registry of enhanced status codes. Servers refuse senders and relaying when
they are told the recipient, so not every refusal there is about the recipient: believing so would end all mail to
somebody for a fault of ours.
"""

import re
from typing import Literal

from modules.notifications.domain.outcomes import Fault, FaultKind

Stage = Literal["connect", "sender", "recipient", "data"]
"""What the server was answering to. Up to `recipient`, and after a refusal, nothing was sent."""

ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b", re.MULTILINE)
PERMANENT = range(500, 600)
CLOSING = 421
"""Whatever was asked: the server takes no more for now."""

OUR_STATUS = {"5.1.7", "5.1.8", "5.7.8", "5.7.9", "5.7.54", "5.7.57", "5.7.60"}
OUR_CODES = {503, 530, 534, 535, 538}
OUR_WORDS = re.compile(r"\brelay(ing)?\b|(sender address|client host|helo command) rejected", re.IGNORECASE)
NO_MAILBOX_STATUS = {"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10", "5.2.1"}
NO_MAILBOX_CODES = {501, 510, 511, 512, 550, 551, 553, 556}
IN_BRACKETS = re.compile(r"<[^>]*>")


def fault(stage: Stage, code: int, message: str) -> Fault:
    """Return what a refusal says. Its reason holds codes only: servers repeat addresses in their texts."""
    enhanced = ENHANCED.search(message)
    status = enhanced[1] if enhanced else ""
    reason = f"smtp_{code}_{status}".rstrip("_")
    if code not in PERMANENT:
        return Fault("busy" if _of_all(stage, code) else "later", reason)
    return Fault(_kind(stage, code, status, IN_BRACKETS.sub("", message)), reason)


def _of_all(stage: Stage, code: int) -> bool:
    """Whether a passing refusal is about every mail: one greylisted or full mailbox mustn't hold up the others'."""
    return code == CLOSING or stage in {"connect", "sender"}


def _kind(stage: Stage, code: int, status: str, words: str) -> FaultKind:
    if stage in {"connect", "sender"}:
        return "configuration"
    if stage == "recipient" and (status in OUR_STATUS or code in OUR_CODES or OUR_WORDS.search(words)):
        return "configuration"
    if status in NO_MAILBOX_STATUS or (stage == "recipient" and not status and code in NO_MAILBOX_CODES):
        return "invalid_address"
    return "other"
