"""What Twilio's error codes mean to us. Source: Twilio's error dictionary (https://www.twilio.com/docs/api/errors).

Twilio adds codes and splits old ones. One that isn't listed says that this message can't be sent, and nothing more.
"""

from collections.abc import Mapping

from modules.notifications.domain.outcomes import Fault, FaultKind

KINDS: Mapping[int, FaultKind] = {
    429: "busy",
    20429: "busy",  # too many requests
    21611: "busy",  # the sender's queue is full
    30001: "busy",  # queue overflow
    30017: "later",  # the carrier is congested
    30022: "later",  # over the rate that US carriers allow the campaign, or this number
    30450: "later",  # throughput of the destination's carrier
    30003: "unreached",  # handset off or out of reach
    30008: "unreached",  # the carrier doesn't say why
    30036: "unreached",  # it waited at Twilio for longer than it was valid
    30410: "unreached",  # the carrier didn't answer in time
    21211: "invalid_address",
    21214: "invalid_address",  # can't be reached
    21217: "invalid_address",  # no valid number
    21265: "invalid_address",  # a short code
    21614: "invalid_address",  # not a mobile number
    21635: "invalid_address",  # landline
    30005: "invalid_address",  # unknown handset
    30006: "invalid_address",  # landline or unreachable carrier
    21610: "opted_out",
    401: "configuration",
    403: "configuration",
    20003: "configuration",  # credentials
    20005: "configuration",  # account not active
    20404: "configuration",  # no such account or service
    21212: "configuration",  # sender invalid
    21603: "configuration",  # no sender
    21606: "configuration",  # sender isn't ours, or can't send SMS
    21609: "configuration",  # callback URL refused: PARLEY_PUBLIC_URL
    21659: "configuration",  # sender isn't a Twilio number of this country
    21660: "configuration",  # sender belongs to another account
    21661: "configuration",  # sender can't send SMS
    21701: "configuration",  # no such messaging service
    21703: "configuration",  # messaging service without senders
    30002: "configuration",  # account suspended
    30032: "configuration",  # toll-free sender not verified
    30034: "configuration",  # sender not registered with US carriers
    30007: "filtered",
}


def fault(code: int, *, retry_after_s: float | None = None) -> Fault:
    """Return what an error code says about the message that met it."""
    return Fault(KINDS.get(code, "other"), f"twilio_{code}", retry_after_s)
