"""All parts wired: an invitation becomes an SMS to who isn't there, and its acceptance one to who invited."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from app import Parley
from kernel.clock import now
from kernel.ids import new_id
from kernel.settings import Settings
from modules.contacts.domain.invites import StoredInvite
from modules.contacts.service.lifecycle import Lifecycle
from tests.support.twilio_server import TwilioServer, twilio_server

PEOPLE = """
INSERT INTO identity_users (user_id, username, display_name, phone, locale) VALUES
('ana', 'ana', 'Ana Ruiz', '+447700900101', 'es'), ('ben', 'ben', 'Ben Carter', '+447700900104', NULL)
"""


def settings_of(settings: Settings, twilio: TwilioServer) -> Settings:
    return msgspec.structs.replace(
        settings,
        **twilio.settings(),
        sms_delay_s=0.3,
        public_url="https://parley.example",
        default_quiet_hours="00:00-00:00",
    )


async def until(holds: Callable[[], Any]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.05)


async def test_both_hear_of_it(settings: Settings) -> None:
    async with twilio_server() as twilio:
        parley = Parley(settings_of(settings, twilio))
        async with parley.running():
            async with parley.database.transaction() as tx:
                await tx.connection.execute(PEOPLE)
            lifecycle = Lifecycle(parley.bus, parley.messaging.directs, require_contact=True)
            names = await parley.identity.directory.find(["ana", "ben"])
            made = StoredInvite(
                id=new_id(),
                kind="contact",
                invitor_id="ana",
                invitee_id="ben",
                message="a secret text",
                metadata={},
                created_at=now(),
                expires_at=now() + timedelta(days=1),
            )
            async with parley.database.transaction() as tx:
                await lifecycle.create(tx, [made], names)
            await until(lambda: twilio.sent)
            async with parley.database.transaction() as tx:
                await lifecycle.close(tx, [made.id], "accepted", names, now=now(), by="ben")
            await until(lambda: len(twilio.sent) > 1)
            link = f"https://parley.example/invites/{made.id}"
            assert [(sms.to, sms.body) for sms in twilio.sent] == [
                ("+447700900104", f"Ana Ruiz invited you\n{link}"),
                ("+447700900101", f"Ben Carter ha aceptado una de tus invitaciones\n{link}"),
            ]
