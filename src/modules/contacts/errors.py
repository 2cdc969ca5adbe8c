"""What can be wrong with a request to contacts."""

from kernel.errors import ConflictError, NotFoundError


class PersonNotFoundError(NotFoundError):
    """Nobody who could be invited: unknown, deactivated, oneself, or somebody who blocked the caller, all alike."""

    slug, title = "person-not-found", "Nobody by this name or pin"


class InviteNotFoundError(NotFoundError):
    """No such invitation, or one between others."""


class ContactNotFoundError(NotFoundError):
    """Not among the caller's contacts."""


class AlreadyContactsError(ConflictError):
    """The two are contacts already."""

    slug, title = "already-contacts", "Already a contact"


class AlreadyInvitedError(ConflictError):
    """An invitation waits for its answer."""

    slug, title = "already-invited", "Already invited"


class AlreadyMemberError(ConflictError):
    """The invitee is in the channel."""

    slug, title = "already-member", "Already in the channel"


class DeclinedBeforeError(ConflictError):
    """The invitee declined, and the time after which they may be asked again isn't over."""

    slug, title = "declined-before", "Declined before"


class BlockedByYouError(ConflictError):
    """The caller has blocked the invitee."""

    slug, title = "blocked-by-you", "You have blocked this person"


class TooManyBlocksError(ConflictError):
    """The caller blocks as many people as can be blocked."""

    slug, title = "too-many-blocks", "Too many blocks"


class InviteClosedError(ConflictError):
    """The invitation isn't pending any more, or its time is over."""

    slug, title = "invite-closed", "Invitation closed"


class NotAdmittedError(ConflictError):
    """The channel doesn't take the invitee in at present: the invitation stays, and may be accepted later."""

    slug, title = "not-admitted", "The channel takes nobody in at present"


class RemindedTooOftenError(ConflictError):
    """The invitee was reminded not long ago, or often enough."""

    slug, title = "reminded-too-often", "Reminded too often"


class TemplateNotFoundError(NotFoundError):
    """No template of this name."""

    slug, title = "template-not-found", "No such template"
