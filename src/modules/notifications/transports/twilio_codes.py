"""What Twilio's error codes mean to us. Source: Twilio's error dictionary, and docs/guides/notifications.md."""

from collections.abc import Mapping

from modules.notifications.domain.outcomes import Fault, FaultKind

KINDS: Mapping[int, FaultKind] = {
    429: "busy",
    20429: "busy",  # too many requests
    21611: "busy",  # the sender's queue is full
    30001: "busy",  # queue overflow
    30450: "busy",  # throughput of the destination's carrier
    21211: "invalid_address",
    21614: "invalid_address",  # not a mobile number
    30005: "invalid_address",  # unknown handset
    30006: "invalid_address",  # landline or unreachable carrier
    21610: "opted_out",
    401: "configuration",
    20003: "configuration",  # credentials
    20005: "configuration",  # account not active
    20404: "configuration",  # no such account or service
    21212: "configuration",  # sender invalid
    21606: "configuration",  # sender isn't ours, or can't send SMS
    21609: "configuration",  # callback URL refused: PARLEY_PUBLIC_URL
    21659: "configuration",  # sender isn't a Twilio number of this country
    21660: "configuration",  # sender belongs to another account
    21701: "configuration",  # no such messaging service
    21703: "configuration",  # messaging service without senders
    30002: "configuration",  # account suspended
    30034: "configuration",  # sender not registered with US carriers
    30007: "filtered",
}


def fault(code: int) -> Fault:
    """Return what an error code says about the message that met it."""
    return Fault(KINDS.get(code, "other"), f"twilio_{code}")
