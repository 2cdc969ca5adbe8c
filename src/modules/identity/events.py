"""What identity publishes. Names and fields are part of the contract."""

from bus.events import Event

USER_SIGNAL = "parley_user"
"""Signalled, with the user id, to every instance at each change of a person."""
KEYS_SIGNAL = "parley_keys"
"""Signalled when an API key is revoked."""


class UserUpdated(Event, frozen=True, tag="identity.user.updated"):
    """A person was created or changed."""

    user_id: str


class UserDeactivated(Event, frozen=True, tag="identity.user.deactivated"):
    """A person was deactivated: their profile is gone, their tokens are refused."""

    user_id: str
