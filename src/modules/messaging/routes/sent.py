"""How a message that was sent is answered, and what else may be answered."""

from litestar import Response

from kernel.errors import TooManyRequestsError
from modules.messaging import views
from modules.messaging.errors import ClientIdConflictError, ClosedError, ReadOnlyError
from modules.messaging.fold import fresh
from modules.messaging.schemas.messages import Message
from modules.messaging.writer import Stored

CHANGING = (ReadOnlyError, ClosedError, TooManyRequestsError)
"""What a change of a message may be refused with, besides what follows from its route."""

WRITING = (*CHANGING, ClientIdConflictError)
"""The same, of a write that has a `client_id`."""


def sent(stored: Stored) -> Response[Message]:
    """Answer 201 for a new message, 200 for a repeat."""
    text = stored.folded or fresh(stored.record)
    message = views.own(views.message(text), text.record.sender_id or "", stored.others)
    return Response(message, status_code=200 if stored.repeated else 201)
