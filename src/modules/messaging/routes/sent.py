"""How a message that was sent is answered."""

from litestar import Response
from msgspec.structs import replace

from modules.messaging import views
from modules.messaging.fold import fresh
from modules.messaging.schemas.messages import Message
from modules.messaging.writer import Stored


def sent(stored: Stored) -> Response[Message]:
    """Answer 201 for a new message, 200 for a repeat."""
    message = replace(views.message(stored.folded or fresh(stored.record)), status="sent")
    return Response(message, status_code=200 if stored.repeated else 201)
