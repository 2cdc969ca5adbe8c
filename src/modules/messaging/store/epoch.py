"""The name of this history."""

import hashlib

from kernel.database import Connection

EPOCH = """
SELECT format('%s-%s-%s', s.system_identifier, c.timeline_id, d.oid)
FROM pg_control_system() s, pg_control_checkpoint() c, pg_database d WHERE d.datname = current_database()
"""


async def epoch(connection: Connection) -> str:
    """Return what names this history: another after a restore from a backup or a fail-over."""
    return hashlib.sha256(str(await connection.fetchval(EPOCH)).encode()).hexdigest()[:16]
