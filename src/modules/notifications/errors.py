"""What notifications answer when they can't do as asked."""

from kernel.errors import ConflictError, ForbiddenError, NotFoundError


class NotReplayableError(ConflictError):
    """Only a dead delivery is replayed: of any other, something was sent, may have been, or mustn't be."""

    slug, title = "not-replayable", "Not replayable"


class BadSignatureError(ForbiddenError):
    """A webhook that Twilio didn't sign, or signed for another URL."""

    slug, title = "bad-signature", "Bad signature"


class PushNotSetUpError(NotFoundError):
    """Web push is off: this server has no VAPID key."""

    slug, title = "push-not-set-up", "Push is not set up"
