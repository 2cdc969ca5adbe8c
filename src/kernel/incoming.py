"""What every body of a request is made of."""

import msgspec


class Incoming(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all input: unknown fields are refused, and named."""
