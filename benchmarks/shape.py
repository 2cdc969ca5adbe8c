"""The data of a benchmark: channels, people and messages of one shape for everybody."""

from uuid import UUID

from kernel.database import Database

CHANNELS = 1000
MEMBERS = 6
CONTENT = ("Could you come to the main gate at seven, please? The crane is there, the permit is not yet. " * 2)[:120]
EVENT_TYPE = "chat.message.created"

FILL = """
WITH channel AS (
    INSERT INTO chat_channels (id, kind, genesis, head_hash, last_record_at, created_at)
    SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'group', '{}',
        decode(repeat('00', 32), 'hex'), now(), now()
    FROM generate_series(1, $1) AS n
    RETURNING id
)
INSERT INTO chat_participants (channel_id, user_id, role, joined_at)
SELECT id, 'writer-' || m, 'member', now() FROM channel, generate_series(1, $2) AS m
"""


def channel_id(number: int) -> UUID:
    """Return the id of a channel, counted from 1."""
    return UUID(f"00000000-0000-7000-8000-{number:012x}")


def writer_id(number: int) -> str:
    """Return the id of a member of those channels, counted from 1."""
    return f"writer-{number}"


def user_id(number: int) -> str:
    """Return the id of a person who isn't in them, counted from 1."""
    return f"user-{number}"


async def fill(database: Database) -> None:
    """Make `CHANNELS` channels of `MEMBERS` people each, by hand: what is measured is writing into them."""
    async with database.transaction() as tx:
        await tx.connection.execute(FILL, CHANNELS, MEMBERS)


async def empty_outbox(database: Database) -> None:
    """Remove the staged events, which nobody reads here."""
    async with database.connection() as connection:
        await connection.execute("DELETE FROM bus_outbox")
