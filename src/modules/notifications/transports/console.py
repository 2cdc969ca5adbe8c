"""SMS for development: printed, not sent. The one place where a text is shown; the number is half hidden."""

from typing import TextIO

from modules.notifications.domain.outcomes import Accepted, Outcome
from modules.notifications.transports import Outgoing
from modules.notifications.wording.sms import length, sms

VISIBLE = 4


class ConsoleSms:
    """Prints each SMS to `to`, marked as development."""

    name = "sms"

    def __init__(self, to: TextIO) -> None:
        self._to = to

    async def send(self, message: Outgoing) -> Outcome:
        """Print it; that never fails in a way worth telling."""
        phone, body = message.to.phone or "", sms(message.words)
        number = phone[:VISIBLE] + "*" * (len(phone) - 2 * VISIBLE + 2) + phone[-2:]
        size = length(body)
        lines = body.replace("\n", "\n    ")
        self._to.write(f"[development: not sent] SMS to {number} ({size.segments} segment(s))\n    {lines}\n")
        self._to.flush()
        return Accepted(f"console-{message.delivery_id}-{message.attempt}")

    async def close(self) -> None:
        """Nothing to let go of: the stream belongs to the process."""
