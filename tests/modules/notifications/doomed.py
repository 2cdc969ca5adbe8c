"""A process that runs the notifications module and comes to a halt at a chosen step, there to be killed.

Usage: doomed.py DSN TWILIO_URL STEP. It prints a line when it has come to the step.
"""

import asyncio
import sys
from collections.abc import Sequence

from kernel.clock import now
from kernel.database import Database
from kernel.settings import Settings
from kernel.telemetry import logging
from modules.notifications.domain.outcomes import Outcome
from modules.notifications.ports import Span
from modules.notifications.transports import Outgoing, Transport
from modules.notifications.transports.twilio import TwilioSms
from tests.modules.notifications.conftest import House
from tests.modules.notifications.world import EndlessUnread, SpanState
from tests.support.twilio_server import ACCOUNT, SENDER, TOKEN

STEPS = ("deciding", "deciding again", "before the call", "during the call", "after the call")


async def halt() -> None:
    """Say so, and do nothing more."""
    print("here", flush=True)
    await asyncio.sleep(3600)


class HaltingWorld(EndlessUnread):
    """Halts the first or the second time it is asked."""

    def __init__(self, halt_at: str) -> None:
        self._questions = iter(STEPS[:2])
        self._halt_at = halt_at

    async def states(self, spans: Sequence[Span]) -> Sequence[SpanState]:
        """Conversations."""
        if next(self._questions, None) == self._halt_at:
            await halt()
        return await super().states(spans)


class HaltingTransport:
    """Halts before or after the call."""

    name = "sms"

    def __init__(self, real: Transport, halt_at: str) -> None:
        self._real, self._halt_at = real, halt_at

    async def send(self, message: Outgoing) -> Outcome:
        """Send, unless halted."""
        if self._halt_at == "before the call":
            await halt()
        outcome = await self._real.send(message)
        if self._halt_at == "after the call":
            await halt()
        return outcome

    async def close(self) -> None:
        """Close."""
        await self._real.close()


async def main(dsn: str, twilio_url: str, halt_at: str) -> None:
    """Run until killed."""
    database = await Database.connect(dsn, size=5)
    sms = TwilioSms(
        account_sid=ACCOUNT, auth_token=TOKEN, public_url="https://p.example", sender=SENDER, api_url=twilio_url
    )
    house = House(
        database,
        Settings(default_quiet_hours="00:00-00:00", sms_delay_s=0, sms_per_s=0),
        HaltingWorld(halt_at),
        now,
        transports={"sms": HaltingTransport(sms, halt_at)},
    )
    await house.module.start()
    await asyncio.sleep(3600)


if __name__ == "__main__":
    logging.configure("error")  # to stderr: stdout says how far it has come
    asyncio.run(main(*sys.argv[1:]))
