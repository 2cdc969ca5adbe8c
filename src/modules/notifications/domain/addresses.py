"""Where a person can be reached."""

from uuid import UUID

import msgspec


class Subscription(msgspec.Struct, frozen=True):
    """A browser's push subscription. `p256dh` and `auth`: base64url, as the browser gave them. Never logged."""

    id: UUID
    endpoint: str
    p256dh: str
    auth: str


class Target(msgspec.Struct, frozen=True):
    """All addresses of a person. Never logged."""

    phone: str | None = None
    email: str | None = None
    subscriptions: tuple[Subscription, ...] = ()

    def address(self, transport: str) -> str | None:
        """Return the one address by which a provider knows the person; None where there is none, as for push."""
        return {"sms": self.phone, "email": self.email}.get(transport)

    def reachable_by(self, transport: str) -> bool:
        """Whether there is anywhere to send to."""
        return bool(self.subscriptions) if transport == "push" else self.address(transport) is not None
