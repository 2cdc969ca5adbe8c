"""Tickets for sockets."""

import msgspec

from kernel.clock import Timestamp


class Ticket(msgspec.Struct, frozen=True):
    """Lets one socket in, once."""

    ticket: str
    expires_at: Timestamp
