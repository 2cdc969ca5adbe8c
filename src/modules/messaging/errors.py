"""What can be wrong with a request to messaging."""

from kernel.errors import ConflictError, ForbiddenError, NotFoundError


class ChannelNotFoundError(NotFoundError):
    """No such channel, context or message, or not the caller's: the two look exactly alike."""


class ReadOnlyError(ForbiddenError):
    """The caller's role only reads."""

    slug, title = "read-only", "Read only"


class ClosedError(ConflictError):
    """The conversation is closed for writing."""

    slug, title = "channel-closed", "Conversation closed"


class ClientIdConflictError(ConflictError):
    """The client_id was used for something else already."""

    slug, title = "client-id-conflict", "client_id used for another message"


class MessageDeletedError(ConflictError):
    """The message was deleted: nothing more can happen to it."""

    slug, title = "message-deleted", "Message deleted"


class TooManyReactionsError(ConflictError):
    """A message carries only so many different emoji."""

    slug, title = "too-many-reactions", "Too many different reactions"


class NotContactsError(ForbiddenError):
    """Not a contact of the caller's; people who don't exist look the same."""

    slug, title = "not-contacts", "Not among your contacts"
