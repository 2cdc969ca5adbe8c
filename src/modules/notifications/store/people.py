"""What people chose, and what is known of their addresses."""

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime, time

import asyncpg

from kernel.database import Connection
from modules.notifications.domain.preferences import Categories, Channels, Preferences, QuietHours
from modules.notifications.domain.quiet_hours import Window
from modules.notifications.domain.snapshot import Standing

FIND_PREFERENCES = """
SELECT user_id, push, sms, email, messages, invites, quiet_start, quiet_end, quiet_time_zone, paused_until
FROM notification_preferences WHERE user_id = ANY($1)
"""

SAVE_PREFERENCES = """
INSERT INTO notification_preferences (user_id, push, sms, email, messages, invites, quiet_start, quiet_end,
    quiet_time_zone, paused_until, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now())
ON CONFLICT (user_id) DO UPDATE SET push = $2, sms = $3, email = $4, messages = $5, invites = $6, quiet_start = $7,
    quiet_end = $8, quiet_time_zone = $9, paused_until = $10, updated_at = now()
"""

EMAIL_OFF = """
INSERT INTO notification_preferences (user_id, email, quiet_start, quiet_end, quiet_time_zone)
VALUES ($1, false, $2, $3, $4)
ON CONFLICT (user_id) DO UPDATE SET email = false, updated_at = now() WHERE notification_preferences.email
"""

FORGET = "DELETE FROM notification_preferences WHERE user_id = ANY($1)"

FIND_ADDRESSES = """
SELECT address_hash, opted_out_at IS NOT NULL AS opted_out, invalid_at IS NOT NULL AS invalid
FROM notification_addresses WHERE address_hash = ANY($1)
"""

OPT_OUT = """
INSERT INTO notification_addresses (address_hash, opted_out_at, reason) VALUES ($1, now(), $2)
ON CONFLICT (address_hash) DO UPDATE SET opted_out_at = now(), reason = $2
WHERE notification_addresses.opted_out_at IS NULL
"""

OPT_IN = "UPDATE notification_addresses SET opted_out_at = NULL, reason = $2 WHERE address_hash = $1"

INVALIDATE = """
INSERT INTO notification_addresses (address_hash, invalid_at, reason) VALUES ($1, now(), $2)
ON CONFLICT (address_hash) DO UPDATE SET invalid_at = now(), reason = $2
"""

REMEMBER_ANSWER = "INSERT INTO notification_answers (provider_id) VALUES ($1) ON CONFLICT DO NOTHING"


Address = tuple[str, str]
"""A transport, and an address as it knows them: a number (E.164) for `sms`, an address for `email`."""


def address_hash(transport: str, address: str) -> bytes:
    """Return the key of an address.

    It keeps addresses out of sight and outlives the person's profile, as an opt-out must. It doesn't make them
    anonymous: there are few enough numbers to try them all. E-mail addresses count in whatever case they are written.
    """
    return hashlib.sha256(f"parley {transport} {address.lower()}".encode()).digest()


async def preferences_of(connection: Connection, user_ids: Collection[str]) -> Mapping[str, Preferences]:
    """Return the preferences of those who ever chose; others are absent."""
    rows = await connection.fetch(FIND_PREFERENCES, list(user_ids))
    return {row["user_id"]: _preferences(row) for row in rows}


async def save_preferences(connection: Connection, user_id: str, chosen: Preferences) -> None:
    """Replace a person's preferences."""
    quiet = chosen.quiet_hours
    channels, categories = chosen.channels, chosen.categories
    await connection.execute(
        SAVE_PREFERENCES,
        user_id,
        channels.push,
        channels.sms,
        channels.email,
        categories.messages,
        categories.invites,
        None if quiet is None else _clock(quiet.window.start),
        None if quiet is None else _clock(quiet.window.end),
        None if quiet is None else quiet.time_zone,
        chosen.paused_until,
    )


async def end_email(connection: Connection, user_id: str, otherwise: Preferences) -> bool:
    """Switch a person's e-mail off and leave the rest as it is, `otherwise` where they never chose.

    One statement, so that a choice made at the same moment isn't undone. Returns whether it was on.
    """
    quiet = otherwise.quiet_hours
    start, end = (None, None) if quiet is None else (_clock(quiet.window.start), _clock(quiet.window.end))
    zone = None if quiet is None else quiet.time_zone
    return await connection.execute(EMAIL_OFF, user_id, start, end, zone) != "INSERT 0 0"


async def forget(connection: Connection, user_ids: Collection[str]) -> None:
    """Erase people's preferences."""
    await connection.execute(FORGET, list(user_ids))


async def standings_of(connection: Connection, addresses: Collection[Address]) -> Mapping[Address, Standing]:
    """Return what is known of addresses; those never heard of are absent."""
    hashes = {address: address_hash(*address) for address in addresses}
    rows = await connection.fetch(FIND_ADDRESSES, list(hashes.values()))
    known = {row["address_hash"]: Standing(row["opted_out"], row["invalid"]) for row in rows}
    return {address: known[digest] for address, digest in hashes.items() if digest in known}


async def opt_out(connection: Connection, address: Address, reason: str) -> bool:
    """Send nothing to this address any more. Returns whether that is new."""
    return await connection.execute(OPT_OUT, address_hash(*address), reason) != "INSERT 0 0"


async def opt_in(connection: Connection, address: Address, reason: str) -> None:
    """Send to this address again."""
    await connection.execute(OPT_IN, address_hash(*address), reason)


async def invalidate(connection: Connection, address: Address, reason: str) -> None:
    """Never try this address again."""
    await connection.execute(INVALIDATE, address_hash(*address), reason)


async def remember_answer(connection: Connection, provider_id: str) -> bool:
    """Note that an answer is being acted upon; False when it was before."""
    return await connection.execute(REMEMBER_ANSWER, provider_id) == "INSERT 0 1"


def _preferences(row: "asyncpg.Record") -> Preferences:
    quiet = None
    if row["quiet_start"] is not None:
        window = Window(time.fromisoformat(row["quiet_start"]), time.fromisoformat(row["quiet_end"]))
        quiet = QuietHours(window, row["quiet_time_zone"])
    paused_until: datetime | None = row["paused_until"]
    return Preferences(
        Channels(row["push"], row["sms"], row["email"]),
        Categories(row["messages"], row["invites"]),
        quiet,
        paused_until,
    )


def _clock(clock: time) -> str:
    return clock.strftime("%H:%M")
